//! What the ledger is asked, and what it answers.

use std::collections::BTreeSet;

use crate::domain::anomaly::Anomaly;
use crate::domain::audit::{Act, AuditEntry};
use crate::domain::direction::Direction;
use crate::domain::doer::Doer;
use crate::domain::event::{Draft, Image, PriceList};
use crate::domain::ids::{FactId, Hlc, LogId};
use crate::domain::invoice::Invoiced;
use crate::domain::money::Vnd;
use crate::domain::naming::Naming;
use crate::domain::payment::FeeLine;
use crate::domain::plate::PlateId;
use crate::domain::received::PaymentReceived;
use crate::domain::standing::CentralStanding;
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;
use crate::domain::told::Note;
use crate::domain::told::payment::ToldPaid;
use crate::replication::log::{Doubt, Head, Run};

use super::settings::SubscriptionChange;
use super::storage::{SettingKind, StoredStay};

/// What is told beside a passage, and kept with it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beside {
    /// How the fee was paid.
    pub paid: Option<ToldPaid>,
    /// Of a card or ticket.
    pub card_id: Option<String>,
    pub images: Vec<Image>,
    /// The card was lost, which may cost.
    pub lost_card: bool,
}

impl Beside {
    /// What was taken, as far as the payment says: of a car whose stay is not known that is the fee, unless another is told. What no fee can be
    /// is kept with the payment, to be looked at.
    #[must_use]
    pub fn amount_at(&self, direction: Direction) -> Option<Vnd> {
        self.paid.as_ref().filter(|_| direction == Direction::Exit)?.total().filter(|total| *total <= Vnd::MAX_TOLD)
    }
}

/// A person or a machine at a gate asks for the barrier to open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenBarrier {
    pub edge_id: String,
    pub plate: PlateId,
    /// As shown to people; `None`: formatted by us.
    pub plate_view: Option<String>,
    /// The request's direction, else the registered lane of the edge; `None`: by the state of the lot.
    pub direction: Option<Direction>,
    /// Empty: unknown.
    pub camera_type: String,
    pub confidence: Option<f64>,
    pub request_id: Option<String>,
    /// Overrides the state of the lot; recorded as manual.
    pub force: bool,
    /// Why it is forced, if the request says.
    pub reason: Option<String>,
    /// What a forced EXIT took, if the request says.
    pub fee: Option<Vnd>,
    pub beside: Beside,
    /// What was told and could not be read, or is not used.
    pub notes: Vec<Note>,
}

impl OpenBarrier {
    /// Says what was taken, or how: of a car that leaves. A fee of 0 without a reason is what some programs send with everything.
    #[must_use]
    pub fn tells_money(&self) -> bool {
        self.fee.is_some_and(|fee| fee > Vnd(0) || self.reason.is_some()) || self.beside.paid.is_some()
    }

    /// Without a direction, of a car that leaves: money was taken.
    #[must_use]
    pub fn is_exit_by_money(&self) -> bool {
        self.direction.is_none() && self.fee.is_some_and(|fee| fee > Vnd(0))
    }
}

/// The barrier closed: confirms the pending entry, named by its event id or by edge and plate.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseBarrier {
    pub edge_id: String,
    pub plate: Option<PlateId>,
    pub event_id: Option<String>,
    /// Only an entry that came in at this edge, of this central: it proved to be it, and acts only as itself.
    pub only_own: bool,
}

/// An edge program saw a car pass: a fact, taken whatever the state of the lot.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub edge_id: String,
    pub direction: Direction,
    pub plate: PlateId,
    pub plate_view: Option<String>,
    /// The vehicle type; empty: unknown.
    pub camera_type: String,
    pub confidence: Option<f64>,
    /// The edge's own id of the event.
    pub request_id: Option<String>,
    /// When it happened by the edge's clock, Unix ms.
    pub told_ms: Option<i64>,
    /// What the edge took at an exit. Counts only for a car whose entry nobody knows.
    pub fee: Option<Vnd>,
    /// A camera inside the lot saw the car: an entry that was missed, unless it is known to be inside.
    pub seen_inside: bool,
    pub beside: Beside,
    /// What was told and could not be read, and the anomalies that makes.
    pub notes: Vec<Note>,
    pub doubts: BTreeSet<Anomaly>,
}

