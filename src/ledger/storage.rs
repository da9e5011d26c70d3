//! What the ledger asks of a disk. `store::writer` is the real one; the simulation has one with crash points.
//!
//! All calls between `begin` and `commit` are one transaction and see each other's effects. Every error means that the
//! transaction is lost: the ledger calls `rollback` and answers every job of the batch with "not durable".

use std::ops::{AddAssign, RangeInclusive};

use crate::domain::audit::AuditEntry;
use crate::domain::event::Event;
use crate::domain::ids::{Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::{Fact, TakenAs, Taking};
use crate::domain::time::SiteZone;
use crate::replication::handshake::SeenOf;
use crate::replication::log::{ChainHash, EventBytes, Head};

use super::sheet::{Reckoning, Span};

/// Where an event lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    pub log: LogId,
    pub seq: u64,
}

/// A row of the history with its local row number (`history_id`).
#[derive(Debug, Clone, PartialEq)]
pub struct StoredStay {
    pub row_id: i64,
    pub row: StayRow,
    /// When the row was first committed here, wall clock, Unix ms.
    pub committed_ms: i64,
}

/// A fact that cannot be found through the rows of the history: no row names it in `entry_fact`, `confirm_fact` or
/// `exit.fact` (a repeat, a correction, a void, a second exit, a fact waiting for its entry), or the row that does is of
/// another stay id or plate than the fact (it was corrected). Found by what it concerns. Rare.
#[derive(Debug, Clone, PartialEq)]
pub struct LooseFact {
    pub at: EventRef,
    pub hlc: Hlc,
    /// Stay ids, plates and, of a void, the facts it removes, as `s:<stay id>`, `p:<plate>` and `f:<fact id>`; of a fact that was
    /// skipped, the plate as `q:<plate>` too.
    pub keys: Vec<String>,
    /// It names a stay whose entry is not held yet.
    pub waiting: bool,
}

/// An event of a stay that is held and not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyFact {
    pub at: EventRef,
    pub hlc: Hlc,
    /// The plates it waits under: the one it states, and that of the stay it names.
    pub plate: PlateId,
    pub other: Option<PlateId>,
    pub is_entry: bool,
    /// Since when, wall clock, Unix ms.
    pub since_ms: i64,
}

/// Plates whose history is behind the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    pub plates: u64,
    /// Since when some wait, without a break, wall clock, Unix ms.
    pub since_ms: i64,
}

/// Sums are kept of each quarter of an hour ([`crate::domain::time::quarter`]) at each gate, told apart by who took what: (quarter, central,
/// edge, of exits who took what). So a refold finds what it takes back, whatever the site's zone is meanwhile.
pub type TotalKey = (i64, String, String, TakenAs);

/// Entries, exits and revenue to add. Signed: a refold takes back what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TotalChange {
    pub entries: i64,
    pub exits: i64,
    pub revenue_vnd: i64,
}

impl AddAssign for TotalChange {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.exits += more.exits;
        self.revenue_vnd += more.revenue_vnd;
    }
}

/// What is known of a shift, of facts that may come in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// [`crate::domain::shift::shift_id`].
    pub id: String,
    pub central: String,
    pub edge_id: String,
    /// The other edges of its lane, as its opening names them.
    pub lane_edges: Vec<String>,
    pub from_ms: i64,
    /// Of several the lowest, of openings and of closings.
    pub opened: Option<ShiftOpening>,
    pub closed: Option<ShiftClosing>,
}

