//! Starts the mesh: the coordinator, the registry and, through it, the links.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;

use crate::actors::config_keeper::{ChangeConfig, ConfigKeeper, ConfigView};
use crate::actors::db_reader::Readers;
use crate::actors::db_writer::{DbWriter, HeldView, Remember};
use crate::actors::mesh_registry::{Links, MeshNews, MeshRegistry, RegistryContext};
use crate::actors::scout::Scout;
use crate::actors::supervise::{self, Handle, Surroundings};
use crate::actors::sync_coordinator::{CoordinatorContext, SyncCoordinator};
use crate::config::change::{Edit, SaveRefused};
use crate::desks::audit_desk::AuditDesk;
use crate::desks::people_desk::PeopleDesk;
use crate::domain::audit::{Act, By, Kind};
use crate::legacy::links::{LegacyLinks, LegacyParts};
use crate::links::join;
use crate::links::known_authors::KnownAuthors;
use crate::links::mesh::{Door, LinkNews, MeshClock, RunReader, SeenStarts, SharedHave, SocketNumbers};
use crate::links::nearby::Nearby;
use crate::links::trust_desk::{SavePin, TrustDesk, TrustParts};
use crate::ops::clock::Clock;
use crate::replication::handshake::{Identity, SeenOf};
use crate::replication::log::CommittedRun;
use crate::replication::peer::output::{ReadRun, RunRead};
use crate::tls::credentials::Credentials;
use crate::trust::site::{OwnSite, SiteMark};
use crate::wire::frame::{Instance, Listens, Start};

/// What the mesh is built on.
pub struct MeshParts {
    pub around: Surroundings,
    pub config: ConfigView,
    pub keeper: Handle<ConfigKeeper>,
    pub writer: Addr<DbWriter>,
    /// What is durable now.
    pub held: HeldView,
    pub readers: Readers,
    pub audit: Arc<AuditDesk>,
    /// Who may log in at the site.
    pub people: Arc<PeopleDesk>,
    pub clock: Clock,
    /// What this central proves itself with.
    pub credentials: Credentials,
    /// Which keys stand for which centrals, as the writer sees it.
    pub authors: KnownAuthors,
    /// Where the key is.
    pub data_dir: PathBuf,
    /// 64 random bits: tells this process from its predecessor and from a clone.
    pub instance: Instance,
    /// Which start of the database it is.
    pub start: Option<Start>,
    /// Which site it belongs to.
    pub site: SiteMark,
    /// Which were seen of others.
    pub seen: Vec<SeenOf>,
    /// Where the P2P port is bound, or why it is not.
    pub listening: Rc<dyn Fn() -> Result<Option<String>, String>>,
    /// Where it is told what happened.
    pub news: Door<MeshNews>,
    /// This central cannot prove itself to others: it is linked to none.
    pub is_off: bool,
}

