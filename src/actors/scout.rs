//! Says on the network that this central is there, and hears who else is: multicast DNS (`wire::announcement`); who was found is kept by
//! `links::nearby`, and nothing else follows from it.
//!
//! - Where others cannot reach this central, or the settings say so, it has no socket and says nothing.
//! - What arrives is read at a bounded rate ([`MESSAGES_PER_S`]); more than that the system drops, and nobody is woken for it.
//! - A network or a system that does not let it is told once, and tried again. Nobody waits for it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};
use log::{info, warn};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::config_keeper::{Concerns, ConfigChanged, ConfigKeeper, Participant};
use super::supervise::Handle;
use crate::links::nearby::{Looking, Nearby};
use crate::wire::announcement::{Call, GROUP, MAX_MESSAGE_BYTES, PORT, question};

/// Messages of others that are read in a second: far more than the devices of a site say.
pub const MESSAGES_PER_S: usize = 100;
/// How soon all are asked after a start, and how often from then on, unless another central just asked.
const FIRST_QUESTIONS: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(2), Duration::from_secs(8)];
const ASK_PERIOD: Duration = Duration::from_secs(60);
const ASKED_LATELY: Duration = Duration::from_secs(30);
/// An answer waits a moment, so that not all answer at once, and this long after the one before.
const ANSWER_MS: std::ops::Range<u64> = 20..120;
const ANSWER_PAUSE: Duration = Duration::from_secs(1);
/// A network that could not be spoken to is tried again after this.
const RETRY: Duration = Duration::from_secs(30);
/// How many routers a message may pass: the standard's, by which a receiver knows that it passed none.
const HOPS: u32 = 255;

/// Somebody said something about centrals.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Overheard {
    call: Call,
    from: Ipv4Addr,
}

/// Say that this central goes, and be quiet from now on.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SayGoodbye;

/// The socket, and the task that reads from it.
struct Ears {
    socket: Rc<UdpSocket>,
    reading: SpawnHandle,
    place: Ipv4Addr,
}

pub struct Scout {
    nearby: Nearby,
    keeper: Handle<ConfigKeeper>,
    ears: Option<Ears>,
    asked_at: Option<Instant>,
    said_at: Option<Instant>,
    answer_is_due: bool,
    retry_is_due: bool,
}

impl Scout {
    pub fn new(nearby: Nearby, keeper: Handle<ConfigKeeper>) -> Self {
        Self { nearby, keeper, ears: None, asked_at: None, said_at: None, answer_is_due: false, retry_is_due: false }
    }

    /// Speaks where the settings want it now.
    fn follow(&mut self, context: &mut Context<Self>) {
        let place = match self.nearby.place() {
            Ok(place) => place,
            Err(why) => {
                self.close(context);
                self.nearby.looks(Looking::Quiet(why));
                return;
            }
        };
        if self.ears.as_ref().is_none_or(|ears| ears.place != place) {
            self.close(context);
            match open(place) {
                Ok(socket) => self.listen(Rc::new(socket), place, context),
                Err(error) => return self.failed(&error, context),
            }
        }
        self.say();
    }

    fn listen(&mut self, socket: Rc<UdpSocket>, place: Ipv4Addr, context: &mut Context<Self>) {
        let reading = wrap_future::<_, Self>(read(socket.clone(), context.address()));
        let reading = context.spawn(reading.map(|error, scout, context| scout.failed(&error, context)));
        self.ears = Some(Ears { socket, reading, place });
        if self.nearby.looks(Looking::On) {
            info!(event = "discovery_on", address:% = place; "this central says on its network that it is there, and hears who else is");
        }
        for pause in FIRST_QUESTIONS {
            context.run_later(pause, |scout, _| scout.ask());
        }
    }

    fn failed(&mut self, error: &io::Error, context: &mut Context<Self>) {
        self.close(context);
        let reason = error.to_string();
        if self.nearby.looks(Looking::Failed(reason.clone())) {
            warn!(event = "discovery_failed", reason = reason.as_str(); "centrals cannot be found on this network: it is tried again; nothing else needs it");
        }
        if !std::mem::replace(&mut self.retry_is_due, true) {
            context.run_later(RETRY, |scout, context| {
                scout.retry_is_due = false;
                scout.follow(context);
            });
        }
    }

