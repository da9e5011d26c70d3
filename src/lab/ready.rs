//! `parkmesh ready`: asks the central on this machine whether it can commit now, for the health check of a container
//! that holds this program and nothing else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::caller::Caller;
use super::client::Address;

/// A health check that waits longer is a failed one.
const PATIENCE: Duration = Duration::from_secs(2);
/// EX_UNAVAILABLE.
const EXIT_UNAVAILABLE: u8 = 69;

/// Exit code 0 if the central that listens there can commit; else 69, with the reason on stdout.
///
/// `tls`: it speaks TLS, of which only that it takes connections is asked.
#[must_use]
pub fn run(listens: SocketAddr, tls: bool) -> ExitCode {
    let mut at = listens;
    if at.ip().is_unspecified() {
        at.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let asked = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    match asked.and_then(|runtime| runtime.block_on(ask(at, tls))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

async fn ask(at: SocketAddr, tls: bool) -> Result<(), String> {
    if tls {
        let connected = tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(at)).await;
        return connected.map_err(|late| late.to_string())?.map(drop).map_err(|error| error.to_string());
    }
    let address = Address { authority: at.to_string(), path: String::new() };
    let reply = Caller::new(address, PATIENCE).get("/readyz").await.map_err(|error| error.to_string())?;
    if reply.is_success() { Ok(()) } else { Err(format!("{}: {}", reply.status, reply.text("error"))) }
}
