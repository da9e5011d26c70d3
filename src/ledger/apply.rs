//! What an event does to the projection.
//!
//! Nearly every fact is the newest of its plate and of the plain kind: an entry of a car that is not inside, the
//! confirmation or the exit of the open stay. These take one step of the fold (the same code `resolve` folds with).
//! Everything else is left to [`super::refold`].

use crate::domain::direction::Direction;
use crate::domain::event::{Body, Entry, Event, PriceList, opening_read, reading_of};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::standing::CentralStanding;
use crate::domain::stay::{Fact, Link, Taking, guarded, links};
use crate::domain::tariff::Tariff;

use super::component::{self, EVER, loose_key, skipped_key};
use super::open_stay::OpenStay;
use super::runs::UNKNOWN_TYPE;
use super::settings::{AnnouncedChange, SetBy, setting_hash};
use super::storage::{EventRef, Setting, SettingKind, Storage};
use super::transaction::Transaction;

/// Why an opening for a car that could not be read is set aside.
pub const UNREAD: &str = "unread";

/// The steps of the fold that the plain way takes. Values, so that a test can give some that panic.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    opened: fn(&Fact) -> Option<StayRow>,
    close: fn(&mut StayRow, &Fact) -> bool,
    confirm: fn(&mut StayRow, &Fact) -> bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self { opened: StayRow::opened, close: StayRow::close, confirm: StayRow::confirm }
    }
}

