//! The composition root: starts everything in order and stops it in reverse.

mod mesh_wiring;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Addr, Arbiter};
use log::{error, info, warn};
use tokio::sync::{mpsc, watch};

use self::mesh_wiring::MeshParts;
use crate::actors::clerk::{Clerk, ClerkContext};
use crate::actors::config_keeper::{Concerns, ConfigKeeper, ConfigView, Keepsake, Participant, foreign_ip};
use crate::actors::db_reader::{Readers, Serves, Unreadable};
use crate::actors::db_writer::{DbWriter, Decide, Flush, Held, Remake};
use crate::actors::herald::Herald;
use crate::actors::mesh_registry::{LeaveMesh, MeshNews, MeshRegistry, TellPeople};
use crate::actors::scout::{SayGoodbye, Scout};
use crate::actors::status_feed::sources::Notices;
use crate::actors::status_feed::{FeedContext, StatusFeed};
use crate::actors::supervise::{self, ArbiterGone, Fatal, Faults, Handle, Surroundings};
use crate::alarms::reasons;
use crate::config::change::names_since;
use crate::config::file::LoadedConfig;
use crate::config::model::{AdminMode, Config, LogFormat as ConfiguredFormat, P2pMode};
use crate::desks::alarm_desk::AlarmDesk;
use crate::desks::audit_desk::AuditDesk;
use crate::desks::backup_desk::BackupDesk;
use crate::desks::doorkeeper::Doorkeeper;
use crate::desks::invoice_desk::InvoiceDesk;
use crate::desks::people_desk::PeopleDesk;
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::explain::Text;
use crate::domain::naming::SITE;
use crate::domain::problem::FieldProblem;
use crate::gates::roster::EdgeRoster;
use crate::http::answers::AskedInTurn;
use crate::http::room::{self, Rates, Rooms};
use crate::http::server::{Front, Listening, ServeOn, ServeWhenFree, ServerRole, StopServing, bind};
use crate::http::state::Shared;
use crate::http::ws_edge::EdgeNews;
use crate::http::ws_peer::{FrameEncoder, PeerEntrance};
use crate::http::{api, p2p_server};
use crate::ledger::Context;
use crate::ledger::authorship::Authorship;
use crate::ledger::job::Job;
use crate::legacy::dialect::MAX_LEGACY_FRAME_BYTES;
use crate::links::join;
use crate::links::known_authors::KnownAuthors;
use crate::links::mesh::Door;
use crate::maintenance::backup::Parts;
use crate::maintenance::{check, rebuild};
use crate::ops::clock::Clock;
use crate::ops::in_flight::InFlight;
use crate::ops::log_format::{self, LineFormat};
use crate::ops::metrics::Metrics;
use crate::ops::offences::Offences;
use crate::ops::process;
use crate::ops::start_watch::StartWatch;
use crate::store::error::told_remade;
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};
use crate::tls::credentials::{self, Credentials};
use crate::tls::key_file::{self, IdentityError};
use crate::wire::frame::{Encoder, Instance};

/// How long each step of a stop may take; together less than 5 s.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);
const SERVER_TIMEOUT: Duration = Duration::from_millis(3_200);
const USES_TIMEOUT: Duration = Duration::from_millis(200);
const FLUSH_TIMEOUT: Duration = Duration::from_millis(1_000);

/// What a central is started with.
#[derive(Debug)]
pub struct Options {
    pub loaded: LoadedConfig,
    /// Where saved settings go.
    pub config_file: PathBuf,
    pub data_dir: PathBuf,
    pub clock: Clock,
    /// Lets tests make actors panic over HTTP.
    pub test_faults: bool,
}

