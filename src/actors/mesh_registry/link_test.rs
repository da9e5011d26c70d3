//! "Test connection": really connects, step by step, and says which step failed and why.
//!
//! Resolve, TCP and WebSocket are tried on a socket of their own, closed before anyone introduces himself, so that a
//! working link is not disturbed. Handshake, round trip and clock offset are those of the link itself, which is made to
//! dial at once if it is down.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use utoipa::ToSchema;

use crate::actors::peer_link::{AskLink, PeerLink, ToLink};
use crate::actors::supervise::Handle;
use crate::links::socket::{self, PeerAddress};
use crate::replication::peer::output::{LinkState, PeerStatus};
use crate::tls::peers::Client;

/// Connecting gets as long as a link's own dial.
const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// The link gets this long to shake hands and to measure one round trip.
const LINK_TIMEOUT: Duration = Duration::from_secs(6);
/// A link that stays down this long after a dial was refused; between two dials of one attempt it is down for less.
const REFUSED_AFTER: Duration = Duration::from_millis(250);
/// How often the link is asked meanwhile.
const ASK_PERIOD: Duration = Duration::from_millis(50);

/// What came of a test: the steps that were made, the last one being the one that failed, if one did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkTest {
    pub ok: bool,
    pub steps: Vec<LinkTestStep>,
    pub round_trip_ms: Option<f64>,
    pub clock_offset_ms: Option<i64>,
}

/// One step: `resolve`, `tcp`, `websocket`, `handshake`, `round_trip`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LinkTestStep {
    pub step: &'static str,
    pub ok: bool,
    pub took_ms: f64,
    /// What was found, or why it failed.
    pub detail: String,
}

struct TestSteps {
    made: Vec<LinkTestStep>,
    told: Option<UnboundedSender<LinkTestStep>>,
}

impl TestSteps {
    fn note(&mut self, step: &'static str, since: Instant, result: Result<String, String>) -> bool {
        let took_ms = since.elapsed().as_secs_f64() * 1_000.0;
        let ok = result.is_ok();
        let made = LinkTestStep { step, ok, took_ms, detail: result.unwrap_or_else(|error| error) };
        if let Some(told) = &self.told {
            // Who no longer looks misses nothing.
            drop(told.send(made.clone()));
        }
        self.made.push(made);
        ok
    }

    fn failed(self) -> LinkTest {
        LinkTest { ok: false, steps: self.made, round_trip_ms: None, clock_offset_ms: None }
    }
}

/// Tries the connection to a peer.
///
/// `secured`: the TLS to dial it with, or why there is none; `Ok(None)`: it is dialled without. `told`: hears of each step when
/// it is made.
pub async fn run(
    address: PeerAddress,
    secured: Result<Option<Client>, String>,
    link: Handle<PeerLink>,
    told: Option<UnboundedSender<LinkTestStep>>,
) -> LinkTest {
    let mut steps = TestSteps { made: Vec::new(), told };
    let since = Instant::now();
    let resolved = resolve(&address).await;
    let first = resolved.as_ref().ok().copied();
    if !steps.note("resolve", since, resolved.map(|address| address.ip().to_string())) {
        return steps.failed();
    }
    let since = Instant::now();
    let connected = match first {
        Some(address) => connect(address).await,
        None => Err("no address".to_owned()),
    };
    if !steps.note("tcp", since, connected.map(|()| format!("port {} is open", address.port))) {
        return steps.failed();
    }
    let since = Instant::now();
    let upgraded = match &secured {
        Ok(secured) => {
            socket::upgrade(&address, secured.as_ref(), CONNECT_TIMEOUT_MS).await.map_err(|error| error.to_string())
        }
        Err(reason) => Err(reason.clone()),
    };
    let upgraded = upgraded.map(|_| "a central of ours answers".to_owned());
    if !steps.note("websocket", since, upgraded) {
        return steps.failed();
    }
    let since = Instant::now();
    link.do_send(ToLink::RetryNow);
    let status = match linked(&link, |status| status.state == LinkState::Connected).await {
        Ok(status) => status,
        Err(reason) => {
            steps.note("handshake", since, Err(reason));
            return steps.failed();
        }
    };
    steps.note("handshake", since, Ok(format!("linked with {}", status.peer)));
    let since = Instant::now();
    match linked(&link, |status| status.round_trip_ms.is_some()).await {
        Ok(status) => {
            let round_trip_ms = status.round_trip_ms.unwrap_or_default();
            steps.note("round_trip", since, Ok(format!("{round_trip_ms} ms")));
            #[expect(clippy::cast_precision_loss, reason = "a round trip is far below 2^52 ms")]
            let round_trip_ms = Some(round_trip_ms as f64);
            LinkTest { ok: true, steps: steps.made, round_trip_ms, clock_offset_ms: status.clock_offset_ms }
        }
        Err(reason) => {
            steps.note("round_trip", since, Err(reason));
            steps.failed()
        }
    }
}

async fn resolve(address: &PeerAddress) -> Result<std::net::SocketAddr, String> {
    let looked_up = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let mut found = looked_up.map_err(|error| format!("cannot resolve {}: {error}", address.host))?;
    found.next().ok_or_else(|| format!("{} has no address", address.host))
}

async fn connect(address: std::net::SocketAddr) -> Result<(), String> {
    let timeout = Duration::from_millis(CONNECT_TIMEOUT_MS);
    match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT_TIMEOUT_MS} ms")),
    }
}

/// Waits until the link's status is as wanted; else what it last complained of. A link that is down for a moment after it was
/// made to dial has been refused: there is no point in waiting for its next try.
async fn linked(link: &Handle<PeerLink>, wanted: impl Fn(&PeerStatus) -> bool) -> Result<PeerStatus, String> {
    let deadline = Instant::now() + LINK_TIMEOUT;
    let mut down_since = None;
    loop {
        let status = link.addr().send(AskLink).await.map_err(|_| "the link was restarted meanwhile".to_owned())?;
        if wanted(&status) {
            return Ok(status);
        }
        let down_for = match status.state {
            LinkState::Disconnected => down_since.get_or_insert_with(Instant::now).elapsed(),
            LinkState::Connecting | LinkState::Connected => {
                down_since = None;
                Duration::ZERO
            }
        };
        if down_for >= REFUSED_AFTER || Instant::now() > deadline {
            return Err(status.last_error.unwrap_or_else(|| "no answer to our HELLO".to_owned()));
        }
        tokio::time::sleep(ASK_PERIOD).await;
    }
}
