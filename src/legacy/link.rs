//! The link to one predecessor: dials it, takes what it dials, and carries between it and the pure [`LegacyPeer`].
//!
//! A peer that is configured `"legacy": true` is one only if it shows to be: v1 does not know HELLO, v2 answers a `peer_id`. Who
//! says HELLO, or agrees on our subprotocol, is one of ours: this link does nothing until that one has been away for a while,
//! for the old program may have been started again in its place.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message};
use log::{info, warn};

use crate::actors::db_reader::Readers;
use crate::actors::db_writer::{DbWriter, Decide, Remember};
use crate::config::model::{DEFAULT_API_PORT, PeerCentral};
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Body, Event};
use crate::domain::ids::{CentralId, LogId};
use crate::domain::plate::PlateId;
use crate::domain::row::StayStatus;
use crate::domain::time::SiteZone;
use crate::ledger::job::{Answer, CorrectStay, Hearing, Job, Refusal, Told, VoidStay};
use crate::legacy::dialect::hear::{Heard, Statement, read};
use crate::legacy::dialect::{self, Dialect, MAX_LEGACY_FRAME_BYTES, V2_PATH};
use crate::legacy::peer::{LegacyOutput, LegacyPeer, RowChange, ToTell};
use crate::links::mesh::{MeshClock, SharedHave, SocketNumbers};
use crate::links::socket::{self, FromSocket, Socket, SocketEvent, ToSocket, Upgraded};
use crate::ops::offences::SaidOnce as SaidBefore;
use crate::replication::handshake::Identity;
use crate::replication::peer::output::SocketId;
use crate::store::StoreError;
use crate::store::reader::Reader;
use crate::wire::frame::{Encoder, Frame};

/// How often it is looked whether there is something to do.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Between two dials, and how long one may take; predecessors wait 10 s.
const DIAL_PAUSE_MS: u64 = 3_000;
const DIAL_TIMEOUT_MS: u64 = 2_000;
/// A socket that has not shown within this what it is, is given up.
const PROOF_MS: u64 = 5_000;
const PING_MS: u64 = 5_000;
/// So long after one of ours was last there it may be a predecessor again, in ms.
const OURS_MS: u64 = 30_000;
/// What could not be read from the disk is read again after this.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Predecessors are given more time than ours: they stand still while they merge.
const SILENCE_MS: u64 = 45_000;

/// What the rest of the program sees of the link; `None`: it does not stand.
pub type Standing = Rc<Cell<Option<Linked>>>;

/// A link that stands.
#[derive(Debug, Clone, Copy)]
pub struct Linked {
    pub dialect: Dialect,
    /// Monotonic ms.
    pub since_ms: u64,
    /// Its clock shows another zone than the settings say: nothing is taken or told.
    pub another_clock: bool,
}

/// What a link is told. What its sockets say is [`FromSocket`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToLegacy {
    /// It dialled us and showed to be a predecessor.
    Adopt { number: SocketId, socket: Socket, dialect: Dialect },
    /// Whether it is told what other centrals of ours wrote.
    Relay(bool),
    /// The peer said HELLO, or is linked as one of ours.
    OneOfOurs,
    /// Close everything, for good.
    Leave,
}

/// What a link needs from its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct LegacyContext {
    pub identity: Identity,
    pub config: PeerCentral,
    /// Of its local times.
    pub zone: SiteZone,
    pub have: SharedHave,
    pub clock: MeshClock,
    pub numbers: SocketNumbers,
    pub writer: actix::Addr<DbWriter>,
    pub readers: Readers,
    pub standing: Standing,
}

struct Dialled {
    number: SocketId,
    socket: Socket,
    dialect: Dialect,
    since_ms: u64,
    proved: bool,
}

pub struct LegacyLink {
    around: LegacyContext,
    /// Until when it counts as one of ours, for it said HELLO.
    ours_until_ms: u64,
    /// What it was surely told; `None` until it was read from the disk.
    told: Option<Vec<(LogId, u64)>>,
    peer: Option<LegacyPeer>,
    /// What the last link knew.
    kept: Option<LegacyPeer>,
    relays: bool,
    dialled: Option<Dialled>,
    accepted: Option<(SocketId, Socket)>,
    dialling: bool,
    next_dial_ms: u64,
    /// The dialect to try next, until one is proved.
    next_dialect: Dialect,
    heard_ms: u64,
    pinged_ms: u64,
    reading: bool,
    /// What it said that has no effect: it says some of it every few seconds.
    said: SaidBefore,
}