/// Why a central did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Storage(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("cannot listen on {address} ({setting}): {error}")]
    Listen { address: SocketAddr, setting: &'static str, error: std::io::Error },
    #[error("{0}")]
    Certificate(FieldProblem),
    #[error(transparent)]
    Thread(#[from] ArbiterGone),
    #[error("the server cannot be started: {0}")]
    Server(String),
}

/// Why a running central ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyStopped {
    /// It was asked to.
    Asked(&'static str),
    /// It could not go on.
    Failed(Fatal),
}

/// Runs a central until it is asked to stop or cannot go on, and tells `began` once it serves.
///
/// Not generic and not `async`, so that all of it is compiled here once, and not in the program again.
///
/// # Errors
/// [`StartError`]; then nothing is left running.
pub fn serve(options: Options, began: fn(&App)) -> Result<WhyStopped, StartError> {
    actix::System::new().block_on(async {
        let app = App::start(options).await?;
        began(&app);
        process::say_ready();
        supervise::spawn(process::keep_alive());
        Ok(app.run().await)
    })
}

/// A running central.
pub struct App {
    first_code: Option<String>,
    shared: Arc<Shared>,
    api: Addr<Front>,
    p2p: Addr<Front>,
    legacy: Addr<Front>,
    mesh: Handle<MeshRegistry>,
    scout: Handle<Scout>,
    listening: Listening,
    writer_thread: Arbiter,
    feed_thread: Arbiter,
    alarm_thread: Arbiter,
    /// It ends with its handle.
    _herald: Handle<Herald>,
    _clerk: Handle<Clerk>,
    fatals: mpsc::UnboundedReceiver<Fatal>,
}

impl App {
    /// Starts a central on the current actix system.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    async fn start(options: Options) -> Result<Self, StartError> {
        let Options { loaded, config_file, data_dir, clock, test_faults } = options;
        let config = loaded.config;
        let open_files = process::allow_most_files();
        // What can be refused is tried before anything runs. The directory first: who starts a central twice is told so, and not that
        // somebody has its port.
        let watch = StartWatch::begin("the data directory");
        let directory = DataDir::open(&data_dir)?;
        let api_place = api::place(&config);
        let listener = bind(api_place.address).map_err(|error| StartError::Listen {
            address: api_place.address,
            setting: "this_central.api_port",
            error,
        })?;
        let mut notices = Vec::new();
        let OwnKey { credentials, mesh_off } = identity(&data_dir)?;
        notices.extend(mesh_off.clone().map(|reason| ("identity", reason)));
        let api_tls = api::secure(&api_place, &credentials).map_err(StartError::Certificate)?;
        let zone = config.site.time_zone.clone();
        let database_is_new = std::fs::metadata(directory.database()).map_or(0, |found| found.len()) == 0;
        // A key made ahead, by `parkmesh identity`, is no sign of an earlier run.
        let key_is_unused = key_file::begin_use(&data_dir);
        if database_is_new && !key_is_unused {
            warn!(event = "database_missing", data_dir = data_dir.display().to_string(); "this central has run before and its database is gone: an empty one is made, and what the other centrals hold returns from them");
        }
        watch.step("the database");
        let (mut writer, emptied) = rebuild::open_writer(&directory, zone.clone())?;
        let instance = Instance(getrandom::u64().map_err(|error| StartError::Server(error.to_string()))?);
        // Where nothing can be committed now nobody is told which start it is, and gates hear it.
        let (start, seen) = (writer.note_start(instance).ok(), writer.seen_starts()?);
        notices.extend(writer.found().iter().map(|reason| ("database", reason.clone())));
        notices.extend(writer.leftovers().iter().map(|reason| ("leftover", reason.clone())));
        let context = Context { central: config.this_central.id.clone(), zone };
        let authors = {
            let (own, is_open) = (&config.this_central.id, config.security.p2p == P2pMode::Open);
            let is_fresh = key_file::is_new(&data_dir) || database_is_new;
            KnownAuthors::new(own.clone(), credentials.fingerprint(), is_fresh, is_open)
        };
        watch.step("the other files of the directory");
        let site = join::site_of(&data_dir).map_err(|error| StartError::Server(error.to_string()))?;
        watch.step("what is made from the events");
        let (mut ledger, unreadable) = rebuild::open(writer, &directory, context)?;
        ledger.set_lanes(config.lanes());
        let remade = rebuild::follow_rules(&mut ledger, &directory, clock.now_ms(), &mut |done, total| {
            let how_far = format!("the history is being made anew: {done} of {total} events");
            process::say_status(&how_far);
            watch.step(how_far);
        })?;
        let (_, tariff) = ledger.settings().tariff_at(clock.now_ms());
        let events = remade.as_ref().map_or(0, |remade| remade.events);
        let why = unreadable.or(emptied).or(remade.and_then(|remade| remade.on_new_file));
        notices.extend(why.map(|why| ("database", told_remade(&why, events, tariff.as_deref()))));
        for (central, by) in ledger.openers()? {
            authors.held(&central, &by);
        }
        let key = mesh_off.is_none().then(|| credentials.clone());
        let author = credentials::author(key).map_err(|error| StartError::Server(error.to_string()))?;
        ledger.set_authorship(Authorship::new(author, Box::new(authors.clone())));
        watch.step("the parts of the program");
        let missed = ledger.storage().missed().clone();

        let metrics = Metrics::new();
        let offences = Offences::new(metrics.clone());
        let rooms = Rooms::new(open_files, metrics.dashboards.clone());
        if let Some(open_files) = open_files.filter(|files| Rooms::are_small(Some(*files))) {
            warn!(event = "few_open_files", open_files; "the system lets this process have few files and sockets open: fewer connections are taken than a site may need (ulimit -n, LimitNOFILE)");
        }
        let (fatal, fatals) = mpsc::unbounded_channel();
        let around = Surroundings { metrics: metrics.clone(), fatal, faults: test_faults.then(Faults::default) };
        let (publish, held) = watch::channel(Arc::new(Held::of(&ledger)));
        metrics.cars_inside.set(i64::try_from(ledger.inside().len()).unwrap_or(i64::MAX));
        info!(
            event = "ledger_open", events = ledger.events(), cars_inside = ledger.inside().len(),
            logs = ledger.heads().count(), data_dir = data_dir.display().to_string(); "database open"
        );

        let writer_thread = Arbiter::new();
        let counted = metrics.clone();
        let (unreadable, seen_by_readers, seen_by_check) = (Unreadable::default(), data_dir.clone(), data_dir.clone());
        let (noted, noted_by_check) = (unreadable.clone(), unreadable.clone());
        let around_writer = around.clone();
        let writer = supervise::start_once(&writer_thread.handle(), &around, "db_writer", move || {
            let remake: Remake<Writer> = Box::new(move |ledger, now_ms, with_losses, progress| {
                rebuild::make_anew_meanwhile(ledger, &seen_by_readers, now_ms, with_losses, progress)
            });
            DbWriter::new(ledger, clock, counted, publish).remaking(remake, noted).ending(around_writer)
        })
        .await?;
        let to_writer = writer.clone();
        let audit = Arc::new(AuditDesk::new(
            move |job, reply| to_writer.do_send(Decide { job, reply, permit: None, asked: Instant::now() }),
            clock,
        ));
        let kept = Keepsake::new(config_file, config, audit.clone());
        let view = kept.view();
        let own = view.clone();
        let own = move || own.borrow().this_central.id.clone();
        let door = Arc::new(Doorkeeper::open(&data_dir, own, audit.clone(), clock));
        let people = Arc::new(PeopleDesk::new(door.clone(), view.clone()));
        notices.extend(door.damaged().map(|reason| ("accounts", reason.to_owned())));
        let link_readers = Readers::start(Serves::Links, data_dir.clone(), &around, &unreadable);
        let readers = Readers::start(Serves::Pages, data_dir.clone(), &around, &unreadable);

        let backups = Arc::<BackupDesk>::default();
        let notices = Notices::new(notices, held.clone(), offences.clone(), backups.clone(), view.clone());
        let notices = Arc::new(notices);
        let parts = Parts::of_central(data_dir.clone(), kept.file().to_owned());
        let keeper = supervise::start(&around, "config_keeper", move || ConfigKeeper::new(kept.clone()));
        let alarms = Arc::new(AlarmDesk::open(&data_dir, metrics.clone()));
        let invoices = Arc::<InvoiceDesk>::default();
        let roster = Arc::new(EdgeRoster::default());
        // A camera that lived before this start, and is not heard since, is missed.
        for (edge, lived_ms) in alarms.heard() {
            roster.lives(&edge, lived_ms, |_| {});
        }
        let news = Door::default();
        let p2p_listening = Listening::default();
        let listening = p2p_listening.clone();
        let (mesh, scout) = mesh_wiring::start(MeshParts {
            around: around.clone(),
            config: view.clone(),
            keeper: keeper.clone(),
            writer: writer.clone(),
            held: held.clone(),
            readers: link_readers,
            audit: audit.clone(),
            people: people.clone(),
            clock,
            credentials: credentials.clone(),
            authors,
            data_dir,
            instance,
            start,
            site,
            seen,
            listening: Rc::new(move || Ok(listening.get()?.map(|address| address.to_string()))),
            news: news.clone(),
            is_off: mesh_off.is_some(),
        });

        let broken_config = loaded.broken.map(|broken| {
            let en = broken.to_string();
            let vi = broken.vietnamese().or_else(|| reasons::vietnamese(&en)).unwrap_or_else(|| en.clone());
            Text { vi, en }
        });
        let feed_thread = Arbiter::new();
        let context = FeedContext {
            config: view.clone(),
            keeper: keeper.clone(),
            mesh: mesh.clone(),
            readers: readers.clone(),
            held: held.clone(),
            clock,
            started_ms: clock.now_ms(),
            started: Instant::now(),
            broken_config: broken_config.clone(),
            notices: notices.clone(),
            roster: roster.clone(),
            metrics: metrics.clone(),
            alarms: alarms.clone(),
            invoices: invoices.clone(),
        };
        let heralds = context.clone();
        let build = move || StatusFeed::new(context.clone());
        let feed = supervise::start_on(&feed_thread.handle(), &around, "status_feed", build).await?;
        let alarm_thread = Arbiter::new();
        let build = move || Herald::new(heralds.clone());
        let herald = supervise::start_on(&alarm_thread.handle(), &around, "herald", build).await?;
        let clerks = ClerkContext {
            keeper: keeper.clone(),
            config: view.clone(),
            readers: readers.clone(),
            writer: writer.clone(),
            held: held.clone(),
            clock,
            metrics: metrics.clone(),
            desk: invoices.clone(),
        };
        let build = move || Clerk::new(clerks.clone());
        let clerk = supervise::start_on(&alarm_thread.handle(), &around, "clerk", build).await?;
        let told = feed.clone();
        let (edge_news, config) = (EdgeNews::default(), view.clone());
        let edges = edge_news.clone();
        news.lead_to(move |news| {
            if let MeshNews::Committed(runs) = &news {
                edges.committed(runs, &config.borrow().site.time_zone);
            }
            told.do_send(news);
        });

        let in_flight = InFlight::new(in_flight_limit(&view), metrics.edge_in_flight.clone());
        let shared = Arc::new(Shared {
            config: view.clone(),
            keeper: keeper.clone(),
            writer: writer.clone(),
            held,
            readers: AskedInTurn(readers),
            mesh: mesh.clone(),
            feed: feed.clone(),
            metrics: metrics.clone(),
            in_flight: in_flight.clone(),
            roster,
            edge_news,
            credentials: credentials.clone(),
            rates: Rates::new(view.borrow().tuning.max_requests_per_second),
            rooms: rooms.clone(),
            offences: offences.clone(),
            door: door.clone(),
            people: people.clone(),
            audit: audit.clone(),
            clock,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            broken_config: broken_config.map(|why| why.en),
            notices,
            alarms,
            invoices,
            backups: backups.clone(),
            mesh_off: mesh_off.clone(),
            faults: around.faults.clone(),
            settings: tokio::sync::RwLock::default(),
            subscriptions: tokio::sync::Mutex::default(),
            last_probe: tokio::sync::Mutex::new(None),
        });
        let tuned = view.clone();
        supervise::keep_running(&around, "tuning", move || follow_tuning(tuned.clone(), in_flight.clone()));
        let house = shared.clone();
        supervise::keep_running(&around, "house", move || keep_house(house.clone()));
        supervise::keep_running(&around, "audit", move || {
            let audit = audit.clone();
            async move { audit.keep().await }
        });
        let to_links = mesh.clone();
        supervise::keep_running(&around, "people", move || {
            let (people, to_links) = (people.clone(), to_links.clone());
            async move { people.keep(|peer, said| to_links.do_send(TellPeople { peer, said })).await }
        });
        let (low_view, counted) = (view.clone(), metrics.clone());
        supervise::keep_running(&around, "disk_watch", move || {
            let (directory, low_view) = (directory.clone(), low_view.clone());
            let free = move || crate::store::free_bytes(directory.path());
            let low = move || low_view.borrow().tuning.low_disk_bytes();
            process::watch_disk(free, low, counted.clone())
        });
        let config = view.clone();
        supervise::keep_running(&around, "backups", move || {
            let (backups, parts, config, metrics) = (backups.clone(), parts.clone(), config.clone(), metrics.clone());
            async move { backups.keep(parts, config, clock, metrics).await }
        });

        let listening = Listening::default();
        let entrance = PeerEntrance {
            registry: mesh.clone(),
            encoder: frame_encoder(view.clone(), clock),
            offences,
            rooms,
            is_legacy_port: false,
            max_foreign_frame_bytes: MAX_LEGACY_FRAME_BYTES,
        };
        let api_role = api::role(shared.clone(), entrance.clone());
        let api = front(&around, api_role, &listening).await?;
        let p2p_role = p2p_server::role(entrance.clone(), credentials, mesh_off);
        let p2p = front(&around, p2p_role, &p2p_listening).await?;
        let legacy = front(&around, p2p_server::legacy_role(entrance, view.clone()), &Listening::default()).await?;
        let writer_follows = Participant { name: "db_writer", verify: None, changed: writer.recipient() };
        let servers = [("api", &api), ("p2p", &p2p), ("legacy", &legacy)].map(|(name, server)| Participant {
            name,
            verify: Some((server.clone().recipient(), server.clone().recipient())),
            changed: server.clone().recipient(),
        });
        for participant in [writer_follows].into_iter().chain(servers) {
            keeper.addr().do_send(Concerns(participant));
        }
        // A port for peers that somebody else has never stops the gates: it is tried until it can be had.
        p2p.do_send(ServeWhenFree(Some(p2p_server::place(&view.borrow()))));
        legacy.do_send(ServeWhenFree(p2p_server::legacy_place(&view.borrow())));
        let started = api.send(ServeOn(listener, api_place, api_tls)).await;
        started.map_err(|_| ArbiterGone)?.map_err(StartError::Server)?;
        drop(watch);
        check::begin(seen_by_check, missed, move |error| noted_by_check.note(&error));
        say_what_is_open(&view);
        tell_names(&shared);
        let first_code = offer_first_code(&door, &view.borrow());
        let offered = first_code.is_some();
        supervise::keep_running(&around, "first_code", move || {
            offer_first_code_later(door.clone(), view.clone(), offered)
        });
        Ok(Self {
            first_code,
            shared,
            api,
            p2p,
            legacy,
            mesh,
            scout,
            listening,
            writer_thread,
            feed_thread,
            alarm_thread,
            _herald: herald,
            _clerk: clerk,
            fatals,
        })
    }

    /// Where the API listens now.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.listening.get().ok().flatten()
    }

    /// What sets the first administrator's password, if there is none and one is needed: to be shown to who started this.
    pub fn first_code(&self) -> Option<&str> {
        self.first_code.as_deref()
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs until a signal asks to stop or something fails for good, then stops in order.
    async fn run(mut self) -> WhyStopped {
        let ending = tokio::select! {
            signal = process::stop_requested() => match signal {
                Ok(name) => WhyStopped::Asked(name),
                Err(error) => WhyStopped::Failed(Fatal { actor: "signals".into(), reason: error.to_string() }),
            },
            Some(fatal) = self.fatals.recv() => WhyStopped::Failed(fatal),
        };
        self.stop(&ending).await;
        ending
    }

    /// New work is refused, links say goodbye, what is accepted is finished, everything is written back.
    async fn stop(self, ending: &WhyStopped) {
        let reason = match ending {
            WhyStopped::Asked(signal) => (*signal).to_owned(),
            WhyStopped::Failed(fatal) => format!("{}: {}", fatal.actor, fatal.reason),
        };
        info!(event = "stopping", reason = reason.as_str(); "stopping");
        process::say_stopping();
        let started = Instant::now();
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.scout.do_send(SayGoodbye);
        if tokio::time::timeout(LEAVE_TIMEOUT, self.shared.mesh.addr().send(LeaveMesh)).await.is_err() {
            warn!(event = "stop_slow", part = "mesh"; "not everything ended in time");
        }
        // After a failure gates are served by the next process, and soon.
        let stop = StopServing { finish: matches!(ending, WhyStopped::Asked(_)) };
        let servers = async { tokio::join!(self.p2p.send(stop), self.legacy.send(stop), self.api.send(stop)) };
        if tokio::time::timeout(SERVER_TIMEOUT, servers).await.is_err() {
            warn!(event = "stop_slow", part = "servers"; "not everything ended in time");
        }
        // Its last handles: the links' sockets are closed by now.
        drop(self.mesh);
        // It writes a file, and a disk may take as long as it likes: the stop does not wait for it.
        let door = self.shared.door.clone();
        let uses = actix_web::web::block(move || door.save_uses());
        if tokio::time::timeout(USES_TIMEOUT, uses).await.is_err() {
            warn!(event = "stop_slow", part = "accounts"; "not everything ended in time");
        }
        let flushed = async {
            self.shared.audit.finish().await;
            self.shared.writer.send(Flush).await
        };
        match tokio::time::timeout(FLUSH_TIMEOUT, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(reason))) => {
                warn!(event = "flush_failed", reason = reason.as_str(); "the database was not closed in order; nothing is lost");
            }
            // It failed: that is why we stop.
            Ok(Err(_closed)) => {}
            Err(_elapsed) => warn!(event = "stop_slow", part = "db_writer"; "not everything ended in time"),
        }
        self.feed_thread.stop();
        self.alarm_thread.stop();
        self.writer_thread.stop();
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(event = "stopped", took_ms = took_ms; "stopped");
    }
}

