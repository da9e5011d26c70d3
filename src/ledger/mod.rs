//! The ledger: what the one writer of a central decides. Pure: a state machine over a [`storage::Storage`].
//!
//! One transaction takes a batch of [`job::Job`]s, decides each against state that includes the ones before it, and is
//! committed as a whole; answers and announcements leave only after the commit. Memory is changed after the disk, never
//! before: see [`state`].
//!
//! | file | holds |
//! |---|---|
//! | [`job`] | what is asked and answered |
//! | [`gate`] | the decisions at a barrier |
//! | [`repeats`] | what was asked before |
//! | [`report`] | what edge programs saw happen |
//! | [`edge_clocks`] | whether their clocks are right |
//! | [`put`] | changes of tariff and subscriptions |
//! | [`amend`] | corrections and voids |
//! | [`shifts`], [`sheet`] | who answers for the money of a gate, from when to when; what a shift comes to |
//! | `payments` | money that came in, as banks and providers tell it |
//! | [`audited`] | what a person changed, told beside the change |
//! | [`runs`] | what peers send |
//! | [`authorship`] | whether who sends it may: each log is written by who began it |
//! | [`heard`] | what predecessors say, and what is imported of them |
//! | [`apply`] | what one event does to the history, the plain way |
//! | [`refold`], [`component`] | the general way: fold what hangs together |
//! | [`dirty`] | what waits to be folded |
//! | [`state`], [`open_stay`], [`settings`], [`digest`] | what is kept in memory |
//! | [`storage`], [`memory`] | what is asked of the disk; one in memory for tests |

pub mod amend;
pub mod apply;
pub mod audited;
pub mod authorship;
mod charge;
pub mod component;
pub mod digest;
pub mod dirty;
pub mod edge_clocks;
pub mod gate;
pub mod heard;
pub mod job;
pub mod memory;
pub mod open_stay;
mod payments;
pub mod put;
pub mod refold;
pub mod repeats;
pub mod report;
pub mod runs;
pub mod settings;
pub mod sheet;
pub mod shifts;
pub mod state;
pub mod storage;
pub mod transaction;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::authorship::{OpenedBy, Proof};
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::domain::lane::Lanes;
use crate::domain::plate::PlateId;
use crate::domain::time::SiteZone;
use crate::replication::log::{EventBytes, Head, Run};

use self::apply::Steps;
use self::authorship::Authorship;
use self::digest::Digest;
use self::edge_clocks::EdgeClocks;
use self::job::{Answer, Job, Refusal};
use self::open_stay::{OpenStay, Places};
use self::settings::SharedSettings;
use self::state::State;
use self::storage::{Behind, EventRef, Storage, Summary};
use self::transaction::{Stop, Transaction, TransactionTime};

/// The version of the rules that make rows out of facts. Digests are comparable only between equal versions.
pub const RULES_VERSION: u32 = 15;

/// What does not change while a ledger is open.
#[derive(Debug, Clone)]
pub struct Context {
    pub central: CentralId,
    pub zone: SiteZone,
}

/// The answers to a batch, one per job in order, and what the commit made true.
#[derive(Debug)]
pub struct Processed {
    pub outcomes: Vec<Result<Answer, Refusal>>,
    /// What every log grew by, own events and stored runs alike.
    pub committed: Vec<Run>,
    /// A transaction was committed: the logs grew, or the audit alone.
    pub durable: bool,
    /// Why the transaction failed, if it did: then every outcome is [`Refusal::NotDurable`]. For the log, not for clients.
    pub failure: Option<String>,
    /// It failed at something that is made from the events and cannot be read: made anew, it can.
    pub unreadable: bool,
    /// Events that came and have no effect, with the reason.
    pub set_aside: Vec<(EventRef, String)>,
}

/// The writer's mind. One per data directory.
#[derive(Debug)]
pub struct Ledger<S> {
    context: Context,
    state: State,
    places: Places,
    storage: S,
    steps: Steps,
    authorship: Authorship,
    lanes: Lanes,
}