impl LegacyLink {
    pub fn new(around: LegacyContext) -> Self {
        around.standing.set(None);
        Self {
            around,
            ours_until_ms: 0,
            told: None,
            peer: None,
            kept: None,
            relays: false,
            dialled: None,
            accepted: None,
            dialling: false,
            next_dial_ms: 0,
            next_dialect: Dialect::V1,
            heard_ms: 0,
            pinged_ms: 0,
            reading: false,
            said: SaidBefore::default(),
        }
    }

    fn name(&self) -> &CentralId {
        &self.around.config.id
    }

    fn now_ms(&self) -> u64 {
        self.around.clock.now().mono_ms
    }

    fn wall_ms(&self) -> i64 {
        self.around.clock.now().wall_ms
    }

    fn look(&mut self, context: &mut Context<Self>) {
        let now_ms = self.now_ms();
        if self.is_one_of_ours() || self.told.is_none() {
            return;
        }
        if self.dialled.is_none() && !self.dialling && now_ms >= self.next_dial_ms {
            self.dial(context);
        }
        if self.dialled.as_ref().is_some_and(|dialled| !dialled.proved && dialled.since_ms + PROOF_MS <= now_ms) {
            self.give_up_dialled(now_ms);
        }
        if self.peer.is_some() && self.heard_ms + SILENCE_MS <= now_ms {
            self.down("nothing was heard for 45 s");
        }
        if now_ms >= self.pinged_ms + PING_MS {
            self.pinged_ms = now_ms;
            let sockets =
                self.dialled.iter().map(|dialled| &dialled.socket).chain(self.accepted.iter().map(|(_, s)| s));
            sockets.for_each(|socket| socket.write(ToSocket::Ping(now_ms)));
        }
        let wall_ms = self.wall_ms();
        if let Some(peer) = &mut self.peer {
            let outputs = peer.tick(now_ms, wall_ms);
            self.perform(outputs, context);
            self.tell_more(context);
        }
    }

    fn dial(&mut self, context: &mut Context<Self>) {
        self.dialling = true;
        let dialect = self.next_dialect;
        let (host, config) = (self.around.config.ip.to_string(), &self.around.config);
        let (port, path) = match dialect {
            Dialect::V1 => (config.p2p_port, "/"),
            Dialect::V2 => (config.api_port.unwrap_or(DEFAULT_API_PORT), V2_PATH),
        };
        let address = socket::PeerAddress { host, port };
        let dialling = wrap_future::<_, Self>(async move {
            socket::upgrade_foreign(&address, path, MAX_LEGACY_FRAME_BYTES, DIAL_TIMEOUT_MS).await
        });
        context.spawn(dialling.map(move |result, link, context| {
            link.dialling = false;
            let now_ms = link.now_ms();
            link.next_dial_ms = now_ms + DIAL_PAUSE_MS;
            match result {
                Ok((_, true)) => link.is_ours(),
                Ok((upgraded, false)) => link.upgraded(upgraded, dialect, context),
                Err(_) => link.try_other(),
            }
        }));
    }

    /// Until one dialect was spoken, both are tried in turn.
    fn try_other(&mut self) {
        if self.kept.is_none() && self.peer.is_none() {
            self.next_dialect = match self.next_dialect {
                Dialect::V1 => Dialect::V2,
                Dialect::V2 => Dialect::V1,
            };
        }
    }

    fn upgraded(&mut self, upgraded: Upgraded, dialect: Dialect, context: &mut Context<Self>) {
        let number = self.around.numbers.next();
        let socket = socket::carry(upgraded, number, context.address().recipient());
        let own = self.around.identity.central.clone();
        let first = match dialect {
            // It does not know this frame, and says so: that is the proof.
            Dialect::V1 => {
                let hello = Frame::Hello(self.around.identity.hello(self.wall_ms()));
                Encoder::new(own).encode(self.wall_ms(), &hello)
            }
            Dialect::V2 => dialect::tell_peer_id(&own),
        };
        socket.write(ToSocket::Text(first));
        self.dialled = Some(Dialled { number, socket, dialect, since_ms: self.now_ms(), proved: false });
    }

    fn give_up_dialled(&mut self, now_ms: u64) {
        self.dialled = None;
        self.next_dial_ms = now_ms + DIAL_PAUSE_MS;
        self.try_other();
    }

    fn is_one_of_ours(&self) -> bool {
        self.now_ms() < self.ours_until_ms
    }

    fn is_ours(&mut self) {
        self.ours_until_ms = self.ours_until_ms.max(self.now_ms().saturating_add(OURS_MS));
        self.dialled = None;
        self.accepted = None;
        if self.peer.is_some() {
            self.down("it is one of ours now");
        }
    }

