//! A server on a socket of its own, which can move to another address while it runs.
//!
//! A new address is bound while the settings that name it are verified, so that a port that cannot be had is refused
//! before anything changed. Once they are saved, a new server starts on the new socket and the old one finishes what
//! it has accepted, the answer to that very save included.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use actix_web::dev::{Server, ServerHandle};
use log::{error, info, warn};

use crate::actors::config_keeper::{AbandonConfig, ConfigChanged, VerifyConfig};
use crate::actors::supervise::spawn;
use crate::config::model::Config;
use crate::domain::problem::FieldProblem;
use crate::tls::CertificateFiles;
use crate::tls::TlsTerms;

/// Connections that may wait to be accepted: all edges of a site reconnecting at once.
const BACKLOG: u32 = 1024;
/// What is accepted gets this long to be answered when a server stops, in s.
pub const SHUTDOWN_TIMEOUT_S: u64 = 3;
/// A port somebody else has is tried again this often, if the server may start without it.
const RETRY_PERIOD: Duration = Duration::from_secs(5);
/// When a server moves to an address that overlaps its own, the old socket has to go first: tries, and pause between.
const MOVE_TRIES: u32 = 150;
const MOVE_PAUSE: Duration = Duration::from_millis(20);

/// Which server this is.
#[derive(Clone)]
pub struct ServerRole {
    /// In log lines: `api` or `p2p`.
    pub name: &'static str,
    /// The setting that holds its port, for error messages.
    pub field: &'static str,
    /// Where the settings want it; `None`: nowhere.
    pub place: fn(&Config) -> Option<ServeAt>,
    /// What TLS there takes, read anew; `None`: it is spoken with in clear.
    pub secure: Arc<Secure>,
    /// Builds and starts the server on a socket bound there.
    pub serve: Arc<dyn Fn(TcpListener, Option<TlsTerms>) -> io::Result<Server> + Send + Sync>,
}

/// # Errors
/// What a file that is named in the settings lacks.
pub type Secure = dyn Fn(&ServeAt) -> Result<Option<TlsTerms>, FieldProblem> + Send + Sync;

/// Where a server listens, and how it is spoken with there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeAt {
    pub address: SocketAddr,
    pub shows: Shows,
}

/// The certificate a server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// None: it is spoken with in clear.
    Nothing,
    /// This central's own.
    Own,
    /// What an installer was given.
    Given(CertificateFiles),
}

/// A place where a server can start: what can fail has been tried.
#[derive(Debug, Clone)]
struct Ready {
    place: ServeAt,
    tls: Option<TlsTerms>,
}

/// Where a server listens, readable by all.
#[derive(Debug, Clone)]
pub struct Listening(Arc<Mutex<Result<Option<SocketAddr>, String>>>);

impl Default for Listening {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Ok(None))))
    }
}

impl Listening {
    /// `Ok(None)`: not yet or no more; `Err`: why not.
    ///
    /// # Errors
    /// Why it does not listen.
    pub fn get(&self) -> Result<Option<SocketAddr>, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: Result<Option<SocketAddr>, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Stop. Answers once that is done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopServing {
    /// First finish what is accepted. That takes a second where a connection is open; who cannot answer any more does not wait.
    pub finish: bool,
}

/// Start on this socket, which is bound there.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), String>")]
pub struct ServeOn(pub TcpListener, pub ServeAt, pub Option<TlsTerms>);

/// Start there as soon as it can be had; `None`: not now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ServeWhenFree(pub Option<ServeAt>);

/// A server ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct ServerEnded {
    number: u64,
    reason: String,
}

/// The owner of one server.
pub struct Front {
    role: ServerRole,
    listening: Listening,
    running: Option<(ServeAt, ServerHandle)>,
    /// Counts the servers that were started.
    number: u64,
    /// For settings that are being saved; without a socket where the running server has to go first.
    prepared: Option<(Ready, Option<TcpListener>)>,
    /// Where it should be; a retry for another place is out of date.
    wanted: Option<ServeAt>,
    stopped: bool,
}