/// The key of this central, as it was found.
struct OwnKey {
    credentials: Credentials,
    /// Why it cannot be used: what is in `credentials` is forgotten again.
    mesh_off: Option<String>,
}

/// The identity in the data directory, made now if there is none. Gates need none: where it cannot be used the mesh is off, for the
/// reason told, and pages over HTTPS are shown a key that is forgotten again.
fn identity(data_dir: &Path) -> Result<OwnKey, IdentityError> {
    let opened = match key_file::open_or_make(data_dir) {
        Ok(opened) => opened,
        Err(problem) => {
            let cause = std::error::Error::source(&problem).map(|cause| format!(": {cause}")).unwrap_or_default();
            let reason = format!("{problem}{cause}");
            error!(event = "identity_unusable", reason = reason.as_str(); "this central has no key to prove itself with: the mesh is off, gates go on");
            return Ok(OwnKey { credentials: key_file::throwaway()?, mesh_off: Some(reason) });
        }
    };
    info!(event = "identity", fingerprint:% = opened.credentials.fingerprint(), new = opened.is_new; "this central is known to others by this fingerprint");
    if let Some(mode) = opened.was_open_to_others {
        warn!(
            event = "identity_exposed", file:% = data_dir.join(key_file::IDENTITY_FILE).display(), mode = format!("{mode:o}");
            "others on this machine could read the key of this central: tightened; if anyone may have copied it, stop, move the file away and start"
        );
    }
    Ok(OwnKey { credentials: opened.credentials, mesh_off: None })
}