impl<S: Storage> Transaction<'_, S> {
    /// Applies an appended event if it is plain. `false`: it has to be folded in.
    pub(super) fn apply_plainly(&mut self, fact: &Fact) -> Result<bool, S::Error> {
        let event = &fact.event;
        // Another central may have heard the same of a predecessor. The lowest copy is the fact: a higher one has no effect.
        let copy = if fact.is_heard() { component::fact_of(self.read()?, &fact.id)? } else { None };
        if copy.as_ref().is_some_and(|held| held.copy_order() <= fact.copy_order()) {
            self.note_applied(fact)?;
            return Ok(true);
        }
        let newest_of_all = event.hlc > self.staged.max_hlc;
        self.staged.max_hlc = self.staged.max_hlc.max(event.hlc);
        let is_first = copy.is_none();
        let plain = match &event.body {
            Body::Entry(entry) => is_first && self.enter_plainly(fact, entry, newest_of_all)?,
            // One that says again what was told before is found by that, too.
            Body::Exit(exit) => is_first && exit.says_again().is_none() && self.exit_plainly(fact, newest_of_all)?,
            Body::Confirmed(_) => is_first && self.confirm_plainly(fact, newest_of_all)?,
            Body::Correction(_) | Body::Void(_) => false,
            Body::Tariff(_) | Body::PriceList(_) | Body::Subscription(_) | Body::Central(_) | Body::Naming(_) => {
                self.apply_setting(event)?;
                return Ok(true);
            }
            Body::ShiftOpened(_) | Body::ShiftClosed(_) | Body::ShiftRecounted(_) => {
                self.apply_shift(event)?;
                return Ok(true);
            }
            Body::PaymentReceived(_) | Body::PaymentAssigned(_) => {
                self.apply_payment(event)?;
                return Ok(true);
            }
            Body::Invoiced(_) => {
                self.write()?.put_invoice(&place(event), event)?;
                return Ok(true);
            }
            Body::Unread(opening) => {
                if self.events_of_request(&opening.edge_id, &reading_of(&fact.id), event.hlc)?.is_empty() {
                    self.write()?.quarantine(&place(event), UNREAD)?;
                    self.count_opening(event, 1);
                }
                true
            }
            Body::Unknown { type_name } => {
                let reason = format!("{UNKNOWN_TYPE} {type_name}");
                self.write()?.quarantine(&place(event), &reason)?;
                return Ok(true);
            }
        };
        if plain {
            self.note_applied(fact)?;
        }
        Ok(plain)
    }

    /// A passage that tells which car it was that could not be read: the opening has its plate and stands for itself no more.
    pub(super) fn settle_opening(&mut self, request_id: &str) -> Result<(), S::Error> {
        let Some(FactId::Authored { log, seq }) = opening_read(request_id) else { return Ok(()) };
        let at = EventRef { log, seq };
        let Some(fact) = self.read()?.fact(&at)? else { return Ok(()) };
        if matches!(fact.event.body, Body::Unread(_)) && self.write()?.release(&at)? {
            self.count_opening(&fact.event, -1);
        }
        Ok(())
    }

    /// A car left, whichever it was, and what was taken of it was taken.
    fn count_opening(&mut self, event: &Event, sign: i64) {
        let Body::Unread(opening) = &event.body else { return };
        if opening.direction == Direction::Exit {
            self.count_taking(Taking::of_opening(event, opening), None, sign);
        }
    }

    fn enter_plainly(&mut self, fact: &Fact, entry: &Entry, newest_of_all: bool) -> Result<bool, S::Error> {
        let event = &fact.event;
        let plate = &entry.plate_id;
        let Some(stay_id) = event.event_id.as_deref() else { return Ok(false) };
        if entry.replaces.is_some() || self.inside(plate).is_some() || self.is_entangled(fact)? {
            return Ok(false);
        }
        if !component::repeats_of(self.read()?, event)?.is_empty() {
            return Ok(false);
        }
        if !newest_of_all && !self.is_newest_of_plate(plate, event.hlc)? {
            return Ok(false);
        }
        let opened = self.steps.opened;
        let Some(row) = plainly(|| opened(fact)) else { return Ok(false) };
        if row.stay_id != stay_id {
            return Ok(false);
        }
        let committed_ms = self.now.wall_ms;
        // Where another stay has its id, the general way finds it another.
        let Some(row_id) = self.insert_row_if_new(&row, committed_ms)? else { return Ok(false) };
        self.count_entry(&row, 1);
        let open = OpenStay::of_row(row_id, &row, committed_ms, Some(event.hlc), self.places);
        self.set_inside(plate, Some(open));
        Ok(true)
    }

    fn exit_plainly(&mut self, fact: &Fact, newest_of_all: bool) -> Result<bool, S::Error> {
        let event = &fact.event;
        let Some((row_id, old)) = self.open_row_named(fact, event.exit_stay(), newest_of_all)? else {
            return Ok(false);
        };
        if !component::repeats_of(self.read()?, event)?.is_empty() {
            return Ok(false);
        }
        let close = self.steps.close;
        let Some(row) = plainly(|| changed(&old, |row| close(row, fact))) else { return Ok(false) };
        self.replace_row(row_id, &old, &row)?;
        if let Body::Exit(exit) = &event.body {
            self.count_taking(Taking::of(fact, exit, exit.fee), Some(&row.camera_type), 1);
        }
        self.set_inside(&row.plate_id, None);
        Ok(true)
    }

    fn confirm_plainly(&mut self, fact: &Fact, newest_of_all: bool) -> Result<bool, S::Error> {
        let event = &fact.event;
        let Some((row_id, old)) = self.open_row_named(fact, event.event_id.as_deref(), newest_of_all)? else {
            return Ok(false);
        };
        if old.confirm_fact.is_some() {
            return Ok(false);
        }
        let confirm = self.steps.confirm;
        let Some(row) = plainly(|| changed(&old, |row| confirm(row, fact))) else { return Ok(false) };
        self.replace_row(row_id, &old, &row)?;
        if let Some(open) = self.inside(&row.plate_id) {
            let (committed_ms, plate_hlc) = (open.committed_ms, open.plate_hlc.max(Some(event.hlc)));
            let confirmed = OpenStay::of_row(row_id, &row, committed_ms, plate_hlc, self.places);
            self.set_inside(&row.plate_id, Some(confirmed));
        }
        Ok(true)
    }

    /// The open row a fact names, if the fact is plain about it: it is the newest of its plate and nothing hangs on it.
    fn open_row_named(
        &mut self,
        fact: &Fact,
        stay_id: Option<&str>,
        newest_of_all: bool,
    ) -> Result<Option<(i64, StayRow)>, S::Error> {
        let event = &fact.event;
        let (Some(stay_id), Some(plate)) = (stay_id, event.recorded_plate()) else { return Ok(None) };
        let Some(open) = self.inside(plate) else { return Ok(None) };
        if open.stay_id(plate) != stay_id {
            return Ok(None);
        }
        let plate_hlc = open.plate_hlc;
        let known = open.row(plate).map(|row| (open.row_id, row));
        if self.is_entangled(fact)? {
            return Ok(None);
        }
        let newest = newest_of_all
            || match plate_hlc {
                Some(greatest) => event.hlc > greatest,
                None => self.is_newest_of_plate(plate, event.hlc)?,
            };
        if !newest {
            return Ok(None);
        }
        if known.is_some() {
            debug_assert_eq!(known, self.read()?.stay(stay_id)?.map(|stored| (stored.row_id, stored.row)));
            return Ok(known);
        }
        let stored = self.read()?.stay(stay_id)?;
        Ok(stored.map(|stored| (stored.row_id, stored.row)))
    }

    pub(super) fn is_newest_of_plate(&mut self, plate: &PlateId, hlc: Hlc) -> Result<bool, S::Error> {
        let greatest = self.read()?.greatest_hlc_of_plate(plate)?;
        Ok(greatest.is_none_or(|greatest| hlc > greatest))
    }

    /// Whether a loose fact concerns the same stay or fact, or was skipped on the same plate. What else is loose of the plate has
    /// had its effect on it: the open stay is what came of that.
    fn is_entangled(&mut self, fact: &Fact) -> Result<bool, S::Error> {
        if self.staged.loose_facts == 0 {
            return Ok(false);
        }
        for link in links(fact) {
            let key = if let Link::Plate(plate) = &link { Some(skipped_key(plate)) } else { loose_key(&link) };
            let Some(key) = key else { continue };
            if !self.read()?.loose_facts(&key, EVER)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn apply_setting(&mut self, event: &Event) -> Result<(), S::Error> {
        let (kind, id) = match &event.body {
            Body::Tariff(update) => return self.apply_tariff(event, &update.tariff),
            Body::PriceList(PriceList { valid_from_ms: None, tariff }) => {
                return tariff.as_ref().map_or(Ok(()), |tariff| self.apply_tariff(event, tariff));
            }
            Body::PriceList(PriceList { valid_from_ms: Some(from_ms), tariff }) => {
                return self.apply_announced(event, *from_ms, tariff.as_ref());
            }
            Body::Subscription(update) => (SettingKind::Subscription, update.id.clone()),
            Body::Naming(naming) => (SettingKind::Name, naming.id.clone()),
            Body::Central(standing) => return self.apply_standing(event, standing),
            _ => return Ok(()),
        };
        let id = id.as_str();
        let set_by = SetBy { hlc: event.hlc, at: place(event) };
        if !self.settings().is_newer(kind, id, &set_by) {
            return Ok(());
        }
        let old = self.settings().stored(kind, id);
        match &event.body {
            Body::Subscription(update) => {
                let known_ms = self.now.wall_ms;
                let (id, value) = (update.id.clone(), update.subscription.clone());
                self.settings_mut().set_subscription(set_by, id, value, known_ms);
            }
            Body::Naming(naming) => self.settings_mut().set_name(set_by, naming.id.clone(), naming.name.clone()),
            _ => {}
        }
        let new = self.settings().stored(kind, id);
        new.map_or(Ok(()), |new| self.keep(&new, old, None))
    }

    /// Each tariff counts for its time, so what is kept of one does not go when the next is set.
    fn apply_tariff(&mut self, event: &Event, tariff: &Tariff) -> Result<(), S::Error> {
        let set_by = SetBy { hlc: event.hlc, at: place(event) };
        if !self.settings().is_new_tariff(&set_by) {
            return Ok(());
        }
        let (kept, dropped) = self.settings_mut().set_tariff(set_by, tariff);
        self.keep(&kept, None, dropped)
    }

    fn apply_announced(&mut self, event: &Event, from_ms: i64, tariff: Option<&Tariff>) -> Result<(), S::Error> {
        let set_by = SetBy { hlc: event.hlc, at: place(event) };
        if !self.settings().is_new_announced(&set_by, from_ms) {
            return Ok(());
        }
        let AnnouncedChange { kept, dropped, before, after } = self.settings_mut().announce(set_by, from_ms, tariff);
        // What another central said of a moment is kept, too, and does not count.
        before.iter().for_each(|counted| self.staged.digest.subtract(setting_hash(counted)));
        after.iter().for_each(|counts| self.staged.digest.add(setting_hash(counts)));
        for id in &dropped {
            self.write()?.remove_setting(SettingKind::Announced, id)?;
        }
        self.write()?.put_setting(&kept)
    }

    /// Writes a setting, in the place of `old`; `dropped` is kept no more for it.
    fn keep(&mut self, kept: &Setting, old: Option<Setting>, dropped: Option<Setting>) -> Result<(), S::Error> {
        old.iter().chain(&dropped).for_each(|gone| self.staged.digest.subtract(setting_hash(gone)));
        self.staged.digest.add(setting_hash(kept));
        self.write()?.put_setting(kept)?;
        if let Some(dropped) = dropped {
            self.write()?.remove_setting(dropped.kind, &dropped.id)?;
        }
        Ok(())
    }

    /// Each author's latest decision of a kind is kept: which of all counts is worked out from them.
    fn apply_standing(&mut self, event: &Event, standing: &CentralStanding) -> Result<(), S::Error> {
        let set_by = SetBy { hlc: event.hlc, at: place(event) };
        if !self.settings().is_newer_standing(&set_by, standing) {
            return Ok(());
        }
        let old = self.settings().stored_standing(&event.log.central, standing);
        let dropped = self.settings_mut().set_standing(set_by, standing.clone());
        let new = self.settings().stored_standing(&event.log.central, standing);
        new.map_or(Ok(()), |new| self.keep(&new, old, dropped))
    }
}

/// The row a step makes. `None`: the plain way ends here, for the step does not apply or panicked; [`super::refold`] finds out
/// and skips the fact at its place.
fn plainly(step: impl FnOnce() -> Option<StayRow>) -> Option<StayRow> {
    guarded(|| step().ok_or_else(String::new)).ok()
}

fn changed(old: &StayRow, change: impl FnOnce(&mut StayRow) -> bool) -> Option<StayRow> {
    let mut row = old.clone();
    change(&mut row).then_some(row)
}

/// Where an event lies.
pub(super) fn place(event: &Event) -> EventRef {
    EventRef { log: event.log.clone(), seq: event.seq }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::domain::direction::Direction;
    use crate::domain::ids::{CentralId, Epoch};
    use crate::domain::time::SiteZone;
    use crate::ledger::job::{Answer, Beside, CloseBarrier, Job, OpenBarrier};
    use crate::ledger::memory::MemoryStorage;
    use crate::ledger::transaction::TransactionTime;
    use crate::ledger::{Context, Ledger};

    use super::*;

    /// A car comes in, the barrier closes, the car leaves.
    fn visit(steps: Steps) -> Ledger<MemoryStorage> {
        let context = Context { central: CentralId::new("central-1").unwrap(), zone: SiteZone::default() };
        let mut ledger = Ledger::open(MemoryStorage::default(), context).unwrap();
        ledger.steps = steps;
        let plate = PlateId::parse("29A12345").unwrap();
        let pass = |direction| {
            Job::Open(OpenBarrier {
                edge_id: "edge-1".into(),
                plate: plate.clone(),
                plate_view: None,
                direction: Some(direction),
                camera_type: "car".into(),
                confidence: None,
                request_id: None,
                force: false,
                reason: None,
                fee: None,
                notes: Vec::new(),
                beside: Beside::default(),
            })
        };
        let close =
            CloseBarrier { edge_id: "edge-1".into(), plate: Some(plate.clone()), event_id: None, only_own: false };
        let jobs = vec![pass(Direction::Entry), Job::Close(close), pass(Direction::Exit)];
        let done = ledger.process(
            jobs,
            TransactionTime { wall_ms: 1_733_140_800_000, skew_ms: None, clock_wrong: false },
            Epoch(1),
        );
        assert!(matches!(
            done.outcomes.as_slice(),
            [Ok(Answer::Entered { .. }), Ok(Answer::Closed { confirmed: true, .. }), Ok(Answer::Exited { .. })]
        ));
        ledger
    }

    #[test]
    fn a_step_that_panics_ends_the_plain_way_and_nothing_else() {
        let plain = visit(Steps::default());
        let steps = Steps { opened: |_| panic!("injected"), close: |_, _| panic!("injected"), ..Steps::default() };
        for steps in [steps, Steps { confirm: |_, _| panic!("injected"), ..Steps::default() }] {
            let mut folded = visit(steps);
            assert_eq!(folded.digest(), plain.digest());
            assert_eq!(folded.inside().len(), 0);
            assert_eq!(folded.storage_mut().stays.len(), 1);
        }
    }

    /// How many steps were taken by [`counting`].
    static TAKEN: AtomicU32 = AtomicU32::new(0);

    fn counting() -> Steps {
        fn count<T>(outcome: T) -> T {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            outcome
        }
        Steps {
            opened: |fact| count(StayRow::opened(fact)),
            close: |row, fact| count(row.close(fact)),
            confirm: |row, fact| count(row.confirm(fact)),
        }
    }

    #[test]
    fn an_ordinary_visit_is_three_plain_steps() {
        let plain = visit(counting());
        assert_eq!(TAKEN.load(Ordering::Relaxed), 3);
        let folded = visit(Steps { opened: |_| None, close: |_, _| false, confirm: |_, _| false });
        assert_eq!(folded.digest(), plain.digest());
    }
}
