//! Who should be linked, and the one who tells the links what was committed.
//!
//! - It holds one supervised [`PeerLink`] per configured peer and changes them when the settings change.
//! - Every commit passes here: first [`SharedHave`] is brought up to date, then the links and the coordinator hear of it.
//! - Inbound sockets are admitted here ([`admission`]) and handed to their link.
//!
//! The links outlive it: a new registry finds them in [`RegistryContext::links`] and asks the writer what it missed.

pub mod admission;
pub mod guests;
pub mod link_test;
mod survey;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use log::{info, warn};
use tokio::sync::mpsc::UnboundedSender;

use self::admission::ForeignLinks;
use self::link_test::{LinkTest, LinkTestStep};
use super::config_keeper::{Concerns, ConfigChanged, ConfigKeeper, ConfigView, Participant};
use super::db_writer::{AnnounceTo, Committed, DbWriter, HeldView};
use super::peer_link::{LinkContext, PeerLink, ToLink, log_alarm};
use super::supervise::{self, Handle, Surroundings};
use super::sync_coordinator::{AskLogs, OwnIdChanged, SyncCoordinator};
use crate::config::model::{Config, P2pMode, PeerCentral};
use crate::desks::audit_desk::AuditDesk;
use crate::desks::people_desk::PeopleDesk;
use crate::domain::audit::{Act, By, Kind};
use crate::domain::event::{Body, Event, type_name};
use crate::domain::ids::{CentralId, LogId};
use crate::links::mesh::{
    Door, LinkNews, LogsAdvanced, MeshClock, RunReader, SeenStarts, SharedHave, SocketNumbers, ToPeer,
};
use crate::links::nearby::Nearby;
use crate::links::socket::PeerAddress;
use crate::links::status::MeshStatus;
use crate::links::trust_desk::TrustDesk;
use crate::ops::offences::SaidOnce;
use crate::replication::backoff::BackoffRange;
use crate::replication::handshake::Identity;
use crate::replication::log::{CommittedRun, EventBytes, Head, Run};
use crate::replication::peer::PeerSettings;
use crate::replication::peer::output::Alarm;
use crate::trust::invitation::OpenInvitations;
use crate::trust::site::SiteMark;
use crate::wire::frame::{Listens, PeopleSaid};

/// A peer that may be a predecessor is rarely asked whether it is one of ours: one that is dials us as soon as it runs.
const LEGACY_BACKOFF: BackoffRange = BackoffRange { floor_ms: 5_000, cap_ms: 30_000 };
/// Prices that another central changed longer ago than this, in ms, are told with the time of it.
const LATE_MS: i64 = 60 * 60 * 1_000;

/// How long the pauses between dials of a peer are.
fn backoff(config: &Config, legacy: bool) -> BackoffRange {
    let tuning = config.tuning;
    if legacy {
        LEGACY_BACKOFF
    } else {
        BackoffRange { floor_ms: tuning.reconnect_min_ms, cap_ms: tuning.reconnect_max_ms }
    }
}

/// What is the state of the mesh, as this central sees it?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "MeshStatus")]
pub struct AskMesh;

/// Try the connection to this peer, for real, now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<LinkTest, UnknownPeer>")]
pub struct TestLink {
    pub peer: CentralId,
    /// Told of each step when it is made.
    pub told: Option<UnboundedSender<LinkTestStep>>,
}

/// There is no such peer in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPeer;

/// Say goodbye to all peers and start no link any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LeaveMesh;

/// Say to a peer who may log in at the site.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TellPeople {
    pub peer: CentralId,
    pub said: PeopleSaid,
}

/// Something about the mesh is other than before: sent by the registry to whoever shows it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum MeshNews {
    /// These runs are durable here.
    Committed(Arc<[Run]>),
    /// A link came or went, or should be another.
    Links,
}

/// One peer that should be linked.
pub struct LinkedPeer {
    pub config: PeerCentral,
    pub mode: P2pMode,
    pub backoff: BackoffRange,
    pub handle: Handle<PeerLink>,
}

pub type Links = Rc<RefCell<BTreeMap<CentralId, LinkedPeer>>>;

