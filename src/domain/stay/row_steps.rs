//! What one fact does to one row. The fold of [`super::resolve`] and the ledger's fast path both go through here, so that they
//! cannot disagree.
//!
//! A step that does not apply (another type of event) changes nothing and says so.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::super::anomaly::Anomaly;
use super::super::event::{Body, Event, Exit, opening_read};
use super::super::ids::FactId;
use super::super::money::Vnd;
use super::super::plate::PlateId;
use super::super::row::{ExitPart, StayRow, StayStatus};
use super::super::tariff::{is_absurd_stay, is_long_stay};
use super::super::told::vehicle;
use super::fact::Fact;
use super::repeats::PASSAGE_WINDOW_MS;

/// A clock further than this from its peers' is an anomaly, in ms. Edges and people notice a minute.
pub const MAX_SKEW_MS: u64 = 60_000;

/// A car that leaves sooner than this after it came in, in ms, was hardly parked: a second press, or two cameras at one gate.
pub const QUICK_EXIT_MS: i64 = 60_000;

/// Separates the id a stay was given from what makes it unique. An id that comes with one is always made unique.
pub(super) const UNIQUE_MARK: char = '~';

impl StayRow {
    /// The row of a stay that begins with this ENTRY. `None`: the fact is no ENTRY.
    pub fn opened(fact: &Fact) -> Option<Self> {
        let event = &*fact.event;
        let Body::Entry(entry) = &event.body else { return None };
        let mut row = Self {
            stay_id: own_stay_id(event.event_id.as_deref()?, &fact.id),
            source_central: event.source_central.clone(),
            edge_id: entry.edge_id.clone(),
            plate_id: entry.plate_id.clone(),
            plate_view: entry.plate_view.clone(),
            camera_type: entry.camera_type.clone(),
            entry_ms: event.timestamp_ms,
            entry_confidence: entry.confidence,
            entry_manual: entry.force,
            confirmed_ms: None,
            exit: None,
            status: StayStatus::In,
            superseded_by: None,
            collected: Vnd(0),
            anomalies: BTreeSet::new(),
            entry_fact: fact.id.clone(),
            entry_hlc: event.hlc,
            confirm_fact: None,
            last_hlc: event.hlc,
        };
        if entry.force {
            row.anomalies.insert(Anomaly::ManualOpening);
        }
        row.doubt(&entry.doubts);
        row.touch(event);
        Some(row)
    }

    /// The row of an exit whose entry nobody saw: status OUT from the start, the fee taken. `None`: the fact is no EXIT, or
    /// it states no plate and `plate` gives none.
    pub fn exited_without_entry(fact: &Fact, plate: Option<&PlateId>) -> Option<Self> {
        let event = &*fact.event;
        let Body::Exit(exit) = &event.body else { return None };
        let plate = plate.or(exit.plate_id.as_ref())?;
        let mut row = Self {
            stay_id: own_stay_id(event.event_id.as_deref()?, &fact.id),
            source_central: event.source_central.clone(),
            edge_id: exit.exit_edge.clone(),
            plate_id: plate.clone(),
            plate_view: exit.plate_view.clone().unwrap_or_else(|| plate.as_str().to_owned()),
            camera_type: exit.camera_type.clone().unwrap_or_default(),
            entry_ms: event.timestamp_ms,
            entry_confidence: None,
            entry_manual: false,
            confirmed_ms: None,
            exit: None,
            status: StayStatus::In,
            superseded_by: None,
            collected: Vnd(0),
            anomalies: BTreeSet::from([Anomaly::ExitWithoutEntry]),
            entry_fact: fact.id.clone(),
            entry_hlc: event.hlc,
            confirm_fact: None,
            last_hlc: event.hlc,
        };
        row.end(fact, exit, true);
        Some(row)
    }

    /// True if this row is an exit whose entry nobody saw.
    pub fn is_exit_alone(&self) -> bool {
        self.anomalies.contains(&Anomaly::ExitWithoutEntry)
    }