/// An edge program opened for a car whose plate could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct UnreadOpening {
    pub edge_id: String,
    pub direction: Direction,
    /// What was told in place of a plate, bounded.
    pub text: String,
    pub camera_type: String,
    pub request_id: Option<String>,
    /// As of a [`Report`].
    pub told_ms: Option<i64>,
    pub fee: Option<Vnd>,
    pub beside: Beside,
    /// A person opened, and why, if that was said.
    pub force: bool,
    pub reason: Option<String>,
    pub notes: Vec<Note>,
}

/// A person at an edge program corrected or removed what it had reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportChange {
    pub edge_id: String,
    /// The stay's id, or the id the edge reported its entry under.
    pub event_id: String,
    /// The right plate and how it is shown; `None`: the stay is removed.
    pub corrected: Option<(PlateId, Option<String>)>,
}

/// What a predecessor said of a car, as an event of our own log.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its clock is the time the predecessor claims, never the time it was heard.
    pub draft: Draft,
    /// Where it happened, as said.
    pub source_central: String,
    /// Who told it: a central, or the file it was imported from.
    pub from: String,
}

/// A camera saw a plate. Writes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    pub plate: PlateId,
    pub plate_view: Option<String>,
    pub camera_type: String,
    pub direction: Option<Direction>,
}

/// A person corrects what is known of a stay. Something of it is given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CorrectStay {
    pub stay_id: String,
    pub plate: Option<PlateId>,
    /// As shown to people; `None`: formatted by us if the plate changes.
    pub plate_view: Option<String>,
    pub camera_type: Option<String>,
    /// What was really taken at its exit.
    pub fee: Option<Vnd>,
    /// How it was really paid there. Of one way the amount is not looked at.
    pub paid: Option<ToldPaid>,
    /// What was paid beyond what was taken was given back, whether or not it is known how that was paid.
    pub excess_back: bool,
    /// Its exit was another car's; given alone.
    pub exit_plate: Option<PlateId>,
    /// It was removed and is not.
    pub restore: bool,
    pub reason: String,
}

/// A person removes a stay: it did not happen.
#[derive(Debug, Clone, PartialEq)]
pub struct VoidStay {
    pub stay_id: String,
    pub reason: String,
}

/// The cash of a closed shift was counted anew.
#[derive(Debug, Clone, PartialEq)]
pub struct RecountShift {
    pub id: String,
    pub counted_cash: Vnd,
    pub reason: String,
}

/// A person says what money that came in is for: neither, and what was said is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignPayment {
    /// The fact that tells it.
    pub fact: String,
    pub stay: Option<String>,
    /// Settled by hand; then for no stay.
    pub done: bool,
    pub reason: String,
}

/// A person takes over a gate of this central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenShift {
    pub edge_id: String,
    /// The cash there is to give change with.
    pub opening_cash: Vnd,
}

/// A person hands over a gate of this central, or ends the shift of one who went home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseShift {
    pub id: String,
    pub counted_cash: Vnd,
    pub note: Option<String>,
    /// May close what another person opened.
    pub may_close_others: bool,
}

/// One thing to decide.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    Open(OpenBarrier),
    Close(CloseBarrier),
    Report(Report),
    Unread(UnreadOpening),
    ReportChange(ReportChange),
    Detect(Detection),
    PutTariff(Tariff),
    /// A tariff for a moment that lies ahead, or that none is any more.
    Announce(PriceList),
    /// A central is let in or thrown out, everywhere.
    PutStanding(CentralStanding),
    /// The site and gates are called so: one event per name that differs from what is held.
    PutNames(Vec<Naming>),
    OpenShift(OpenShift),
    CloseShift(CloseShift),
    RecountShift(RecountShift),
    /// Replaces the list: one event per id that differs from what is held, removals included.
    PutSubscriptions(Vec<Subscription>),
    /// Changes these and no others: one event per id that differs from what is held.
    ChangeSubscriptions(Vec<SubscriptionChange>),
    /// Only if what it changes was not changed since it was read.
    IfVersion(Box<IfVersion>),
    /// Takes over a tariff that was found in a file; counts only as long as nobody has set one.
    ImportTariff(Tariff),
    /// As for the tariff, for each subscription by its id.
    ImportSubscriptions(Vec<Subscription>),
    Correct(CorrectStay),
    Void(VoidStay),
    /// Money came in; what is held of it is not written again.
    TakePayment(PaymentReceived),
    AssignPayment(AssignPayment),
    /// The invoice program answered; the event's clock is after this one.
    NoteInvoice(Box<Invoiced>, Option<Hlc>),
    /// What a predecessor said; what is held already is not written again.
    Hear(Vec<Told>),
    /// Consecutive events of another central's log, from a peer.
    Store(Run),
    /// As [`Job::Store`], given by that central itself.
    StoreOfAuthor(Run),
    /// Another job, with who wants it: what it changes is written down in the same transaction.
    Audited(Box<Audited>),
    /// What happened elsewhere in the program.
    Audit(Vec<AuditEntry>),
    /// Another job, with who wants it: the events it makes name them.
    By(Box<DoneBy>),
}