/// The owner of a server, on this thread. What it holds cannot be built twice, so its panic would be fatal.
async fn front(around: &Surroundings, role: ServerRole, listening: &Listening) -> Result<Addr<Front>, ArbiterGone> {
    let (name, listening) = (format!("{}_server", role.name), listening.clone());
    supervise::start_once(&Arbiter::current(), around, name, move || Front::new(role, listening)).await
}

/// Writes the few frames that are sent before a link exists, in this central's name.
fn frame_encoder(config: ConfigView, clock: Clock) -> FrameEncoder {
    Arc::new(move |frame| {
        let central = config.borrow().this_central.id.clone();
        Encoder::new(central).encode(clock.now_ms(), frame)
    })
}

fn in_flight_limit(config: &ConfigView) -> usize {
    usize::try_from(config.borrow().tuning.max_requests_in_flight).unwrap_or(usize::MAX)
}

/// How the settings want log lines.
pub fn log_format_of(config: &Config) -> LineFormat {
    match config.tuning.log_format {
        ConfiguredFormat::Text => LineFormat::Text,
        ConfiguredFormat::Json => LineFormat::Json,
    }
}

/// Applies the settings that need no actor.
async fn follow_tuning(mut config: ConfigView, in_flight: Arc<InFlight>) {
    loop {
        log_format::set_plate_masking(config.borrow_and_update().tuning.mask_plates);
        log_format::set_format(log_format_of(&config.borrow()));
        in_flight.set_limit(in_flight_limit(&config));
        if config.changed().await.is_err() {
            return;
        }
    }
}

