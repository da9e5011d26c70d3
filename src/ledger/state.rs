//! What the ledger keeps in memory, and the overlay a transaction writes to.
//!
//! Invariant: [`State`] is what the disk holds. A transaction reads through its [`Staged`] overlay and changes only that;
//! [`State::absorb`] is called after the commit and nowhere else. A failed commit drops the overlay, so memory is never
//! ahead of the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::hash::HashMap;
use crate::domain::ids::{CentralId, FactId, Hlc, LogId};
use crate::domain::plate::PlateId;
use crate::domain::stay::Taking;
use crate::replication::log::{EventBytes, Head, Run};

use super::digest::Digest;
use super::dirty::{Backlog, Place};
use super::edge_clocks::{EdgeClocks, Lateness};
use super::open_stay::{OpenStay, Places};
use super::settings::SharedSettings;
use super::storage::{EventRef, Loaded, StoredStay, Summary, TotalChange, TotalKey};

/// The committed state.
#[derive(Debug, Default)]
pub struct State {
    pub heads: HashMap<LogId, Head>,
    /// Boxed, so that the table grows by little when it grows.
    pub inside: HashMap<PlateId, Box<OpenStay>>,
    /// Shared with whoever reads them beside the writer.
    pub settings: Arc<SharedSettings>,
    pub digest: Digest,
    pub max_hlc: Hlc,
    pub events: u64,
    pub loose_facts: u64,
    /// What is held and not applied yet.
    pub backlog: Backlog,
    /// The log this process writes; `None` until its first own event.
    pub own_log: Option<LogId>,
    /// Events that have no effect before their time comes near.
    pub put_off: BTreeSet<(Hlc, EventRef)>,
    /// How late gates told what they did. Recalled from the last own events at a start, and what follows from it is stated in events.
    pub edge_clocks: EdgeClocks,
    /// How many of the logs are whose.
    logs_of: HashMap<CentralId, usize>,
}

impl State {
    /// How many logs of a central are held.
    pub fn logs_of(&self, central: &CentralId) -> usize {
        self.logs_of.get(central).copied().unwrap_or_default()
    }

    pub fn of_loaded(loaded: Loaded, put_off: BTreeSet<(Hlc, EventRef)>, places: &mut Places) -> Self {
        let Loaded { heads, inside, settings, summary, dirty } = loaded;
        let inside = inside
            .into_iter()
            .map(|StoredStay { row_id, row, committed_ms }| {
                let open = OpenStay::of_row(row_id, &row, committed_ms, None, places);
                (row.plate_id, Box::new(open))
            })
            .collect();
        let mut backlog = Backlog::default();
        dirty.into_iter().for_each(|fact| backlog.insert(fact));
        let mut logs_of: HashMap<CentralId, usize> = HashMap::default();
        for (log, _) in &heads {
            *logs_of.entry(log.central.clone()).or_default() += 1;
        }
        Self {
            heads: heads.into_iter().collect(),
            inside,
            settings: Arc::new(SharedSettings::of_stored(settings)),
            digest: Digest::from_bytes(summary.digest),
            max_hlc: summary.max_hlc,
            events: summary.events,
            loose_facts: summary.loose_facts,
            backlog,
            own_log: None,
            put_off,
            edge_clocks: EdgeClocks::default(),
            logs_of,
        }
    }

    /// Takes over what a transaction changed. To be called once its commit has returned.
    pub fn absorb(&mut self, staged: Staged) {
        for (log, head) in staged.heads {
            if self.heads.insert(log.clone(), head).is_none() {
                *self.logs_of.entry(log.central).or_default() += 1;
            }
        }
        for (plate, open) in staged.inside {
            match open {
                Some(open) => self.inside.insert(plate, open),
                None => self.inside.remove(&plate),
            };
        }
        if let Some(settings) = staged.settings {
            self.settings = settings;
        }
        self.digest = staged.digest;
        self.max_hlc = staged.max_hlc;
        self.events = staged.events;
        self.loose_facts = staged.loose_facts;
        staged.settled.iter().for_each(|place| self.backlog.remove(place));
        self.backlog.append(staged.deferred);
        self.own_log = staged.own_log;
        for taken_up in &staged.taken_up {
            self.put_off.remove(taken_up);
        }
        self.put_off.extend(staged.put_off);
        staged.edges.into_iter().for_each(|(edge_id, late)| self.edge_clocks.heard(edge_id, late));
    }
}

/// What a transaction has changed so far.
#[derive(Debug)]
pub struct Staged {
    pub heads: HashMap<LogId, Head>,
    pub inside: HashMap<PlateId, Option<Box<OpenStay>>>,
    pub settings: Option<Arc<SharedSettings>>,
    pub totals: BTreeMap<TotalKey, TotalChange>,
    /// What is taken at exits from now on, and what is not any more.
    pub takings: BTreeMap<FactId, (Taking, bool)>,
    /// The runs appended, one per log, in order of first append.
    pub runs: Vec<Run>,
    pub digest: Digest,
    pub max_hlc: Hlc,
    pub events: u64,
    pub loose_facts: u64,
    /// What waits from now on, and what does no more.
    pub deferred: Backlog,
    pub settled: BTreeSet<Place>,
    pub own_log: Option<LogId>,
    /// Events that have no effect yet, and those that were such and have one now.
    pub put_off: BTreeSet<(Hlc, EventRef)>,
    pub taken_up: Vec<(Hlc, EventRef)>,
    /// How late gates told what they did, in order.
    pub edges: Vec<(String, Lateness)>,
    /// Events that came and have no effect, with the reason.
    pub set_aside: Vec<(EventRef, String)>,
}

impl Staged {
    pub fn on(state: &State) -> Self {
        Self {
            heads: HashMap::default(),
            inside: HashMap::default(),
            settings: None,
            totals: BTreeMap::new(),
            takings: BTreeMap::new(),
            runs: Vec::new(),
            digest: state.digest,
            max_hlc: state.max_hlc,
            events: state.events,
            loose_facts: state.loose_facts,
            deferred: Backlog::default(),
            settled: BTreeSet::new(),
            own_log: state.own_log.clone(),
            put_off: BTreeSet::new(),
            taken_up: Vec::new(),
            edges: Vec::new(),
            set_aside: Vec::new(),
        }
    }

    pub fn summary(&self) -> Summary {
        Summary {
            digest: self.digest.to_bytes(),
            max_hlc: self.max_hlc,
            events: self.events,
            loose_facts: self.loose_facts,
        }
    }

    /// Notes that `event` now ends `log`, which stood at `before`.
    pub fn extend_run(&mut self, log: &LogId, before: Head, event: EventBytes, after: Head) {
        debug_assert_eq!(after.to, before.to + 1, "a log grows by one event at a time");
        match self.runs.iter_mut().rev().find(|run| run.log == *log) {
            Some(run) => {
                run.events.push(event);
                run.hash = after.hash;
            }
            None => self.runs.push(Run {
                log: log.clone(),
                after: before.to,
                prev: before.hash,
                events: vec![event],
                hash: after.hash,
            }),
        }
        self.heads.insert(log.clone(), after);
        self.events += 1;
    }
}