/// A job, and who does it.
#[derive(Debug, Clone, PartialEq)]
pub struct DoneBy {
    pub doer: Doer,
    pub job: Job,
}

/// A job, and who wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    pub job: Job,
    pub act: Act,
}

/// A job, and the version it was read at of what it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct IfVersion {
    /// What it changes: the tariff or the subscriptions.
    pub of: SettingKind,
    /// `None`: the built-in tariff.
    pub version: Option<String>,
    pub job: Job,
}

impl Job {
    /// A barrier waits for the answer, and nothing has happened yet.
    #[must_use]
    pub fn is_press(&self) -> bool {
        match self {
            Self::Open(_) => true,
            Self::By(done) => done.job.is_press(),
            Self::Audited(audited) => audited.job.is_press(),
            _ => false,
        }
    }

    /// This job, if what it changes has this version still.
    #[must_use]
    pub fn if_version(self, of: SettingKind, version: Option<String>) -> Self {
        Self::IfVersion(Box::new(IfVersion { of, version, job: self }))
    }

    /// This job, done by somebody.
    #[must_use]
    pub fn by(self, doer: Doer) -> Self {
        Self::By(Box::new(DoneBy { doer, job: self }))
    }

    /// This job, written down as what it is if it changes anything.
    #[must_use]
    pub fn audited(self, act: Act) -> Self {
        Self::Audited(Box::new(Audited { job: self, act }))
    }
}

/// What is known of a car at a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct VehicleInfo {
    pub plate: PlateId,
    pub plate_view: String,
    pub camera_type: String,
    pub inside: Option<InsideInfo>,
    /// The active subscription of the plate, if any.
    pub subscription_id: Option<String>,
}

/// The open stay of a car.
#[derive(Debug, Clone, PartialEq)]
pub struct InsideInfo {
    pub stay_id: String,
    pub entry_ms: i64,
    pub entry_central: String,
    pub entry_edge: String,
    /// As what it came in, as corrected; empty: not told.
    pub camera_type: String,
    /// What leaving now would cost, of which lines, and how long the car has been inside as shown.
    pub fee: Vnd,
    pub lines: Vec<FeeLine>,
    pub duration: String,
}

/// What an edge program's report came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    pub direction: Direction,
    /// The stay it is about.
    pub event_id: String,
    /// That stay as it stands now. `None`: what was reported is a part of another one.
    pub stay: Option<StoredStay>,
    /// Of an exit: the fee and the duration as shown.
    pub fee: Vnd,
    pub duration: String,
    /// It was reported before, or says nothing new: at most that it was told again was written.
    pub repeated: bool,
    /// What was told and is not used as told.
    pub notes: Vec<Note>,
}

/// What became of an opening for a car that could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct UnreadKept {
    pub direction: Direction,
    /// The fact that tells it.
    pub fact: FactId,
    pub fee: Option<Vnd>,
    pub repeated: bool,
    pub notes: Vec<Note>,
}

/// What came of one thing a predecessor said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hearing {
    /// Written down.
    New,
    /// Held already: from it, from another central that heard it, or because it is an echo of our own event.
    Known,
    /// It cannot be written down, and why.
    Refused(String),
}

/// A success: durable when it is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Entered {
        event_id: String,
        history_id: i64,
        repeated: bool,
        /// What was told and is not used as told.
        notes: Vec<Note>,
    },
    /// `event_id` is the entry's; of an exit without entry its own.
    Exited {
        event_id: String,
        fee: Vnd,
        duration: String,
        repeated: bool,
        notes: Vec<Note>,
    },
    Closed {
        confirmed: bool,
        event_id: Option<String>,
    },
    Reported(Box<Passed>),
    Unread(Box<UnreadKept>),
    /// What an edge program changed was so already.
    ChangedBefore {
        event_id: String,
    },
    Seen(VehicleInfo),
    /// The version (fact id) now in force.
    TariffSet {
        version: String,
    },
    SubscriptionsSet {
        changed: usize,
        /// Of the list as it is since.
        version: String,
    },
    /// The version (fact id) of the decision now in force.
    StandingSet {
        version: String,
    },
    /// The stay was corrected or removed.
    Amended {
        stay_id: String,
        /// The fact id of the correction or void.
        version: String,
        /// The row as it now is; `None`: it went up in another stay (an exit without entry that found its entry).
        row: Option<Box<StoredStay>>,
    },
    /// The payment is held, and for which stay.
    PaymentKept {
        /// The fact that tells it.
        fact: String,
        stay: Option<String>,
        repeated: bool,
        /// Another way or amount had been told under its reference.
        conflict: bool,
    },
    /// What a payment is for is said.
    PaymentAssigned {
        /// The fact that says so.
        version: String,
    },
    /// It is as asked for, and committed.
    ShiftSet {
        id: String,
    },
    /// What came of each thing a predecessor said, in order.
    Heard(Vec<Hearing>),
    /// The run is held: the log now stands at `head`.
    Stored {
        log: LogId,
        head: Head,
    },
    /// The entries are in the audit.
    Noted,
}