impl<S: Storage> Ledger<S> {
    /// Reads what is kept in memory. Costs by cars inside, never by history.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn open(mut storage: S, context: Context) -> Result<Self, S::Error> {
        let mut places = Places::default();
        let loaded = storage.load()?;
        let mut state = State::of_loaded(loaded, runs::put_off(&mut storage)?, &mut places);
        state.edge_clocks = EdgeClocks::recalled(&mut storage, &state.heads, &context.central);
        let (steps, authorship, lanes) = (Steps::default(), Authorship::default(), Lanes::default());
        Ok(Self { context, state, places, storage, steps, authorship, lanes })
    }

    /// Who began the logs that are held here, each once.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn openers(&mut self) -> Result<Vec<(CentralId, OpenedBy)>, S::Error> {
        let mut openers: BTreeMap<(CentralId, String), OpenedBy> = BTreeMap::new();
        for log in self.state.heads.keys() {
            let first = self.storage.event(&EventRef { log: log.clone(), seq: 1 })?;
            if let Some(by) = first.and_then(|event| Proof::of(&event).opened_by) {
                openers.insert((log.central.clone(), by.certificate.clone()), by);
            }
        }
        Ok(openers.into_iter().map(|((central, _), by)| (central, by)).collect())
    }

    /// From now on own events show who wrote them, and those of others have to.
    pub fn set_authorship(&mut self, authorship: Authorship) {
        self.authorship = authorship;
    }

    /// Decides a batch of jobs in one transaction.
    ///
    /// `fresh_epoch` names the log to start, should this be the first own event since the process started (or since
    /// [`Ledger::start_new_epoch`]); it must be random and new in every call until it was used.
    pub fn process(&mut self, jobs: Vec<Job>, now: TransactionTime, fresh_epoch: Epoch) -> Processed {
        let count = jobs.len();
        let mut outcomes = Vec::with_capacity(count);
        let Self { context, state, places, storage, steps, authorship, lanes } = self;
        let mut transaction =
            Transaction::new(context, state, places, storage, now, fresh_epoch, *steps, authorship, lanes);
        if let Err(error) = transaction.take_due() {
            transaction.abandon();
            return not_durable::<S>(count, &error);
        }
        for job in jobs {
            match transaction.run(job) {
                Ok(answer) => outcomes.push(Ok(answer)),
                Err(Stop::Refused(refusal)) => outcomes.push(Err(refusal)),
                Err(Stop::Storage(error)) => {
                    transaction.abandon();
                    return not_durable::<S>(count, &error);
                }
            }
        }
        match transaction.finish() {
            Ok(None) => Processed {
                outcomes,
                committed: Vec::new(),
                durable: false,
                failure: None,
                unreadable: false,
                set_aside: Vec::new(),
            },
            Ok(Some(mut staged)) => {
                let committed = std::mem::take(&mut staged.runs);
                let set_aside = std::mem::take(&mut staged.set_aside);
                self.state.absorb(staged);
                Processed { outcomes, committed, durable: true, failure: None, unreadable: false, set_aside }
            }
            Err(error) => not_durable::<S>(count, &error),
        }
    }

    /// Applies events that are already in the storage's logs: the way a projection is rebuilt after
    /// [`Storage::clear_projection`]. Each call is one transaction.
    ///
    /// The order does not matter to the result. In the order of their clocks nearly every event is one plain step; in another
    /// most wait, for [`Ledger::settle`] to fold them.
    ///
    /// # Errors
    /// Those of the storage; then nothing of the batch was applied.
    pub fn replay(&mut self, events: &[(EventRef, EventBytes)], now: TransactionTime) -> Result<(), S::Error> {
        let Self { context, state, places, storage, steps, authorship, lanes } = self;
        let mut transaction =
            Transaction::new(context, state, places, storage, now, Epoch(0), *steps, authorship, lanes);
        if let Err(error) = transaction.replay_all(events) {
            transaction.abandon();
            return Err(error);
        }
        if let Some(staged) = transaction.finish()? {
            self.state.absorb(staged);
        }
        Ok(())
    }

    /// One turn of taking up what waits, by its clocks: about `facts` facts are read and folded, each with what it hangs together
    /// with. Each call is one transaction. Returns how many were; 0: nothing waits.
    ///
    /// # Errors
    /// Those of the storage; then nothing changed.
    pub fn settle(&mut self, facts: usize, now: TransactionTime) -> Result<usize, S::Error> {
        if self.state.backlog.is_empty() {
            return Ok(0);
        }
        let Self { context, state, places, storage, steps, authorship, lanes } = self;
        let mut transaction =
            Transaction::new(context, state, places, storage, now, Epoch(0), *steps, authorship, lanes);
        if let Err(error) = transaction.take_up_first(None, facts) {
            transaction.abandon();
            return Err(error);
        }
        let folded = transaction.folded;
        if let Some(staged) = transaction.finish()? {
            self.state.absorb(staged);
        }
        Ok(folded)
    }

    /// The plates whose history is behind the events; `None`: it is what the events give.
    pub fn behind(&self) -> Option<Behind> {
        self.state.backlog.behind()
    }

    /// Empties the projection, so that [`Ledger::replay`] can make it anew.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn clear_projection(&mut self) -> Result<(), S::Error> {
        self.storage.begin()?;
        let left = self.storage.clear_projection().and_then(|()| self.storage.settings_left());
        let cleared = left.and_then(|left| {
            let mut digest = Digest::default();
            SharedSettings::of_stored(left).hashes().for_each(|hash| digest.add(hash));
            let empty = Summary {
                digest: digest.to_bytes(),
                max_hlc: crate::domain::ids::Hlc::default(),
                events: self.state.events,
                loose_facts: 0,
            };
            self.storage.set_summary(&empty)
        });
        if let Err(error) = cleared.and_then(|()| self.storage.commit()) {
            self.storage.rollback();
            return Err(error);
        }
        self.reopen()
    }

    /// Reads what is kept in memory again, as a process that starts does: what was not committed is forgotten, and the next own
    /// event begins a new log.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn reopen(&mut self) -> Result<(), S::Error> {
        let loaded = self.storage.load()?;
        self.state = State::of_loaded(loaded, runs::put_off(&mut self.storage)?, &mut self.places);
        self.state.edge_clocks = EdgeClocks::recalled(&mut self.storage, &self.state.heads, &self.context.central);
        Ok(())
    }

    /// Never continues the current own log: someone else holds another history of it.
    pub fn start_new_epoch(&mut self) {
        self.state.own_log = None;
    }

    /// The log this process writes; `None` before its first own event.
    pub fn own_log(&self) -> Option<&LogId> {
        self.state.own_log.as_ref()
    }

    pub fn heads(&self) -> impl Iterator<Item = (&LogId, &Head)> {
        self.state.heads.iter()
    }

    pub fn settings(&self) -> &Arc<SharedSettings> {
        &self.state.settings
    }

    pub fn digest(&self) -> Digest {
        self.state.digest
    }

    /// The number of events held, of all logs.
    pub fn events(&self) -> u64 {
        self.state.events
    }

    pub fn inside(&self) -> impl ExactSizeIterator<Item = (&PlateId, &OpenStay)> {
        self.state.inside.iter().map(|(plate, open)| (plate, &**open))
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// This central got another id: events authored from now on are in a new log of that name.
    pub fn set_central(&mut self, central: CentralId) {
        if self.context.central != central {
            self.context.central = central;
            self.start_new_epoch();
        }
    }

    /// Which edges of this central are devices of one lane, from now on.
    pub fn set_lanes(&mut self, lanes: Lanes) {
        self.lanes = lanes;
    }

    /// The site moved to another time zone: places written from now on are in it.
    pub fn set_zone(&mut self, zone: SiteZone) {
        self.storage.set_zone(zone.clone());
        self.context.zone = zone;
    }

    pub fn storage(&self) -> &S {
        &self.storage
    }

    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Gives the storage back, for closing it.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

fn not_durable<S: Storage>(count: usize, error: &S::Error) -> Processed {
    let unreadable = S::is_of_derived(error);
    let reason = error.to_string();
    let outcomes = (0..count).map(|_| Err(Refusal::NotDurable(reason.clone()))).collect();
    Processed {
        outcomes,
        committed: Vec::new(),
        durable: false,
        failure: Some(reason),
        unreadable,
        set_aside: Vec::new(),
    }
}