    fn close(&mut self, context: &mut Context<Self>) {
        if let Some(ears) = self.ears.take() {
            tell(&ears.socket, &self.nearby.own().leaving());
            context.cancel_future(ears.reading);
        }
    }

    fn ask(&mut self) {
        if let Some(ears) = &self.ears {
            tell(&ears.socket, &question());
        }
    }

    fn say(&mut self) {
        self.said_at = Some(Instant::now());
        if let Some(ears) = &self.ears {
            let ip = Some(ears.place).filter(|ip| !ip.is_unspecified());
            tell(&ears.socket, &self.nearby.own().here(ip));
        }
    }

    fn answer_soon(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.answer_is_due, true) {
            return;
        }
        let since = self.said_at.map_or(ANSWER_PAUSE, |at| at.elapsed());
        let pause = ANSWER_PAUSE.saturating_sub(since) + Duration::from_millis(fastrand::u64(ANSWER_MS));
        context.run_later(pause, |scout, _| {
            scout.answer_is_due = false;
            scout.say();
        });
    }
}

/// Reads what is said, until that fails. Who says too much is not waited for with a socket that wakes this thread.
async fn read(socket: Rc<UdpSocket>, scout: Addr<Scout>) -> io::Error {
    let mut message = [0; MAX_MESSAGE_BYTES];
    loop {
        let until = tokio::time::Instant::now() + Duration::from_secs(1);
        let awake = match socket.try_clone().and_then(tokio::net::UdpSocket::from_std) {
            Ok(awake) => awake,
            Err(error) => return error,
        };
        for _ in 0..MESSAGES_PER_S {
            match awake.recv_from(&mut message).await {
                Ok((length, SocketAddr::V4(from))) => {
                    let call = message.get(..length).and_then(Call::read);
                    if let Some(call) = call {
                        scout.do_send(Overheard { call, from: *from.ip() });
                    }
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        drop(awake);
        tokio::time::sleep_until(until).await;
    }
}

/// What cannot be said now is said when it is asked for again.
fn tell(socket: &UdpSocket, message: &[u8]) {
    drop(socket.send_to(message, (GROUP, PORT)));
}

/// Hears what is said to the group on one network and nothing else, beside whoever else of this machine does.
fn open(place: Ipv4Addr) -> io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(GROUP, PORT))?;
    sockopt::set_ip_add_membership(&socket, &GROUP, &place)?;
    sockopt::set_ip_multicast_if(&socket, &place)?;
    sockopt::set_ip_multicast_ttl(&socket, HOPS)?;
    Ok(UdpSocket::from(socket))
}

impl Actor for Scout {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let changed = context.address().recipient();
        self.keeper.do_send(Concerns(Participant { name: "scout", verify: None, changed }));
        self.follow(context);
        context.run_interval(ASK_PERIOD, |scout, _| {
            scout.nearby.forget_silent();
            if scout.asked_at.is_none_or(|at| at.elapsed() >= ASKED_LATELY) {
                scout.ask();
            }
        });
    }
}

impl Handler<Overheard> for Scout {
    type Result = ();

    fn handle(&mut self, Overheard { call, from }: Overheard, context: &mut Self::Context) {
        match call {
            Call::WhoIsThere => {
                self.asked_at = Some(Instant::now());
                self.answer_soon(context);
            }
            Call::Here(announcement) => self.nearby.heard(announcement, from),
            Call::Leaving(fingerprint) => self.nearby.left(fingerprint, from),
        }
    }
}

impl Handler<ConfigChanged> for Scout {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, context: &mut Self::Context) {
        let (old, new) = (&changed.old, &changed.new);
        if old.this_central != new.this_central || old.security != new.security || old.bind != new.bind {
            self.follow(context);
        }
    }
}

impl Handler<SayGoodbye> for Scout {
    type Result = ();

    fn handle(&mut self, _: SayGoodbye, context: &mut Self::Context) {
        self.close(context);
    }
}
