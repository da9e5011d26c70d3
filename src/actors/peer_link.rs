//! The link to one peer: carries what goes in and out of the pure [`Peer`], and decides nothing.
//!
//! It owns the peer's sockets and one timer. When it fails, its sockets close with it and a new one dials at once; the
//! coordinator is told that the old link is gone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle};
use log::{debug, error, info, warn};

use super::supervise::Handle;
use super::sync_coordinator::SyncCoordinator;
use crate::desks::people_desk::PeopleDesk;
use crate::domain::fingerprint::Fingerprint;
use crate::links::mesh::{Door, FromLink, LinkNews, MeshClock, RunReader, SeenStarts, SharedHave, SocketNumbers};
use crate::links::socket::{self, DialError, FromSocket, PeerAddress, Socket, SocketEvent, ToSocket, Upgraded};
use crate::links::trust_desk::TrustDesk;
use crate::replication::log::CommittedRun;
use crate::replication::peer::output::{Alarm, PeerCommand, PeerOutput, PeerReport, PeerStatus, RunRead, SocketId};
use crate::replication::peer::{Peer, PeerSettings};
use crate::trust::judge::{Believed, Distrust, Reached};
use crate::wire::compressed;
use crate::wire::frame::{Beat, Hello, PeopleSaid};

/// While a peer stays away, a failed dial is logged the first time and then at each of these many.
const LOG_EVERY_DIALS: u32 = 100;

/// Somebody answered a dial, and the certificate shown, if TLS is spoken.
type Answered = (Upgraded, Option<Fingerprint>);

/// What a link is told. What its sockets say is [`FromSocket`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToLink {
    /// The peer dialled us and introduced itself.
    Adopt { number: SocketId, socket: Socket, hello: Hello },
    /// What was committed just now, encoded once for all links.
    Committed(Arc<[CommittedRun]>),
    /// The coordinator's wish, about the link it means.
    Command { link: SocketId, command: PeerCommand },
    /// The coordinator was built anew and knows nothing of this link.
    CoordinatorRestarted,
    /// What the next HEARTBEATs say.
    Say(Beat),
    /// Say who may log in at the site.
    People(PeopleSaid),
    /// Dial now, if there is no link.
    RetryNow,
    /// Say goodbye and never dial again.
    Leave,
}

/// How is this link?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PeerStatus")]
pub struct AskLink;

/// What a link needs from its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct LinkContext {
    pub settings: PeerSettings,
    pub address: PeerAddress,
    pub trust: TrustDesk,
    /// Whom it is told what the peer says of people, and that it is linked; `None`: the peer proves nothing.
    pub people: Option<Arc<PeopleDesk>>,
    pub have: SharedHave,
    pub clock: MeshClock,
    pub numbers: SocketNumbers,
    pub coordinator: Handle<SyncCoordinator>,
    pub registry: Door<LinkNews>,
    pub reader: RunReader,
    pub seen: SeenStarts,
    /// The link in use, kept across restarts of the actor: a new one reports it as gone.
    pub link_in_use: Rc<Cell<Option<SocketId>>>,
    /// Decides the jitter of the back-off.
    pub seed: u64,
}

pub struct PeerLink {
    around: LinkContext,
    peer: Peer,
    sockets: BTreeMap<SocketId, Socket>,
    /// Dialled sockets of a peer that was never met, with the certificate that is pinned once it proves to be that peer.
    first_contacts: BTreeMap<SocketId, Fingerprint>,
    timer: Option<(u64, SpawnHandle)>,
    failed_dials: u32,
}

impl PeerLink {
    pub fn new(around: LinkContext) -> Self {
        let mut peer = Peer::new(around.settings.clone(), around.clock.now(), around.seed);
        peer.remember(around.seen.of(&around.settings.peer, around.trust.pin(&around.settings.peer)));
        Self { around, peer, sockets: BTreeMap::new(), first_contacts: BTreeMap::new(), timer: None, failed_dials: 0 }
    }

    fn name(&self) -> &str {
        self.around.settings.peer.as_str()
    }

    /// Does what the state machine wants done, then sets the timer.
    fn perform(&mut self, context: &mut Context<Self>) {
        for output in self.peer.take_outputs() {
            match output {
                PeerOutput::Dial { attempt, timeout_ms } => self.dial(attempt, timeout_ms, context),
                PeerOutput::Send { socket, text } => self.write(socket, ToSocket::Text(text)),
                PeerOutput::SendCompressed { socket, text } => self.write(socket, compressed(text)),
                PeerOutput::Ping { socket, payload } => self.write(socket, ToSocket::Ping(payload)),
                PeerOutput::Close { socket, code, reason } => {
                    debug!(event = "socket_closed", peer = self.name(), reason = reason.as_str(); "socket closed");
                    self.write(socket, ToSocket::Close { code, reason });
                    self.sockets.remove(&socket);
                    self.first_contacts.remove(&socket);
                }
                PeerOutput::ReadRun(read) => {
                    let reading = wrap_future::<_, Self>((self.around.reader)(read));
                    context.spawn(reading.map(|read, link, context| link.run_read(read, context)));
                }
                PeerOutput::Report(report) => self.report(report),
                PeerOutput::Alarm(alarm) => self.around.registry.send(LinkNews::Alarm(alarm)),
            }
        }
        self.set_timer(context);
    }