    /// Nothing is dialled before it is known what was told.
    fn read_told(&self, context: &mut Context<Self>) {
        let (readers, peer) = (self.around.readers.clone(), self.around.config.id.to_string());
        let reading = async move { readers.ask(move |reader| reader.told(&peer)).await };
        context.spawn(wrap_future::<_, Self>(reading).map(|told, link, context| match told {
            Ok(told) => link.told = Some(told),
            Err(error) => {
                warn!(event = "legacy_waits", peer = link.name().as_str(), reason:% = error; "the link to a predecessor waits until the disk can be read");
                context.run_later(READ_AGAIN, |link, context| link.read_told(context));
            }
        }));
    }

    fn ask(&mut self, context: &mut Context<Self>) {
        let wall_ms = self.wall_ms();
        let outputs = self.peer.as_mut().map(|peer| peer.ask(wall_ms));
        self.perform(outputs.unwrap_or_default(), context);
    }

    fn up(&mut self, dialect: Dialect) {
        let now_ms = self.now_ms();
        self.heard_ms = now_ms;
        if self.peer.is_some() {
            return;
        }
        let own = self.around.identity.central.clone();
        let told = self.told.clone().unwrap_or_default();
        let kept = self.kept.take();
        let mut peer = LegacyPeer::new(own, self.around.zone.clone(), dialect, told, kept, now_ms);
        peer.set_relays(self.relays);
        self.peer = Some(peer);
        self.next_dialect = dialect;
        self.around.standing.set(Some(Linked { dialect, since_ms: now_ms, another_clock: false }));
        info!(event = "legacy_connected", peer = self.name().as_str(), dialect = dialect.name(); "a predecessor is linked");
    }

    fn down(&mut self, reason: &str) {
        self.dialled = None;
        self.accepted = None;
        self.kept = self.peer.take().or(self.kept.take());
        self.around.standing.set(None);
        warn!(event = "legacy_disconnected", peer = self.name().as_str(), reason = reason; "a predecessor is no longer linked");
    }

    fn received(&mut self, number: SocketId, text: &str, context: &mut Context<Self>) {
        let said = read(text, &self.around.zone);
        if matches!(said, Ok((_, Heard::Hello))) {
            return self.is_ours();
        }
        let mut dialect = None;
        if let Some(dialled) = self.dialled.as_mut().filter(|dialled| dialled.number == number && !dialled.proved) {
            // What cannot be read proves nothing, and neither does an unknown word.
            dialled.proved = match &said {
                Ok((_, Heard::Error(reason))) => {
                    dialled.dialect == Dialect::V1 && reason.contains("Invalid message type")
                }
                Ok((_, said)) => !matches!(said, Heard::Ignored(_)),
                Err(_) => false,
            };
            dialect = dialled.proved.then_some(dialled.dialect);
        }
        if let Some(dialect) = dialect {
            self.up(dialect);
            if dialect == Dialect::V2 || self.accepted.is_some() {
                self.ask(context);
            }
        }
        self.heard_ms = self.now_ms();
        let wall_ms = self.wall_ms();
        if let Some(peer) = &mut self.peer {
            let outputs = peer.heard(text, wall_ms);
            let another_clock = peer.has_another_clock();
            self.around.standing.set(self.around.standing.get().map(|linked| Linked { another_clock, ..linked }));
            self.perform(outputs, context);
        }
    }

    fn perform(&mut self, outputs: Vec<LegacyOutput>, context: &mut Context<Self>) {
        for output in outputs {
            match output {
                LegacyOutput::Send(text) => self.write(text),
                LegacyOutput::Hear(statements) => self.hear(statements, context),
                LegacyOutput::Change { stay_id, corrected } => self.change(stay_id, corrected, context),
                LegacyOutput::Unusable(reason) => {
                    if !self.said.is_news("", &reason, Instant::now()) {
                        continue;
                    }
                    warn!(event = "legacy_unusable", peer = self.name().as_str(), reason = reason.as_str(); "a predecessor said something that has no effect");
                }
                LegacyOutput::Told(cursors) => {
                    let told = self.told.get_or_insert_default();
                    told.retain(|(log, _)| !cursors.iter().any(|(newer, _)| newer == log));
                    told.extend(cursors.iter().cloned());
                    self.around.writer.do_send(Remember::Told { peer: self.around.config.id.clone(), cursors });
                }
            }
        }
    }

    /// On the socket we dialled, else on its own: it reads both alike.
    fn write(&self, text: String) {
        let dialled = self.dialled.as_ref().filter(|dialled| dialled.proved).map(|dialled| &dialled.socket);
        if let Some(socket) = dialled.or(self.accepted.as_ref().map(|(_, socket)| socket)) {
            socket.write(ToSocket::Text(text));
        }
    }
}