/// Starts it on the current arbiter. The mesh, and looking for others nearby, end with their last handles.
pub fn start(parts: MeshParts) -> (Handle<MeshRegistry>, Handle<Scout>) {
    let config = parts.config.borrow().clone();
    let own = &config.this_central;
    let identity = Identity {
        central: own.id.clone(),
        instance: parts.instance,
        listens: Some(Listens { ip: own.ip.to_string(), p2p_port: own.p2p_port }),
        start: parts.start,
        site: OwnSite::new(parts.site),
    };
    let (have, links, clock) = (SharedHave::default(), Links::default(), MeshClock::start(parts.clock));
    let to_registry: Door<LinkNews> = Door::default();
    let context = CoordinatorContext {
        have: have.clone(),
        clock,
        commands: RegistryContext::commands(&links),
        registry: to_registry.clone(),
        started: RegistryContext::coordinator_started(&links),
        writer: parts.writer.clone(),
        held: parts.held.clone(),
        disk_is_low: {
            let (metrics, config) = (parts.around.metrics.clone(), parts.config.clone());
            // Until it was asked for the first time it is not known.
            Rc::new(move || {
                let free = u64::try_from(metrics.disk_free_bytes.get()).unwrap_or(0);
                free > 0 && free < config.borrow().tuning.low_disk_bytes()
            })
        },
        announced: {
            let authors = parts.authors.clone();
            Rc::new(move |log, coordinator| authors.announced(log, || coordinator.announcing(log)))
        },
    };
    let coordinator =
        supervise::start(&parts.around, "sync_coordinator", move || SyncCoordinator::new(context.clone()));
    let (identity, numbers) = (Rc::new(RefCell::new(identity)), SocketNumbers::default());
    let foreign = Rc::new(LegacyLinks::new(LegacyParts {
        around: parts.around.clone(),
        identity: identity.clone(),
        have: have.clone(),
        clock,
        numbers: numbers.clone(),
        writer: parts.writer.clone(),
        readers: parts.readers.clone(),
    }));
    let (refusals, admissions) = (parts.audit.clone(), parts.audit.clone());
    let site_dir = parts.data_dir.clone();
    let trust = TrustDesk::new(TrustParts {
        config: parts.config.clone(),
        save_pin: save_pin(parts.keeper.clone()),
        note_refusal: Box::new(move |act| refusals.note_refusal(act, "certificate_refused")),
        note_admission: Box::new(move |act| admissions.note(act)),
        credentials: parts.credentials,
        clock,
        authors: parts.authors,
        is_off: parts.is_off,
        data_dir: parts.data_dir,
    });
    let site = identity.borrow().site.clone();
    let nearby = Nearby::new(parts.config.clone(), trust.clone(), site, clock, parts.is_off);
    let (found, keeper) = (nearby.clone(), parts.keeper.clone());
    let scout = supervise::start(&parts.around, "scout", move || Scout::new(found.clone(), keeper.clone()));
    let (note, writer) = (Door::default(), parts.writer.clone());
    note.lead_to(move |seen| writer.do_send(Remember::Start(seen)));
    let context = RegistryContext {
        save_site: {
            let data_dir = site_dir;
            Rc::new(move |mark| {
                let data_dir = data_dir.clone();
                // A disk may take its time; all links live on this thread.
                drop(actix_rt::task::spawn_blocking(move || join::write_site(&data_dir, mark)));
            })
        },
        site_written: Rc::new(Cell::new(parts.site)),
        around: parts.around.clone(),
        identity,
        trust,
        nearby,
        people: parts.people,
        config: parts.config,
        keeper: parts.keeper,
        have,
        clock,
        numbers,
        links,
        registry: to_registry.clone(),
        news: parts.news,
        reader: run_reader(parts.readers),
        seen: SeenStarts::new(parts.seen, note),
        writer: parts.writer,
        held: parts.held,
        audit: parts.audit,
        coordinator,
        foreign,
        listening: parts.listening,
        is_off: parts.is_off,
    };
    let registry = supervise::start(&parts.around, "mesh_registry", move || MeshRegistry::new(context.clone()));
    let to = registry.clone();
    to_registry.lead_to(move |news| to.do_send(news));
    (registry, scout)
}

/// Asks the keeper of the settings to pin a certificate. That is settled once it is written, or the peer is none any more.
fn save_pin(keeper: Handle<ConfigKeeper>) -> SavePin {
    Box::new(move |peer, shown| {
        let act = Act::new(Kind::Peer, By::new("mesh:first-contact", ""), &peer);
        let asked = keeper.addr().send(ChangeConfig { edit: Edit::Pin(peer, shown), version: None, act });
        Box::pin(async move { matches!(asked.await, Ok(Ok(_) | Err(SaveRefused::UnknownPeer(_)))) })
    })
}

/// Reads runs on the readers' threads; the bytes for the wire are made there, too.
fn run_reader(readers: Readers) -> RunReader {
    Rc::new(move |read: ReadRun| {
        let readers = readers.clone();
        Box::pin(async move {
            let ReadRun { sub, log, after, max_bytes } = read;
            let wanted = log.clone();
            let found = readers.ask(move |reader| {
                let run = reader.run(&wanted, after, max_bytes)?.map(CommittedRun::new);
                if let Some(run) = &run {
                    let _made_here_not_on_the_mesh_thread = run.body();
                }
                Ok(run)
            });
            RunRead { sub, log, after, found: found.await.map_err(|error| error.to_string()) }
        })
    })
}