/// A listening socket at an address, with the options the standard library sets and a longer queue.
///
/// # Errors
/// Those of the system: in use, not ours, not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // A second listen only makes the queue longer.
    rustix::net::listen(&listener, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Front {
    pub fn new(role: ServerRole, listening: Listening) -> Self {
        Self { role, listening, running: None, number: 0, prepared: None, wanted: None, stopped: false }
    }

    fn start(&mut self, listener: TcpListener, ready: Ready, context: &mut Context<Self>) -> Result<(), String> {
        let Ready { place, tls } = ready;
        let secured = tls.is_some();
        let started = listener.local_addr().and_then(|address| Ok((address, (self.role.serve)(listener, tls)?)));
        match started {
            Ok((address, server)) => {
                self.running = Some((place, server.handle()));
                self.number += 1;
                let (number, owner) = (self.number, context.address());
                self.listening.set(Ok(Some(address)));
                info!(event = "listening", server = self.role.name, address = address.to_string(), tls = secured; "listening");
                spawn(async move {
                    let ended = server.await;
                    let reason = ended.err().map_or_else(|| "no reason was told".to_owned(), |error| error.to_string());
                    owner.do_send(ServerEnded { number, reason });
                });
                Ok(())
            }
            Err(error) => {
                error!(event = "listen_failed", server = self.role.name, reason = error.to_string(); "cannot listen");
                self.listening.set(Err(error.to_string()));
                Err(error.to_string())
            }
        }
    }

    /// What a server there takes; `None`: it cannot be had, which is logged and shown.
    fn ready(&self, place: ServeAt) -> Option<Ready> {
        match (self.role.secure)(&place) {
            Ok(tls) => Some(Ready { place, tls }),
            Err(problem) => {
                error!(event = "listen_failed", server = self.role.name, reason = problem.to_string(); "cannot listen");
                self.listening.set(Err(problem.to_string()));
                None
            }
        }
    }

    /// Lets the running server finish, in the background.
    fn retire(&mut self) {
        if let Some((place, handle)) = self.running.take() {
            self.listening.set(Ok(None));
            info!(event = "listening_ended", server = self.role.name, address:% = place.address; "finishing what is accepted here");
            spawn(handle.stop(true));
        }
    }

    fn try_bind(&mut self, ready: Ready, context: &mut Context<Self>, pause: Duration, tries: Option<u32>) {
        if self.stopped || self.wanted.as_ref() != Some(&ready.place) || self.running.is_some() {
            return;
        }
        let address = ready.place.address;
        let error = match bind(address) {
            Ok(listener) => return drop(self.start(listener, ready, context)),
            Err(error) => error,
        };
        let first = self.listening.get().is_ok();
        let left = tries.map(|tries| tries.saturating_sub(1));
        if first && left.is_none_or(|left| left == 0) {
            warn!(
                event = "listen_failed", server = self.role.name, address = address.to_string(), reason = error.to_string();
                "cannot listen; trying again until it works"
            );
            self.listening.set(Err(error.to_string()));
        }
        // After the quick tries of a move come the patient ones.
        let (pause, left) = if left == Some(0) { (RETRY_PERIOD, None) } else { (pause, left) };
        context.run_later(pause, move |front, context| front.try_bind(ready, context, pause, left));
    }
}

/// Whether binding `new` collides with our own socket at `old`.
fn overlaps(old: SocketAddr, new: SocketAddr) -> bool {
    old.port() == new.port() && (old.ip() == new.ip() || old.ip().is_unspecified() || new.ip().is_unspecified())
}

impl Actor for Front {
    type Context = Context<Self>;
}

impl Handler<ServeOn> for Front {
    type Result = Result<(), String>;

    fn handle(&mut self, on: ServeOn, context: &mut Self::Context) -> Self::Result {
        let ServeOn(listener, place, tls) = on;
        self.wanted = Some(place.clone());
        self.start(listener, Ready { place, tls }, context)
    }
}

impl Handler<ServeWhenFree> for Front {
    type Result = ();

    fn handle(&mut self, when: ServeWhenFree, context: &mut Self::Context) {
        self.wanted.clone_from(&when.0);
        if let Some(ready) = when.0.and_then(|place| self.ready(place)) {
            self.try_bind(ready, context, RETRY_PERIOD, None);
        }
    }
}

impl Handler<VerifyConfig> for Front {
    type Result = Result<(), FieldProblem>;

    fn handle(&mut self, verify: VerifyConfig, _: &mut Self::Context) -> Self::Result {
        self.prepared = None;
        let wanted = (self.role.place)(&verify.new);
        if wanted == self.wanted {
            return Ok(());
        }
        let Some(place) = wanted else { return Ok(()) };
        let address = place.address;
        let ready = Ready { tls: (self.role.secure)(&place)?, place };
        match self.running.as_ref().map(|(running, _)| running.address) {
            Some(running) if overlaps(running, address) => {
                self.prepared = Some((ready, None));
                Ok(())
            }
            _ => match bind(address) {
                Ok(listener) => {
                    self.prepared = Some((ready, Some(listener)));
                    Ok(())
                }
                Err(error) => Err(FieldProblem::new(
                    self.role.field,
                    "cannot_listen",
                    format!("không mở được {address}: {error}"),
                    format!("cannot listen on {address}: {error}"),
                )),
            },
        }
    }
}

impl Handler<AbandonConfig> for Front {
    type Result = ();

    fn handle(&mut self, _: AbandonConfig, _: &mut Self::Context) {
        self.prepared = None;
    }
}

impl Handler<ConfigChanged> for Front {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, context: &mut Self::Context) {
        let wanted = (self.role.place)(&changed.new);
        let prepared = self.prepared.take().filter(|(ready, _)| Some(&ready.place) == wanted.as_ref());
        if self.wanted == wanted && prepared.is_none() {
            return;
        }
        self.wanted.clone_from(&wanted);
        let Some(place) = wanted else { return self.retire() };
        // Without a place that was verified the old server stays: it is better than none.
        let Some((ready, listener)) = prepared.or_else(|| Some((self.ready(place)?, None))) else { return };
        self.retire();
        // A failure is logged and shown, and tried again.
        let started = listener.is_some_and(|listener| self.start(listener, ready.clone(), context).is_ok());
        if !started {
            self.try_bind(ready, context, MOVE_PAUSE, Some(MOVE_TRIES));
        }
    }
}

impl Handler<ServerEnded> for Front {
    type Result = ();

    /// Those that were stopped are not the running one any more.
    fn handle(&mut self, ended: ServerEnded, context: &mut Self::Context) {
        if ended.number != self.number || self.stopped {
            return;
        }
        let Some((place, _)) = self.running.take() else { return };
        error!(event = "listening_lost", server = self.role.name, reason = ended.reason.as_str(); "a server ended by itself: it is started anew");
        self.listening.set(Ok(None));
        if let Some(ready) = self.ready(place) {
            self.try_bind(ready, context, MOVE_PAUSE, Some(MOVE_TRIES));
        }
    }
}

impl Handler<StopServing> for Front {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, stop: StopServing, _: &mut Self::Context) -> Self::Result {
        self.stopped = true;
        match self.running.take() {
            Some((_, handle)) => Box::pin(handle.stop(stop.finish)),
            None => Box::pin(std::future::ready(())),
        }
    }
}