/// Forgets addresses that went silent, and notes when tokens were used: after a crash that is one period behind at most.
async fn keep_house(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(room::SWEEP_PERIOD).await;
        shared.rates.sweep();
        shared.rooms.sweep();
        shared.offences.sweep();
        let door = shared.door.clone();
        // A failure is logged there.
        drop(actix_web::web::block(move || door.save_uses()).await);
    }
}

/// Tells all centrals what the gates here are called, where the settings say another name than is known; and the site, where nobody
/// has said yet.
fn tell_names(shared: &Shared) {
    let (config, held) = (shared.config(), shared.held());
    let says_site = !config.site.name.is_empty() && !held.settings.is_told_name(SITE);
    let mut names = names_since(&config, &config, says_site);
    names.retain(|naming| held.settings.name(&naming.id).unwrap_or_default() != naming.name);
    if !names.is_empty() {
        let job = Job::PutNames(names).by(Doer::new(DoerKind::Command, "start"));
        // What cannot be written now is told at the next start.
        shared.writer.do_send(Decide::new(job).0);
    }
}

/// What an installer should know about how open this central is.
fn say_what_is_open(config: &ConfigView) {
    let config = config.borrow();
    if let Some(problem) = foreign_ip(&config) {
        warn!(event = "config_warning", field = problem.field.as_str(), reason = problem.message.as_str(); "check the settings");
    }
    let open = config.open_to_network().join(",");
    if !open.is_empty() {
        warn!(event = "security_open", modes = open.as_str(); "these parts ask nobody on the network who he is");
    }
}

