//! The server other centrals dial: nothing but upgrades to a peer's socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

use super::server::{Role, SHUTDOWN_TIMEOUT_S};
use super::ws_peer::{self, PeerEntrance};
use crate::config::model::Config;

/// Time for the head of an upgrade request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames are only carried here; the work is done elsewhere.
const WORKERS: usize = 1;

/// The P2P server of a central.
#[must_use]
pub fn role(entrance: PeerEntrance) -> Role {
    Role {
        name: "p2p",
        field: "this_central.p2p_port",
        address,
        serve: Arc::new(move |listener| serve(&entrance, listener)),
    }
}

/// Where the settings want it.
#[must_use]
pub fn address(config: &Config) -> SocketAddr {
    SocketAddr::new(config.listen_ip(), config.this_central.p2p_port)
}

fn serve(entrance: &PeerEntrance, listener: TcpListener) -> io::Result<Server> {
    let entrance = web::Data::new(entrance.clone());
    let server =
        HttpServer::new(move || App::new().app_data(entrance.clone()).default_service(web::to(ws_peer::upgrade)))
            .workers(WORKERS)
            .tcp_nodelay(true)
            .client_request_timeout(HEAD_TIMEOUT)
            .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
            .disable_signals()
            .listen(listener)?;
    Ok(server.run())
}