impl Actor for LegacyLink {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.read_told(context);
        context.run_interval(LOOK_PERIOD, Self::look);
    }
}

impl Handler<FromSocket> for LegacyLink {
    type Result = ();

    fn handle(&mut self, message: FromSocket, context: &mut Self::Context) {
        let FromSocket { socket: number, event } = message;
        let is_known = self.dialled.as_ref().is_some_and(|dialled| dialled.number == number)
            || self.accepted.as_ref().is_some_and(|(accepted, _)| *accepted == number);
        if !is_known {
            return;
        }
        match event {
            SocketEvent::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => self.received(number, text, context),
                Err(_) => self.perform(vec![LegacyOutput::Unusable("a text that is not UTF-8".to_owned())], context),
            },
            // Nobody agreed on compression with it.
            SocketEvent::Compressed(_) => {}
            SocketEvent::Pong(_) => {
                let now_ms = self.now_ms();
                self.heard_ms = now_ms;
                if let Some(told) = self.peer.as_mut().and_then(|peer| peer.alive(now_ms)) {
                    self.perform(vec![told], context);
                }
            }
            SocketEvent::Closed(reason) => {
                if self.dialled.as_ref().is_some_and(|dialled| dialled.number == number) {
                    let now_ms = self.now_ms();
                    self.give_up_dialled(now_ms);
                } else {
                    self.accepted = None;
                }
                // What was on its way on that socket may be lost, so that all is said again on the next.
                if self.peer.is_some() {
                    self.down(&reason);
                }
            }
        }
    }
}

impl Handler<ToLegacy> for LegacyLink {
    type Result = ();

    fn handle(&mut self, told: ToLegacy, context: &mut Self::Context) {
        match told {
            ToLegacy::Adopt { number, socket, dialect } if !self.is_one_of_ours() => {
                self.accepted = Some((number, socket));
                self.up(dialect);
                self.ask(context);
            }
            ToLegacy::Adopt { .. } => {}
            ToLegacy::Relay(relays) => {
                self.relays = relays;
                if let Some(peer) = &mut self.peer {
                    peer.set_relays(relays);
                }
            }
            ToLegacy::OneOfOurs => self.is_ours(),
            ToLegacy::Leave => {
                self.ours_until_ms = u64::MAX;
                self.dialled = None;
                self.accepted = None;
                self.around.standing.set(None);
                context.stop();
            }
        }
    }
}

/// What could not be written down is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

impl LegacyLink {
    /// Writes down what it said. It says it only once, so this is tried until it is durable.
    fn hear(&self, statements: Vec<Statement>, context: &mut Context<Self>) {
        let from = self.around.config.id.to_string();
        let told = statements.iter().cloned().map(|Statement { draft, source_central, .. }| Told {
            draft,
            source_central,
            from: from.clone(),
        });
        let (decide, outcome) = Decide::new(Job::Hear(told.collect()));
        self.around.writer.do_send(decide);
        context.spawn(wrap_future::<_, Self>(outcome).map(move |outcome, link, context| match outcome {
            Ok(Ok(Answer::Heard(hearings))) => {
                for reason in hearings.into_iter().filter_map(|hearing| match hearing {
                    Hearing::Refused(reason) => Some(reason),
                    Hearing::New | Hearing::Known => None,
                }) {
                    warn!(event = "legacy_unusable", peer = link.name().as_str(), reason = reason.as_str(); "a predecessor said something that has no effect");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                context.run_later(AGAIN, move |link, context| link.hear(statements, context));
            }
        }));
    }

    /// Makes the change it made. It says that only once, too.
    fn change(&self, stay_id: String, corrected: Option<(PlateId, String)>, context: &mut Context<Self>) {
        let reason = format!("sửa ở / changed at {}", self.name());
        let job = match corrected.clone() {
            Some((plate, view)) => Job::Correct(CorrectStay {
                stay_id: stay_id.clone(),
                plate: Some(plate),
                plate_view: Some(view),
                reason,
                ..CorrectStay::default()
            }),
            None => Job::Void(VoidStay { stay_id: stay_id.clone(), reason }),
        };
        let (decide, outcome) = Decide::new(job.by(Doer::new(DoerKind::Predecessor, self.name().as_str())));
        self.around.writer.do_send(decide);
        context.spawn(wrap_future::<_, Self>(outcome).map(move |outcome, link, context| match outcome {
            Ok(Ok(_) | Err(Refusal::Unchanged | Refusal::AlreadyVoid)) => {}
            Ok(Err(Refusal::NotDurable(_))) | Err(_) => {
                context.run_later(AGAIN, move |link, context| link.change(stay_id, corrected, context));
            }
            Ok(Err(refusal)) => {
                warn!(event = "legacy_unusable", peer = link.name().as_str(), reason:% = refusal; "a predecessor changed something that cannot be changed here");
            }
        }));
    }
}

/// Most bytes of events read at once.
const READ_BYTES: usize = 32 * 1024;
/// By its clock it may have written the row of an entry so long before the entry, in ms.
const WRITTEN_BEFORE_MS: i64 = 24 * 60 * 60 * 1_000;

impl LegacyLink {
    /// Reads the next events it does not know, and tells them.
    fn tell_more(&mut self, context: &mut Context<Self>) {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.reading) else { return };
        let Some((log, after, most)) = peer.next_read(&self.around.have.borrow()) else { return };
        self.reading = true;
        let readers = self.around.readers.clone();
        let to = Listener { name: self.name().clone(), dialect: peer.dialect(), zone: self.around.zone.clone() };
        let wanted = log.clone();
        let reading = async move { readers.ask(move |reader| tellings(reader, &wanted, after, most, &to)).await };
        context.spawn(wrap_future::<_, Self>(reading).map(move |read, link, context| {
            link.reading = false;
            let now = (link.now_ms(), link.wall_ms());
            // What cannot be read now is read at the next look.
            if let (Ok(events), Some(peer)) = (read, &mut link.peer) {
                let outputs = peer.events_read(&log, after, events, now);
                link.perform(outputs, context);
            }
        }));
    }
}