    fn write(&self, socket: SocketId, what: ToSocket) {
        if let Some(socket) = self.sockets.get(&socket) {
            socket.write(what);
        }
    }

    fn report(&mut self, report: PeerReport) {
        let peer = self.around.settings.peer.clone();
        let news = match &report {
            PeerReport::LinkUp { link } => {
                self.failed_dials = 0;
                self.around.link_in_use.set(Some(*link));
                if let Some(shown) = self.first_contacts.remove(link) {
                    self.around.trust.learn(&self.around.settings.peer, shown);
                }
                self.around.trust.linked(&self.around.settings.peer);
                if let Some(people) = &self.around.people {
                    people.linked(&peer);
                }
                info!(event = "peer_connected", peer = self.name(); "peer connected");
                Some(LinkNews::Up(peer.clone()))
            }
            PeerReport::LinkDown { reason, .. } => {
                self.around.link_in_use.set(None);
                warn!(event = "peer_disconnected", peer = self.name(), reason = reason.as_str(); "peer disconnected");
                Some(LinkNews::Down)
            }
            PeerReport::Started(seen) => return self.around.seen.saw(&peer, self.around.trust.pin(&peer), *seen),
            // Before any run of it: whose key it is decides whose log it is.
            PeerReport::Vouches { keys } => return self.around.trust.hear_keys(&peer, keys),
            PeerReport::SignsLogs => return self.around.trust.signs_logs(&peer),
            PeerReport::People(said) => {
                if let Some(people) = &self.around.people {
                    people.heard(&peer, said.clone());
                }
                return;
            }
            _ => None,
        };
        self.around.coordinator.do_send(FromLink { peer, report });
        if let Some(news) = news {
            self.around.registry.send(news);
        }
    }

    fn dial(&mut self, attempt: u64, timeout_ms: u64, context: &mut Context<Self>) {
        debug!(event = "peer_dialing", peer = self.name(), attempt = attempt; "dialing peer");
        let (address, secured) = (self.around.address.clone(), self.around.trust.client(&self.around.settings.peer));
        let dialling = wrap_future::<_, Self>(async move {
            let secured = secured.map_err(DialError::Failed)?;
            let upgraded = socket::upgrade(&address, secured.as_ref(), timeout_ms).await?;
            Ok((upgraded, secured.and_then(|secured| secured.shown())))
        });
        context.spawn(dialling.map(move |result, link, context| link.dial_ended(attempt, result, context)));
    }

    fn dial_ended(&mut self, attempt: u64, result: Result<Answered, DialError>, context: &mut Context<Self>) {
        let believed = result.and_then(|(upgraded, shown)| Ok((upgraded, shown, self.believe(shown)?)));
        match believed {
            Ok((upgraded, shown, believed)) => {
                let number = self.around.numbers.next();
                let socket = socket::carry(upgraded, number, context.address().recipient());
                self.sockets.insert(number, socket);
                if let (Some(shown), Believed::FirstContact) = (shown, believed) {
                    self.first_contacts.insert(number, shown);
                }
                self.peer.dialled(self.around.clock.now(), attempt, number);
            }
            Err(reason) => self.dial_failed(attempt, &reason),
        }
        self.perform(context);
    }

    /// Judges who answered with this certificate; without TLS whoever is at the address is believed.
    fn believe(&self, shown: Option<Fingerprint>) -> Result<Believed, DialError> {
        let Some(shown) = shown else { return Ok(Believed::Pinned) };
        let judged = self.around.trust.judge(&self.around.settings.peer, shown, Reached::Dialled);
        judged.map_err(|distrust| match distrust {
            Distrust::Changed { .. } => DialError::OtherCertificate(shown),
            Distrust::OwnCertificate { .. } => {
                let url = self.around.address.url(true);
                self.around.trust.note_clone(&self.around.settings.peer, &url, &distrust);
                DialError::Failed(distrust.to_string())
            }
            other => DialError::Failed(other.to_string()),
        })
    }

    /// A socket of the first contact speaks: meanwhile another may have made it.
    fn still_believed(&self, number: SocketId) -> bool {
        self.first_contacts.get(&number).is_none_or(|shown| self.believe(Some(*shown)).is_ok())
    }