    /// The barrier closed behind the car. The first confirmation counts, later ones leave only their clock. `false`: the fact
    /// is no CONFIRMED, or this row has no entry; nothing changed.
    #[must_use = "false means that nothing was done"]
    pub fn confirm(&mut self, fact: &Fact) -> bool {
        let confirms = matches!(fact.event.body, Body::Confirmed(_)) && !self.is_exit_alone();
        if confirms {
            if self.confirm_fact.is_none() {
                self.confirmed_ms = Some(fact.event.timestamp_ms);
                self.confirm_fact = Some(fact.id.clone());
            }
            self.touch(&fact.event);
        }
        confirms
    }

    /// An EXIT of this stay: closes it if it is open or was left unseen; of one that is already out it is a double exit, whose
    /// fee counts as collected. `false`: the fact is no EXIT; nothing changed.
    #[must_use = "false means that nothing was done"]
    pub fn close(&mut self, fact: &Fact) -> bool {
        self.close_with(fact, false)
    }

    /// An EXIT by a gate that did not know this entry closes it all the same (see [`ExitPart::entry_unknown`]). `false`: the
    /// fact is no EXIT; nothing changed.
    #[must_use = "false means that nothing was done"]
    pub fn close_unknown(&mut self, fact: &Fact) -> bool {
        self.close_with(fact, true)
    }

    fn close_with(&mut self, fact: &Fact, entry_unknown: bool) -> bool {
        let Body::Exit(exit) = &fact.event.body else { return false };
        if self.exit.is_none() {
            self.end(fact, exit, entry_unknown);
        } else {
            self.anomalies.insert(Anomaly::DoubleExit);
            self.collected += exit.fee;
            self.touch(&fact.event);
        }
        true
    }

    fn end(&mut self, fact: &Fact, exit: &Exit, entry_unknown: bool) {
        let event = &*fact.event;
        let (entry_ms, exit_ms) = (self.entry_ms, event.timestamp_ms);
        // Who forces a fee has looked at it, but not at a clock: a year, or a week from a doubtful entry, is no stay.
        let doubtful_entry =
            self.anomalies.contains(&Anomaly::ClockSkew) || self.anomalies.contains(&Anomaly::TimeUncertain);
        let looked = exit.force && (exit.requested_fee.is_some() || !doubtful_entry);
        let looked = looked && (exit.requested_fee.is_some() || !is_absurd_stay(entry_ms, exit_ms));
        let long_unchecked = is_long_stay(entry_ms, exit_ms) && !looked && exit.fee > Vnd(0);
        let entry_missed = entry_unknown && !self.is_exit_alone();
        let exit_missed = self.anomalies.contains(&Anomaly::DoubleEntry) && exit.fee > Vnd(0);
        if entry_missed || exit_missed || exit_ms < entry_ms || long_unchecked {
            self.anomalies.insert(Anomaly::FeeUncertain);
        }
        match exit.camera_type.as_deref() {
            Some(told) if self.camera_type.is_empty() => told.clone_into(&mut self.camera_type),
            Some(told) => self.note_type(told),
            None => {}
        }
        if exit.force {
            self.anomalies.insert(Anomaly::ManualOpening);
        }
        if !self.is_exit_alone() && (0..QUICK_EXIT_MS).contains(&(exit_ms.saturating_sub(entry_ms))) {
            self.anomalies.insert(Anomaly::QuickExit);
        }
        self.doubt(&exit.doubts);
        self.exit = Some(ExitPart {
            fact: fact.id.clone(),
            central: exit.exit_central.clone(),
            edge_id: exit.exit_edge.clone(),
            exit_ms,
            fee: exit.fee,
            duration: exit.duration.clone(),
            confidence: exit.confidence,
            manual: exit.force,
            entry_unknown,
            tariff_version: exit.tariff_version.clone(),
            subscription_id: exit.subscription_id.clone(),
        });
        self.status = StayStatus::Out;
        self.collected += exit.fee;
        self.touch(event);
    }

    /// The car came in again by an ENTRY that `replaces` this open stay: it had left, nobody saw it, no fee.
    pub fn leave_unseen(&mut self, replaced_by: &Fact) {
        self.status = StayStatus::LeftUnseen;
        self.anomalies.insert(Anomaly::LeftUnseen);
        self.last_hlc = self.last_hlc.max(replaced_by.event.hlc);
    }

