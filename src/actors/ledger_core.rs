//! The ledger over its SQLite file, as the writer drives it.

use std::sync::Arc;

use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::domain::time::SiteZone;
use crate::ledger::Ledger;
use crate::ledger::job::Job;
use crate::ledger::storage::Behind;
use crate::ledger::transaction::Now;
use crate::ops::clock::is_behind;
use crate::replication::log::Head;
use crate::store::writer::{Watched, Writer};

use super::db_writer::{Core, Decided, Held};

/// The real [`Core`]. `None` once closed.
pub struct LedgerCore {
    ledger: Option<Ledger<Writer>>,
    /// The newest stamp of this central: of what was written since the start, and of the cars inside that came in here.
    newest_own_ms: Option<i64>,
}

/// The ledger was closed; nothing comes after that.
const CLOSED: &str = "the database is closed";

impl LedgerCore {
    #[must_use]
    pub fn new(ledger: Ledger<Writer>) -> Self {
        let own = ledger.context().central.as_str();
        let stamps = ledger.inside().filter(|(_, open)| open.place.central == own).map(|(_, open)| open.entry_ms);
        let newest_own_ms = stamps.max();
        Self { ledger: Some(ledger), newest_own_ms }
    }
}

impl Held {
    /// What a ledger holds.
    #[must_use]
    pub fn of(ledger: &Ledger<Writer>) -> Self {
        Self {
            settings: ledger.settings().clone(),
            own_log: ledger.own_log().cloned(),
            digest: ledger.behind().is_none().then(|| ledger.digest()),
            behind: ledger.behind(),
            events: ledger.events(),
            cars_inside: ledger.inside().len() as u64,
            failure: None,
            watched: Arc::default(),
        }
    }
}

impl Core for LedgerCore {
    fn process(&mut self, jobs: Vec<Job>, wall_ms: i64, skew_ms: Option<i64>, fresh_epoch: Epoch) -> Decided {
        let Some(ledger) = &mut self.ledger else {
            return Decided {
                outcomes: Vec::new(),
                committed: Vec::new(),
                durable: false,
                failure: Some(CLOSED.into()),
                set_aside: Vec::new(),
            };
        };
        let clock_wrong = is_behind(wall_ms, self.newest_own_ms);
        let processed = ledger.process(jobs, Now { wall_ms, skew_ms, clock_wrong }, fresh_epoch);
        if processed.durable && !clock_wrong {
            self.newest_own_ms = self.newest_own_ms.max(Some(wall_ms));
        }
        Decided {
            outcomes: processed.outcomes,
            committed: processed.committed,
            durable: processed.durable,
            failure: processed.failure,
            set_aside: processed.set_aside,
        }
    }

    fn settle(&mut self, facts: usize, wall_ms: i64) -> Decided {
        let folded = match &mut self.ledger {
            Some(ledger) => ledger
                .settle(facts, Now { wall_ms, skew_ms: None, clock_wrong: false })
                .map_err(|error| error.to_string()),
            None => Err(CLOSED.into()),
        };
        Decided {
            outcomes: Vec::new(),
            committed: Vec::new(),
            durable: folded.is_ok(),
            failure: folded.err(),
            set_aside: Vec::new(),
        }
    }

    fn behind(&self) -> Option<Behind> {
        self.ledger.as_ref().and_then(Ledger::behind)
    }

    fn make_room(&mut self) -> u64 {
        self.ledger.as_mut().map_or(0, |ledger| {
            let storage = ledger.storage_mut();
            storage.make_room();
            storage.wal_bytes()
        })
    }

    fn record_sync(&mut self, peer: &CentralId, now_ms: i64) -> Result<(), String> {
        let ledger = self.ledger.as_mut().ok_or(CLOSED)?;
        ledger.storage_mut().record_sync(peer.as_str(), now_ms).map_err(|error| error.to_string())
    }

    fn record_told(&mut self, peer: &CentralId, cursors: &[(LogId, u64)]) -> Result<(), String> {
        let ledger = self.ledger.as_mut().ok_or(CLOSED)?;
        ledger.storage_mut().record_told(peer.as_str(), cursors).map_err(|error| error.to_string())
    }

    fn probe(&mut self, as_an_event: bool) -> Result<(), String> {
        let ledger = self.ledger.as_mut().ok_or(CLOSED)?;
        ledger.storage_mut().probe(as_an_event).map_err(|error| error.to_string())
    }

    fn watch(&mut self) -> Watched {
        self.ledger.as_mut().map(|ledger| ledger.storage_mut().watch()).unwrap_or_default()
    }

    fn held(&self) -> Option<Held> {
        self.ledger.as_ref().map(Held::of)
    }

    fn heads(&self) -> Vec<(LogId, Head)> {
        let ledger = self.ledger.iter();
        ledger.flat_map(|ledger| ledger.heads().map(|(log, head)| (log.clone(), *head))).collect()
    }

    fn start_new_epoch(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.start_new_epoch();
        }
    }

    fn reconfigure(&mut self, central: &CentralId, zone: &SiteZone) {
        if let Some(ledger) = &mut self.ledger {
            ledger.set_central(central.clone());
            ledger.set_zone(zone.clone());
            ledger.storage_mut().set_zone(zone.clone());
        }
    }

    fn close(&mut self) -> Result<(), String> {
        match self.ledger.take() {
            Some(ledger) => ledger.into_storage().close().map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}