    fn dial_failed(&mut self, attempt: u64, reason: &DialError) {
        let url = self.around.address.url(!self.around.trust.is_open());
        if let DialError::OtherCertificate(shown) = reason {
            self.around.trust.note_refused(&self.around.settings.peer, *shown, &url);
        }
        if self.failed_dials.is_multiple_of(LOG_EVERY_DIALS) {
            let dials = self.failed_dials + 1;
            warn!(
                event = "peer_dial_failed", peer = self.name(), address = url.as_str(),
                reason:% = reason, dials = dials;
                "cannot reach peer, trying on"
            );
        }
        self.failed_dials = self.failed_dials.saturating_add(1);
        self.peer.dial_failed(self.around.clock.now(), attempt, &reason.to_string());
    }

    fn run_read(&mut self, read: RunRead, context: &mut Context<Self>) {
        let have = self.around.have.clone();
        self.peer.run_read(self.around.clock.now(), &have.borrow(), read);
        self.perform(context);
    }

    fn set_timer(&mut self, context: &mut Context<Self>) {
        let Some(due_ms) = self.peer.next_wakeup_ms() else { return };
        if self.timer.is_some_and(|(set_for_ms, _)| set_for_ms == due_ms) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            context.cancel_future(timer);
        }
        let wait_ms = due_ms.saturating_sub(self.around.clock.now().mono_ms);
        // One ms more: a timer that fires a moment early would find nothing due and spin.
        let timer = context.run_later(Duration::from_millis(wait_ms.saturating_add(1)), |link, context| {
            link.timer = None;
            let have = link.around.have.clone();
            link.peer.tick(link.around.clock.now(), &have.borrow());
            link.perform(context);
        });
        self.timer = Some((due_ms, timer));
    }
}

impl Actor for PeerLink {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(link) = self.around.link_in_use.take() {
            let reason = "the link failed and is built anew".to_owned();
            self.report(PeerReport::LinkDown { link, reason });
        }
        let have = self.around.have.clone();
        self.peer.tick(self.around.clock.now(), &have.borrow());
        self.perform(context);
    }
}

impl Handler<FromSocket> for PeerLink {
    type Result = ();

    fn handle(&mut self, message: FromSocket, context: &mut Self::Context) {
        let FromSocket { socket: number, event } = message;
        let event = match event {
            SocketEvent::Text(_) | SocketEvent::Compressed(_) if !self.still_believed(number) => {
                SocketEvent::Closed("another certificate was pinned for this peer meanwhile".to_owned())
            }
            event => event,
        };
        let have = self.around.have.clone();
        let (now, held) = (self.around.clock.now(), have.borrow());
        match event {
            SocketEvent::Text(text) => self.peer.received(now, &held, number, socket::frame(&text)),
            SocketEvent::Compressed(bytes) => {
                self.peer.received(now, &held, number, socket::compressed_frame(&bytes));
            }
            SocketEvent::Pong(payload) => self.peer.pong(now, &held, number, payload),
            SocketEvent::Closed(reason) => {
                self.sockets.remove(&number);
                self.first_contacts.remove(&number);
                self.peer.closed(now, &held, number, &reason);
            }
        }
        drop(held);
        self.perform(context);
    }
}

impl Handler<ToLink> for PeerLink {
    type Result = ();

    fn handle(&mut self, told: ToLink, context: &mut Self::Context) {
        let leaves = matches!(told, ToLink::Leave);
        let (now, have) = (self.around.clock.now(), self.around.have.clone());
        let held = have.borrow();
        match told {
            ToLink::Adopt { number, socket, hello } => {
                self.sockets.insert(number, socket);
                self.peer.accepted(now, &held, number, hello);
            }
            ToLink::Committed(runs) => self.peer.committed(now, &held, &runs),
            ToLink::Command { link, command } => self.peer.command(now, &held, link, command),
            ToLink::CoordinatorRestarted => self.peer.coordinator_restarted(now, &held),
            ToLink::Say(heartbeat) => {
                self.peer.set_heartbeat(heartbeat);
                self.peer.tick(now, &held);
            }
            ToLink::People(said) => {
                if self.around.people.is_some() {
                    self.peer.tell_people(now, said);
                }
            }
            ToLink::RetryNow => {
                self.peer.retry_now(now);
                self.peer.tick(now, &held);
            }
            ToLink::Leave => self.peer.stop(now, &held),
        }
        drop(held);
        self.perform(context);
        if leaves {
            context.stop();
        }
    }
}

impl Handler<AskLink> for PeerLink {
    type Result = MessageResult<AskLink>;

    fn handle(&mut self, _: AskLink, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.peer.status(&self.around.have.borrow()))
    }
}

/// Logs an alarm under its stable name.
pub fn log_alarm(alarm: &Alarm) {
    error!(event = "alarm", alarm = alarm.name(), detail:% = alarm; "the mesh needs a person's attention");
}

fn compressed(text: String) -> ToSocket {
    compressed::compress(&text).map_or(ToSocket::Text(text), ToSocket::Compressed)
}