/// What one job came to.
pub type Outcome = Result<Answer, Refusal>;

/// Why nothing was done. Each has a status code and a stable code in `http/error.rs`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the vehicle is already inside")]
    AlreadyInside(Box<VehicleInfo>),
    #[error("the vehicle is not inside")]
    NotInside(Box<VehicleInfo>),
    /// The one inside is of another type: two vehicles whose plates have the same characters.
    #[error(
        "a vehicle of another type ({told_inside}) with these characters is inside: look at the plates; to force this entry ends that stay without a fee"
    )]
    OtherType { vehicle: Box<VehicleInfo>, told_inside: String },
    /// By state this would be an exit, of a car that came in a moment ago.
    #[error("the vehicle came in a moment ago; say direction EXIT or wait {retry_after_s} s")]
    JustEntered { vehicle: Box<VehicleInfo>, retry_after_s: u64 },
    #[error("this request id was used for another request")]
    RequestIdReused,
    #[error(
        "this payment, {fact}, is held for another stay than {told:?}: a person says which stay it is for (POST /api/payments/{{fact}}/assign)"
    )]
    PaymentOfAnotherStay { fact: String, told: String },
    #[error("the reference {0:?} came with hundreds of other payments: send the one that the bank gives each transfer")]
    ReferenceOfMany(String),
    #[error("no payment has the fact {0:?}; take it from GET /api/payments, with / as %2F")]
    UnknownPayment(String),
    /// The fee is over 7 days' worth of stay: a person has to look.
    #[error("the vehicle has been inside for more than 7 days; check and force")]
    LongStay(Box<VehicleInfo>),
    /// No row of the history has this id.
    #[error("no stay has the event_id {0:?}; take it from a row of the history, not the row's number")]
    UnknownStay(String),
    /// A correction that says what is already so.
    #[error("the stay already has this plate and view; nothing was changed")]
    Unchanged,
    #[error("the stay was removed before; a removal is final")]
    AlreadyVoid,
    /// Another edge let that car in; this one may act only as itself.
    #[error("that entry was made at edge {edge_id} of {central}: an edge with a key closes behind its own cars alone")]
    OtherEdge { central: String, edge_id: String },
    /// A gate has one shift at a time.
    #[error("{person} has a shift open at this gate: it is closed first, by {person} or a shift lead")]
    ShiftOpen { id: String, person: String },
    #[error("no shift has the id {0:?}")]
    UnknownShift(String),
    #[error("this shift was closed before; its sheet does not change any more")]
    ShiftClosed { id: String },
    #[error("this is the shift of {person}: ask a shift lead or an administrator to close it")]
    OthersShift { person: String },
    #[error("this shift is at a gate of {central}: open and close it there")]
    ShiftElsewhere { central: String },
    /// What was read is not what is held any more.
    #[error("it has changed since it was read; read it again")]
    StaleVersion,
    #[error("{0}")]
    Invalid(String),
    /// A field of the request is wrong; found before anything is decided.
    #[error("{field}: {problem}")]
    Field { field: &'static str, problem: String },
    /// The run does not continue what is held; take it from there again.
    #[error("the run does not continue what is held")]
    OutOfOrder { log: LogId, held: Head },
    /// The run's hash is not its chain's, or differs from what is held at the same place.
    #[error("the run's chain hash is wrong")]
    BrokenChain { log: LogId },
    /// The run was not written by whose log it is, or not as far as is known.
    #[error("{log} is not taken: {reason}")]
    NotItsAuthor { log: LogId, reason: String, doubt: Doubt },
    /// The transaction failed; nothing of it happened. Try again later.
    #[error("not durable now: {0}")]
    NotDurable(String),
}