/// Writes down why the settings in force are not the file's.
pub fn say_how_loaded(loaded: &LoadedConfig) {
    if let Some(broken) = &loaded.broken {
        error!(event = "config_broken", reason = broken.to_string(); "the settings file is broken: running on the last good settings");
    }
    if let Some(mode) = loaded.open_to_others {
        warn!(
            event = "settings_exposed", mode = format!("{mode:o}");
            "others on this machine could read the settings file, which holds tokens or passwords: tightened where that is allowed; change them if anyone may have"
        );
    }
    for warning in &loaded.warnings {
        warn!(event = "config_warning", field = warning.field.as_str(), reason = warning.message.as_str(); "check the settings");
    }
    if let Some(error) = &loaded.not_kept {
        warn!(event = "config_not_kept", reason = error.to_string(); "no copy of the settings could be kept");
    }
}

/// How soon the console's notice goes once there is an administrator.
const NOTICE_PERIOD: Duration = Duration::from_secs(2);

/// Makes and logs the code that sets the first administrator's password, where one is needed and there is none. Until it
/// is used, the machine's console shows it too.
fn offer_first_code(door: &Arc<Doorkeeper>, config: &Config) -> Option<String> {
    if config.security.admin != AdminMode::Password {
        return None;
    }
    let code = door.make_first_code()?;
    warn!(
        event = "first_code", code = code.as_str();
        "nobody administers this central yet: type this code on its page /login to set a password"
    );
    let (scheme, address) =
        (config.security.api.name(), config.this_central.ip.with_port(config.this_central.api_port));
    process::show_on_console(&format!(
        "\nParkMesh {}: open {scheme}://{address}/login on a computer of this network\nand set the password with the one-time code {code}\n\n",
        config.this_central.id
    ));
    supervise::spawn(take_notice_down(door.clone()));
    Some(code)
}

async fn take_notice_down(door: Arc<Doorkeeper>) {
    while door.lacks_administrator() {
        tokio::time::sleep(NOTICE_PERIOD).await;
    }
    process::take_off_console();
}

/// When passwords are switched on while this runs, a code is needed then.
async fn offer_first_code_later(door: Arc<Doorkeeper>, mut config: ConfigView, mut offered: bool) {
    while config.changed().await.is_ok() {
        if !offered {
            let config = config.borrow_and_update().clone();
            offered = offer_first_code(&door, &config).is_some();
        }
    }
}