/// What a registry needs from its surroundings, and what outlives it. Cheap to clone.
#[derive(Clone)]
pub struct RegistryContext {
    pub around: Surroundings,
    pub identity: Rc<RefCell<Identity>>,
    /// Writes down which site this central belongs to, and what was written last.
    pub save_site: Rc<dyn Fn(SiteMark)>,
    pub site_written: Rc<Cell<SiteMark>>,
    pub trust: TrustDesk,
    /// Who was found on the network.
    pub nearby: Nearby,
    pub people: Arc<PeopleDesk>,
    pub config: ConfigView,
    pub keeper: Handle<ConfigKeeper>,
    pub have: SharedHave,
    pub clock: MeshClock,
    pub numbers: SocketNumbers,
    pub links: Links,
    /// The way from the links to this registry.
    pub registry: Door<LinkNews>,
    /// Whoever shows what happens: told of commits and links after those who work with them.
    pub news: Door<MeshNews>,
    pub reader: RunReader,
    pub seen: SeenStarts,
    pub writer: Addr<DbWriter>,
    /// What is durable now.
    pub held: HeldView,
    pub audit: Arc<AuditDesk>,
    pub coordinator: Handle<SyncCoordinator>,
    /// Those to programs of another kind.
    pub foreign: Rc<dyn ForeignLinks>,
    /// Where the P2P port is bound, or why it is not.
    pub listening: Rc<dyn Fn() -> Result<Option<String>, String>>,
    /// This central cannot prove itself to others: it is linked to none.
    pub is_off: bool,
}

impl RegistryContext {
    /// The way from the coordinator to the links. They live on this thread, as long as they are configured.
    pub fn commands(links: &Links) -> Door<ToPeer> {
        let (door, links) = (Door::default(), links.clone());
        door.lead_to(move |command: ToPeer| {
            if let Some(link) = links.borrow().get(&command.peer) {
                link.handle.do_send(ToLink::Command { link: command.link, command: command.command });
            }
        });
        door
    }

    /// What a new coordinator rings: all links report anew.
    pub fn coordinator_started(links: &Links) -> Door<()> {
        let (door, links) = (Door::default(), links.clone());
        door.lead_to(move |()| {
            for link in links.borrow().values() {
                link.handle.do_send(ToLink::CoordinatorRestarted);
            }
        });
        door
    }
}

pub struct MeshRegistry {
    context: RegistryContext,
    /// Refusals and alarms that were logged; they repeat with every knock.
    said: SaidOnce,
    invitations: OpenInvitations,
    /// The links will be told soon that one came or went.
    telling_links: bool,
    differing: Rc<RefCell<survey::Differing>>,
}

impl MeshRegistry {
    pub fn new(context: RegistryContext) -> Self {
        Self {
            context,
            said: SaidOnce::default(),
            invitations: OpenInvitations::default(),
            telling_links: false,
            differing: Rc::default(),
        }
    }

    /// Links what is configured and unlinks the rest. A peer whose entry changed is linked anew.
    fn follow_config(&self) {
        let mut config = Config::clone(&self.context.config.borrow());
        self.context.trust.follow(&config);
        if self.context.is_off {
            config.peer_centrals.clear();
        }
        let mut links = self.context.links.borrow_mut();
        let stays = |id: &CentralId, link: &LinkedPeer| {
            let as_before = link.mode == config.security.p2p && link.backoff == backoff(&config, link.config.legacy);
            as_before && config.peer(id).is_some_and(|peer| link.config.is_linked_like(peer))
        };
        let stale: Vec<CentralId> =
            links.iter().filter(|(id, link)| !stays(id, link)).map(|(id, _)| id.clone()).collect();
        for id in stale {
            if let Some(link) = links.remove(&id) {
                link.handle.do_send(ToLink::Leave);
                info!(event = "peer_unlinked", peer = id.as_str(); "peer is no longer linked, or linked anew");
            }
        }
        self.context.foreign.follow(&config);
        for peer in &config.peer_centrals {
            match links.get_mut(&peer.id) {
                // It may be pinned or confirmed now.
                Some(link) => link.config = peer.clone(),
                None => drop(links.insert(peer.id.clone(), self.link_to(peer))),
            }
        }
    }

    fn link_to(&self, peer: &PeerCentral) -> LinkedPeer {
        let dial_backoff = backoff(&self.context.config.borrow(), peer.legacy);
        let name = format!("peer_link:{}", peer.id);
        let mode = self.context.config.borrow().security.p2p;
        let settings =
            PeerSettings { own: self.context.identity.borrow().clone(), peer: peer.id.clone(), dial_backoff };
        let base = LinkContext {
            settings,
            address: PeerAddress { host: peer.ip.to_string(), port: peer.p2p_port },
            trust: self.context.trust.clone(),
            people: (mode == P2pMode::Tls).then(|| self.context.people.clone()),
            have: self.context.have.clone(),
            clock: self.context.clock,
            numbers: self.context.numbers.clone(),
            coordinator: self.context.coordinator.clone(),
            registry: self.context.registry.clone(),
            reader: self.context.reader.clone(),
            seen: self.context.seen.clone(),
            link_in_use: Rc::new(Cell::new(None)),
            seed: 0,
        };
        let handle = supervise::start(&self.context.around, name, move || {
            // Without random numbers the jitter is only less random.
            PeerLink::new(LinkContext { seed: getrandom::u64().unwrap_or_default(), ..base.clone() })
        });
        LinkedPeer { config: peer.clone(), mode, backoff: dial_backoff, handle }
    }

