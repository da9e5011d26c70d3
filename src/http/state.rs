//! What handlers reach: the parts of the running central, shared by all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::Addr;
use tokio::sync::Mutex;

use super::answers::AskedInTurn;
use super::room::{Rates, Rooms};
use super::subscriptions::Written;
use crate::actors::config_keeper::{ConfigKeeper, ConfigView};
use crate::actors::db_writer::{DbWriter, Held, HeldView};
use crate::actors::mesh_registry::MeshRegistry;
use crate::actors::status_feed::StatusFeed;
use crate::actors::status_feed::sources::Notices;
use crate::actors::supervise::{Faults, Handle};
use crate::config::model::Config;
use crate::desks::alarm_desk::AlarmDesk;
use crate::desks::audit_desk::AuditDesk;
use crate::desks::backup_desk::BackupDesk;
use crate::desks::doorkeeper::Doorkeeper;
use crate::desks::invoice_desk::InvoiceDesk;
use crate::desks::people_desk::PeopleDesk;
use crate::domain::direction::Direction;
use crate::domain::time::SiteZone;
use crate::gates::roster::EdgeRoster;
use crate::http::ws_edge::EdgeNews;
use crate::ops::clock::Clock;
use crate::ops::in_flight::InFlight;
use crate::ops::metrics::Metrics;
use crate::ops::offences::Offences;
use crate::tls::credentials::Credentials;

/// The running central, as the HTTP side sees it.
pub struct Shared {
    pub config: ConfigView,
    pub keeper: Handle<ConfigKeeper>,
    pub writer: Addr<DbWriter>,
    /// What is durable now.
    pub held: HeldView,
    pub readers: AskedInTurn,
    pub mesh: Handle<MeshRegistry>,
    pub feed: Handle<StatusFeed>,
    pub metrics: Arc<Metrics>,
    pub in_flight: Arc<InFlight>,
    pub roster: Arc<EdgeRoster>,
    /// What edge programs hear of other gates.
    pub edge_news: EdgeNews,
    /// What this central proves itself with.
    pub credentials: Credentials,
    /// How much each address and edge asks.
    pub rates: Rates,
    /// How much each address, and all, may take.
    pub rooms: Rooms,
    /// What others sent that could not be taken.
    pub offences: Arc<Offences>,
    /// Who is who.
    pub door: Arc<Doorkeeper>,
    /// Which centrals know the people that are known here.
    pub people: Arc<PeopleDesk>,
    /// The way into the audit.
    pub audit: Arc<AuditDesk>,
    pub clock: Clock,
    pub started: Instant,
    /// Set when the central begins to stop: new work is refused.
    pub stopping: AtomicBool,
    /// What the settings file said wrong at the start, if we run on the kept copy.
    pub broken_config: Option<String>,
    /// What a person has to look at.
    pub notices: Arc<Notices>,
    /// What was told of alarms.
    pub alarms: Arc<AlarmDesk>,
    /// What the invoice program is to be told.
    pub invoices: Arc<InvoiceDesk>,
    /// Who makes the backups.
    pub backups: Arc<BackupDesk>,
    /// Why this central cannot prove itself to others, and so is not linked to any.
    pub mesh_off: Option<String>,
    /// Only when started for tests of supervision.
    pub faults: Option<Faults>,
    /// Held while settings are changed with the names that are the site's, so that nobody reads the ones without the others.
    pub settings: tokio::sync::RwLock<()>,
    /// The list of subscriptions as it was last sent.
    pub subscriptions: Written,
    /// When a commit was last tried for `/readyz`, and what came of it.
    pub last_probe: Mutex<Option<(Instant, bool)>>,
}

impl Shared {
    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    pub fn zone(&self) -> SiteZone {
        self.config.borrow().site.time_zone.clone()
    }

    /// What is durable now.
    pub fn held(&self) -> Arc<Held> {
        self.held.borrow().clone()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// One HTTP worker's view.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// HTTPS is spoken with it.
    pub secured: bool,
}

impl Worker {
    pub fn zone(&self) -> SiteZone {
        self.shared.zone()
    }

    /// The registered lane of an edge.
    pub fn lane(&self, edge_id: &str) -> Option<Direction> {
        self.shared.config.borrow().lane(edge_id)
    }
}