    /// The car came in again while this stay was open, and that one is superseded: much later, this one's exit may have been missed.
    pub(super) fn note_entered_again(&mut self, again: &Fact) {
        let Body::Entry(entry) = &again.event.body else { return };
        if again.event.timestamp_ms.saturating_sub(self.entry_ms) > PASSAGE_WINDOW_MS {
            self.anomalies.insert(Anomaly::DoubleEntry);
        }
        self.note_type(&entry.camera_type);
    }

    fn note_type(&mut self, told: &str) {
        if vehicle::are_unlike(&self.camera_type, told) {
            self.anomalies.insert(Anomaly::OtherType);
        }
    }

    /// The car was already inside by an older stay: this row is kept and explained, and its id means the older one.
    pub fn supersede(&mut self, older: &StayRow) {
        self.status = StayStatus::Superseded;
        self.superseded_by = Some(older.stay_id.clone());
        self.anomalies.insert(Anomaly::DoubleEntry);
        self.note_type(&older.camera_type);
    }

    /// A person removed the stay: it stays in the history as its entry, without confirmation, exit or money.
    pub(super) fn remove(&mut self) {
        self.status = StayStatus::Void;
        self.exit = None;
        self.collected = Vnd(0);
    }

    /// The exit was told again, or the opening was read as another car's: it counts once, and is shown.
    pub(super) fn note_told_again(&mut self, event: &Event) {
        let is_reading = event.request().is_some_and(|(_, id)| opening_read(id).is_some());
        self.anomalies.insert(if is_reading { Anomaly::MayBeToldTwice } else { Anomaly::DoubleExit });
        if let Body::Exit(exit) = &event.body {
            self.doubt(&exit.doubts);
        }
        self.touch(event);
    }

    /// This exit counts in place of the one that ended the stay and took `taken`: both tell one passage.
    pub(super) fn leave_instead(&mut self, fact: &Fact, exit: &Exit, taken: Vnd, entry_unknown: bool) {
        self.collected = Vnd(self.collected.0.saturating_sub(taken.0));
        self.end(fact, exit, entry_unknown);
    }

    /// The exit was told in two ways that do not go together by themselves.
    pub(super) fn note_double_exit(&mut self) {
        self.anomalies.insert(Anomaly::DoubleExit);
    }

    /// One passage was told with two fees.
    pub(super) fn note_other_fee(&mut self, one: Vnd, other: Vnd) {
        if one != other && one.0 > 0 && other.0 > 0 {
            self.anomalies.insert(Anomaly::FeeUncertain);
        }
    }

    /// What an author was in doubt about.
    fn doubt(&mut self, names: &[String]) {
        let stated = names.iter().filter_map(|name| Anomaly::from_name(name));
        self.anomalies.extend(stated.filter(|anomaly| anomaly.can_be_stated()));
    }

    /// Notes that the event had a part in this row.
    pub(super) fn touch(&mut self, event: &Event) {
        self.last_hlc = self.last_hlc.max(event.hlc);
        if event.skew_ms.is_some_and(|skew| skew.unsigned_abs() > MAX_SKEW_MS) {
            self.anomalies.insert(Anomaly::ClockSkew);
        }
    }
}

/// The id of the stay a fact begins, as long as no other stay has it.
fn own_stay_id(event_id: &str, fact: &FactId) -> String {
    if event_id.contains(UNIQUE_MARK) { unique_stay_id(event_id, fact, UNIQUE_HEX_DIGITS) } else { event_id.to_owned() }
}

/// Digits after the mark. More are taken in the (unlikely) case that these are not enough.
pub(super) const UNIQUE_HEX_DIGITS: usize = 8;

/// The id of a stay whose own another stay has, but in the unlikely case that it needs more digits.
pub fn renamed_stay_id(own_id: &str, entry: &FactId) -> String {
    unique_stay_id(own_id, entry, UNIQUE_HEX_DIGITS)
}

/// `{base}~{hex}`: the first digits of the SHA-256 of the fact id as text, at most 64.
pub(super) fn unique_stay_id(base: &str, fact: &FactId, hex_digits: usize) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(fact.to_string().as_bytes());
    let mut id = format!("{base}{UNIQUE_MARK}");
    let length = id.len() + hex_digits;
    for byte in digest {
        let _infallible = write!(id, "{byte:02x}");
    }
    id.truncate(length);
    id
}