    fn handles(&self) -> Vec<(CentralId, PeerCentral, Handle<PeerLink>)> {
        let links = self.context.links.borrow();
        links.iter().map(|(id, link)| (id.clone(), link.config.clone(), link.handle.clone())).collect()
    }

    /// Hears from the writer from now on, and what was committed until now.
    fn connect_writer(&self, context: &mut Context<Self>) {
        let heads = self.context.writer.send(AnnounceTo(context.address().recipient()));
        context.wait(wrap_future::<_, Self>(heads).map(|heads, registry, _| {
            if let Ok(heads) = heads {
                let own_log = registry.context.held.borrow().own_log.clone();
                registry.advance(heads, own_log);
                registry.hear_decisions();
            }
        }));
    }

    /// Looks which centrals were let in and thrown out. Whoever is thrown out loses its link at once.
    fn hear_decisions(&mut self) {
        let settings = self.context.held.borrow().settings.clone();
        let decided = settings.decisions().collect();
        for central in settings.decided_too_much() {
            self.raise(&Alarm::MuchOfOne { central: central.clone(), what: "decisions about other centrals" });
        }
        let trust = &self.context.trust;
        let out = trust.hear_decisions(decided);
        let mut links = self.context.links.borrow_mut();
        links.retain(|id, link| {
            let stays = trust.is_open() || !out.contains(id);
            if !stays {
                warn!(event = "peer_expelled", peer = id.as_str(); "a central was expelled from the mesh: it is not linked any more");
                link.handle.do_send(ToLink::Leave);
            }
            stays
        });
        drop(links);
        self.follow_config();
    }

    /// Tells the audit what another central did to the prices: to set them, to announce or to take back what was announced is the right of
    /// each, and nothing else shows who did.
    fn hear_prices(&mut self, runs: &[Run]) {
        let (config, now_ms) = (self.context.config.borrow().clone(), self.context.audit.now_ms());
        for run in runs.iter().filter(|run| run.log.central != config.this_central.id) {
            let of_prices = |event: &&EventBytes| {
                [type_name::TARIFF, type_name::PRICE_LIST].iter().any(|name| event.contains(name))
            };
            for event in run.events.iter().filter(of_prices).filter_map(|event| Event::parse(event).ok()) {
                let from_ms = match event.body {
                    Body::Tariff(_) => None,
                    Body::PriceList(list) => list.valid_from_ms,
                    _ => continue,
                };
                let central = &run.log.central;
                let local = |at_ms: i64| config.site.time_zone.local_text(at_ms);
                let mut what = from_ms.map(local).unwrap_or_default();
                // Heard of late, as by a central that catches up: the entry has the time of the hearing.
                if (now_ms - event.timestamp_ms).abs() >= LATE_MS {
                    what = format!("{what} [{}]", local(event.timestamp_ms)).trim().to_owned();
                }
                self.context.audit.note(Act::new(Kind::Tariff, By::new(format!("central:{central}"), ""), what));
                if self.said.is_news(central.as_str(), "prices", Instant::now()) {
                    info!(event = "prices_changed_elsewhere", central = central.as_str(); "another central set, announced or took back prices: what it did is in the audit");
                }
            }
        }
    }

    fn advance(&self, heads: Vec<(LogId, Head)>, own_log: Option<LogId>) {
        let mut have = self.context.have.borrow_mut();
        for (log, head) in &heads {
            have.set(log, *head);
        }
        drop(have);
        self.context.coordinator.do_send(LogsAdvanced { heads: heads.into(), own_log });
    }

    fn raise(&mut self, alarm: &Alarm) {
        if self.said.is_news(alarm.about().as_str(), &alarm.to_string(), Instant::now()) {
            log_alarm(alarm);
        }
    }
}

impl Actor for MeshRegistry {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let changed = context.address().recipient();
        self.context.keeper.do_send(Concerns(Participant { name: "mesh", verify: None, changed }));
        self.connect_writer(context);
        Self::survey_later(context, Duration::from_secs(1));
    }
}