/// Whom it is told to.
struct Listener {
    name: CentralId,
    dialect: Dialect,
    zone: SiteZone,
}

/// The next events of a log, as they are told.
fn tellings(
    reader: &mut Reader,
    log: &LogId,
    after: u64,
    most: usize,
    to: &Listener,
) -> Result<Vec<ToTell>, StoreError> {
    let Some(run) = reader.run(log, after, READ_BYTES)? else { return Ok(Vec::new()) };
    run.events.iter().take(most).map(|bytes| telling(reader, bytes, to)).collect()
}

fn telling(reader: &mut Reader, bytes: &str, to: &Listener) -> Result<ToTell, StoreError> {
    // What a predecessor said they tell each other.
    let Some(event) = Event::parse(bytes).ok().filter(|event| event.heard_from.is_none()) else {
        return Ok(ToTell::Nothing);
    };
    let is_v2 = to.dialect == Dialect::V2;
    match &event.body {
        Body::Correction(_) | Body::Void(_) if is_v2 => {
            Ok(change(reader, &event, to)?.map_or(ToTell::Nothing, ToTell::Change))
        }
        _ if is_v2 && lets_out_another(reader, &event)? => Ok(ToTell::Nothing),
        _ => Ok(dialect::tell_event(&event, to.dialect, &to.zone).map_or(ToTell::Nothing, ToTell::Frame)),
    }
}

/// What a correction or void made of the stay it names. `None`: nothing it has to be told.
fn change(reader: &mut Reader, event: &Event, to: &Listener) -> Result<Option<RowChange>, StoreError> {
    let by = match &event.body {
        Body::Correction(correction) => correction.by.as_deref(),
        Body::Void(void) => void.by.as_deref(),
        _ => None,
    };
    // It was changed there.
    if by == Some(to.name.as_str()) {
        return Ok(None);
    }
    let Some(row) = event.event_id.as_deref().map(|id| reader.stay(id)).transpose()?.flatten() else { return Ok(None) };
    let corrected = if row.status == StayStatus::Void.name() {
        None
    } else {
        let Ok(plate) = PlateId::parse(&row.plate_id) else { return Ok(None) };
        Some((plate, row.plate_view))
    };
    let utc = SiteZone::named("UTC").ok();
    let written_after = utc.map(|utc| utc.local_text(row.entry_ms.saturating_sub(WRITTEN_BEFORE_MS)));
    Ok(Some(RowChange { stay_id: row.event_id, corrected, written_after }))
}

/// The second revision lets out by the plate whatever is inside, if it does not know the stay: an exit from before the car
/// came in again is not for it.
fn lets_out_another(reader: &mut Reader, event: &Event) -> Result<bool, StoreError> {
    match (&event.body, event.recorded_plate()) {
        (Body::Exit(_), Some(plate)) => {
            Ok(reader.newest_entry_ms(plate)?.is_some_and(|entered| entered > event.timestamp_ms))
        }
        _ => Ok(false),
    }
}