impl Shift {
    /// All edges it is of, the one it was opened at first.
    pub fn edges(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.edge_id).chain(&self.lane_edges).map(String::as_str)
    }

    pub fn is_at(&self, central: &str, edge_id: &str) -> bool {
        self.central == central && self.edges().any(|edge| edge == edge_id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftOpening {
    pub place: (Hlc, EventRef),
    pub person: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftClosing {
    pub place: (Hlc, EventRef),
    pub until_ms: i64,
}

/// The singleton facts about the whole ledger, written once per transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Sum mod 2^256 (little-endian) of the hashes of all rows, tariffs and subscriptions.
    pub digest: [u8; 32],
    /// The greatest clock of any fact held.
    pub max_hlc: Hlc,
    pub events: u64,
    pub loose_facts: u64,
}

/// A tariff or subscription as held: the winning event's clock, place and bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub kind: SettingKind,
    pub id: String,
    pub hlc: Hlc,
    pub at: EventRef,
    /// The value as JSON; `None`: removed (the tombstone stays, so that an older event cannot bring it back).
    pub value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingKind {
    Tariff,
    /// A tariff that counts from a moment on, by that moment in Unix ms.
    Announced,
    Subscription,
    /// The standing of a central, by its fingerprint.
    Central,
    /// What the site or a gate is called, by the id of a [`Naming`](crate::domain::naming::Naming).
    Name,
}

/// Everything kept in memory, read once at start. Costs by cars inside, logs, settings and what waits, never by history.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub heads: Vec<(LogId, Head)>,
    /// Every row with status IN.
    pub inside: Vec<StoredStay>,
    pub settings: Vec<Setting>,
    pub summary: Summary,
    /// What is held and not applied yet.
    pub dirty: Vec<DirtyFact>,
}

/// What a look at the files found, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched {
    /// Why this central must be restarted, and soon.
    pub files: Option<String>,
    /// Nothing is committed any more, and all that is left lies where a start looks for it: nobody has to do anything before.
    pub needs_start: bool,
    /// Who keeps the log from starting over, so that it grows.
    pub log: Option<String>,
    /// What in the database cannot be read.
    pub database: Option<String>,
}

/// What is looked up: rows, and events by what they carry. A reader has it, too.
pub trait Lookup {
    type Error;

    fn stay(&mut self, stay_id: &str) -> Result<Option<StoredStay>, Self::Error>;
    /// The latest row of an effective plate whose entry has a lower clock, of those that are neither superseded nor void: more
    /// than one if they have the same.
    fn last_begun(&mut self, plate: &PlateId, before: Hlc) -> Result<Vec<StoredStay>, Self::Error>;
    /// The first rows of an effective plate whose entry has this clock or a higher one, in order of it; none that is void.
    fn begun_since(&mut self, plate: &PlateId, since: Hlc, most: usize) -> Result<Vec<StoredStay>, Self::Error>;
    /// The loose facts under a key with such clocks, see [`super::component::loose_key`].
    fn loose_facts(&mut self, key: &str, clocks: RangeInclusive<Hlc>) -> Result<Vec<EventRef>, Self::Error>;
    fn event(&mut self, at: &EventRef) -> Result<Option<EventBytes>, Self::Error>;
    /// The applied events that carry this edge and request id, with clocks from the first to the second, in ms.
    fn events_of_request(
        &mut self,
        edge_id: &str,
        request_id: &str,
        clocks_ms: (i64, i64),
    ) -> Result<Vec<EventRef>, Self::Error>;
    fn events_of_heard(&mut self, fact: &[u8; 32]) -> Result<Vec<EventRef>, Self::Error>;
    /// The rows that ended in this second, Unix time, with this fee.
    fn ended_in(&mut self, second: i64, fee: Vnd) -> Result<Vec<StoredStay>, Self::Error>;
    /// The event as a fact; `None`: there is none, or it cannot be read.
    fn fact(&mut self, at: &EventRef) -> Result<Option<Fact>, Self::Error> {
        Ok(self.event(at)?.and_then(|bytes| Fact::read(&bytes)))
    }
}