impl Handler<Committed> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, committed: Committed, _: &mut Self::Context) {
        let mut events = committed.runs.iter().flat_map(|run| &run.events);
        // Whatever else it stands in, it only makes us look.
        if events.any(|event| event.contains(type_name::CENTRAL)) {
            self.hear_decisions();
        }
        self.hear_prices(&committed.runs);
        let heads = committed.runs.iter().map(|run| (run.log.clone(), run.head())).collect();
        self.advance(heads, committed.own_log);
        let links = self.context.links.borrow();
        if !links.is_empty() {
            let pieces = committed.runs.iter().cloned().flat_map(CommittedRun::pieces);
            let pieces: Arc<[CommittedRun]> = pieces.collect();
            for link in links.values() {
                link.handle.do_send(ToLink::Committed(pieces.clone()));
            }
        }
        drop(links);
        self.context.news.send(MeshNews::Committed(committed.runs));
    }
}

impl Handler<LinkNews> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, news: LinkNews, context: &mut Self::Context) {
        match news {
            LinkNews::Alarm(alarm) => return self.raise(&alarm),
            LinkNews::Up(peer) => {
                self.said.is_over(peer.as_str());
                self.context.foreign.is_ours(&peer);
            }
            LinkNews::Down => {}
        }
        self.context.news.send(MeshNews::Links);
        self.tell_links_soon(context);
    }
}

impl Handler<TellPeople> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, told: TellPeople, _: &mut Self::Context) {
        if let Some(link) = self.context.links.borrow().get(&told.peer) {
            link.handle.do_send(ToLink::People(told.said));
        }
    }
}

impl Handler<ConfigChanged> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, context: &mut Self::Context) {
        let own = &changed.new.this_central;
        let listens = Listens { ip: own.ip.to_string(), p2p_port: own.p2p_port };
        self.context.identity.borrow_mut().listens = Some(listens);
        if changed.old.this_central.id != own.id {
            self.context.identity.borrow_mut().central = own.id.clone();
            // Every link has to introduce itself anew.
            let links = std::mem::take(&mut *self.context.links.borrow_mut());
            links.into_values().for_each(|link| link.handle.do_send(ToLink::Leave));
            self.context.foreign.leave();
            self.context.coordinator.do_send(OwnIdChanged);
        }
        self.follow_config();
        self.context.news.send(MeshNews::Links);
        // What is set here may be what others compare with theirs.
        self.tell_links_soon(context);
    }
}

impl Handler<AskMesh> for MeshRegistry {
    type Result = ResponseFuture<MeshStatus>;

    fn handle(&mut self, _: AskMesh, _: &mut Self::Context) -> Self::Result {
        let (links, clock) = (self.handles(), self.context.clock);
        let listening = (self.context.listening)();
        let coordinator = self.context.coordinator.addr();
        let metrics = self.context.around.metrics.clone();
        let held = self.context.held.clone();
        let site = self.context.identity.borrow().site.get();
        let (foreign, trust) = (self.context.foreign.clone(), self.context.trust.clone());
        let nearby = self.context.nearby.clone();
        let differing = self.differing.clone();
        let held = held.borrow().clone();
        let ours = self.ones(&held);
        Box::pin(async move {
            let statuses = survey::ask_all(&links).await;
            let logs = coordinator.send(AskLogs).await.unwrap_or_default();
            survey::show(&metrics, &links, &statuses, clock);
            survey::show_logs(&metrics, &logs);
            let mut status = survey::mesh_status(listening, &held, &links, &statuses, &logs, clock);
            foreign.show(&mut status);
            trust.show(&mut status);
            nearby.show(&mut status);
            let now_ms = clock.now().mono_ms;
            differing.borrow_mut().look(&ours, &statuses, now_ms);
            for peer in &mut status.peers {
                peer.differs = differing.borrow().settled(&peer.id, now_ms);
            }
            status.site = Some(site);
            status
        })
    }
}

impl Handler<TestLink> for MeshRegistry {
    type Result = ResponseFuture<Result<LinkTest, UnknownPeer>>;

    fn handle(&mut self, test: TestLink, _: &mut Self::Context) -> Self::Result {
        let links = self.context.links.borrow();
        let Some(link) = links.get(&test.peer) else { return Box::pin(std::future::ready(Err(UnknownPeer))) };
        let address = PeerAddress { host: link.config.ip.to_string(), port: link.config.p2p_port };
        let (handle, secured) = (link.handle.clone(), self.context.trust.client(&test.peer));
        Box::pin(async move { Ok(link_test::run(address, secured, handle, test.told).await) })
    }
}

impl Handler<LeaveMesh> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, _: LeaveMesh, _: &mut Self::Context) {
        self.context.foreign.leave();
        let links = std::mem::take(&mut *self.context.links.borrow_mut());
        links.into_values().for_each(|link| link.handle.do_send(ToLink::Leave));
    }
}