/// The rows of the history.
pub trait Rows: Lookup {
    /// A clock no row of a plate is above, and no higher than any row of it ever was. `None`: it never had a row.
    fn greatest_hlc_of_plate(&mut self, plate: &PlateId) -> Result<Option<Hlc>, Self::Error>;
    /// Returns the new row number. `own`: authored here (`sync_status` LOCAL), else SYNCED. No row has its stay id.
    fn insert_stay(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<i64, Self::Error>;
    /// As [`Rows::insert_stay`]; `None`: a row has that stay id, and nothing is written.
    fn insert_stay_if_new(&mut self, row: &StayRow, own: bool, committed_ms: i64) -> Result<Option<i64>, Self::Error>;
    /// Keeps the row's number, `committed_ms` and `created_at`.
    fn update_stay(&mut self, row_id: i64, row: &StayRow, now_ms: i64) -> Result<(), Self::Error>;
    /// As [`Rows::update_stay`], where the stored row [begins so](StayRow::begins_as).
    fn update_ending(&mut self, row_id: i64, row: &StayRow, now_ms: i64) -> Result<(), Self::Error> {
        self.update_stay(row_id, row, now_ms)
    }
    fn delete_stay(&mut self, row_id: i64) -> Result<(), Self::Error>;
}

/// The events of logs, and what is found by them: loose facts, requests, sums, shifts, settings, the audit.
pub trait Tables: Lookup {
    /// The greatest clock of the loose facts under a key.
    fn greatest_loose_hlc(&mut self, key: &str) -> Result<Option<Hlc>, Self::Error>;
    /// `hash` is the chain's after this event, `committed_ms` the time of this transaction. `(log, seq)` is new: an event already
    /// there is an error.
    fn append_event(
        &mut self,
        at: &EventRef,
        event: &EventBytes,
        hash: ChainHash,
        committed_ms: i64,
    ) -> Result<(), Self::Error>;
    fn set_head(&mut self, log: &LogId, head: Head) -> Result<(), Self::Error>;
    /// Adds the fact or replaces its keys.
    fn put_loose_fact(&mut self, fact: &LooseFact) -> Result<(), Self::Error>;
    fn remove_loose_fact(&mut self, at: &EventRef) -> Result<(), Self::Error>;
    /// Lets an appended event wait to be applied.
    fn put_dirty(&mut self, fact: &DirtyFact) -> Result<(), Self::Error>;
    /// The event waits no more.
    fn remove_dirty(&mut self, at: &EventRef) -> Result<(), Self::Error>;
    /// Remembers that the event carries this request.
    fn put_request(&mut self, edge_id: &str, request_id: &str, at: &EventRef, hlc: Hlc) -> Result<(), Self::Error>;
    /// Remembers where a fact lies that was heard from a predecessor.
    fn put_heard(&mut self, fact: &[u8; 32], at: &EventRef) -> Result<(), Self::Error>;
    fn add_total(&mut self, key: TotalKey, change: TotalChange) -> Result<(), Self::Error>;
    /// Keeps what was taken at an exit to be found by gate and time, or takes it out again.
    fn set_taking(&mut self, taking: &Taking, is_taken: bool) -> Result<(), Self::Error>;
    /// Keeps what the correction or void that lies there changes in what was taken.
    fn put_money_changes(&mut self, at: &EventRef, event: &Event) -> Result<(), Self::Error>;
    fn shift(&mut self, id: &str) -> Result<Option<Shift>, Self::Error>;
    /// The shifts that are open, at all gates.
    fn open_shifts(&mut self) -> Result<Vec<Shift>, Self::Error>;
    /// The last that began before `before_ms` at a gate, or at another edge of its lane, and whose opening is held.
    fn last_shift(&mut self, central: &str, edge_id: &str, before_ms: i64) -> Result<Option<Shift>, Self::Error>;
    /// As [`super::sheet::last_taken_ms`].
    fn last_taken_ms(&mut self, shift: &Shift, within: Span) -> Result<Option<i64>, Self::Error>;
    /// Adds the shift or replaces what is known of it.
    fn put_shift(&mut self, shift: &Shift) -> Result<(), Self::Error>;
    /// When the cash of a shift was counted anew, by the clocks of the events, and where they lie.
    fn recounts(&mut self, id: &str) -> Result<Vec<(Hlc, EventRef)>, Self::Error>;
    /// Keeps such a count to be found by its shift.
    fn put_recount(&mut self, at: &EventRef, event: &Event) -> Result<(), Self::Error>;
    /// What an opened shift comes to by all that is applied.
    fn shift_figures(&mut self, shift: &Shift) -> Result<Reckoning, Self::Error>;
    /// Where lies what tells of a payment with this reference or says what it is for, in no order.
    fn payments(&mut self, reference: &str) -> Result<Vec<EventRef>, Self::Error>;
    /// Keeps either to be found by reference and stay, and a payment by time.
    fn put_payment(&mut self, at: &EventRef, event: &Event) -> Result<(), Self::Error>;
    /// Keeps what an invoice program answered, to be found by the exit and by the stay.
    fn put_invoice(&mut self, at: &EventRef, event: &Event) -> Result<(), Self::Error>;
    fn put_setting(&mut self, setting: &Setting) -> Result<(), Self::Error>;
    fn remove_setting(&mut self, kind: SettingKind, id: &str) -> Result<(), Self::Error>;
    /// Lists an event that has no effect, with the reason.
    fn quarantine(&mut self, at: &EventRef, reason: &str) -> Result<(), Self::Error>;
    /// The events on that list whose reason begins so.
    fn quarantined(&mut self, reason_begins: &str) -> Result<Vec<EventRef>, Self::Error>;
    /// Takes an event from that list: it has an effect after all. Whether it was on it.
    fn release(&mut self, at: &EventRef) -> Result<bool, Self::Error>;
    /// Adds to the end of the audit, which nothing ever changes or removes.
    fn put_audit(&mut self, entry: &AuditEntry) -> Result<(), Self::Error>;
    fn set_summary(&mut self, summary: &Summary) -> Result<(), Self::Error>;
}

/// The disk of one central.
pub trait Storage:
    Rows + Tables + Lookup<Error: std::error::Error + Send + Sync + 'static> + Send + Unpin + 'static
{
    /// Whether such an error is over once all that is made from the events was made anew.
    fn is_of_derived(_error: &Self::Error) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, Self::Error>;

    fn begin(&mut self) -> Result<(), Self::Error>;
    /// On return every change since `begin` is on disk, synced. After an error nothing of it is, and the transaction is over.
    fn commit(&mut self) -> Result<(), Self::Error>;
    fn rollback(&mut self);

    /// Drops everything that is made from events: rows, loose facts, requests, totals, payments, settings, quarantine, summary, and what
    /// waits.
    fn clear_projection(&mut self) -> Result<(), Self::Error>;
    /// The settings that [`Storage::clear_projection`] left: those whose events cannot be read, so that nothing else has them.
    fn settings_left(&mut self) -> Result<Vec<Setting>, Self::Error> {
        Ok(Vec::new())
    }
    /// Has the next start make all that is made from events anew. Not within a transaction.
    fn make_anew_at_next_start(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    // What has nothing to do with the ledger's transactions. A storage that is no file has nothing to do for it.

    /// Work that may follow a commit once its answers are out: it costs nothing but for some milliseconds once per some 10,000
    /// events. Returns the size of the write-ahead log in bytes. A failure is logged and tried again; nothing depends on it.
    fn make_room(&mut self) -> u64 {
        0
    }
    /// Notes that something came from a peer. In the open transaction if there is one, else in its own.
    fn record_sync(&mut self, _peer: &str, _now_ms: i64) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Notes how far a predecessor was told of some logs. In the open transaction if there is one, else in its own.
    fn record_told(&mut self, _peer: &str, _cursors: &[(LogId, u64)]) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Notes which start was seen of a central.
    fn note_seen(&mut self, _seen: &SeenOf) -> Result<(), Self::Error> {
        Ok(())
    }
    /// One real, synced commit, which changes nothing. Not within a transaction. Of one page; `as_an_event`: as large as an event's.
    /// An error says why nothing can be committed now.
    fn probe(&mut self, _as_an_event: bool) -> Result<(), Self::Error> {
        Ok(())
    }
    /// The newest entry that was stamped here within these times, Unix ms.
    fn newest_own_ms(&mut self, _within: RangeInclusive<i64>) -> Result<Option<i64>, Self::Error> {
        Ok(None)
    }
    /// Looks after the files; once a second, not within a transaction.
    fn watch(&mut self) -> Watched {
        Watched::default()
    }
    /// The site moved to another time zone: texts written from now on are in it.
    fn set_zone(&mut self, _zone: SiteZone) {}
    /// Ends in order: what is in the write-ahead log goes into the database. What was committed is safe without it.
    fn close(self) -> Result<(), Self::Error>
    where
        Self: Sized,
    {
        Ok(())
    }
}
