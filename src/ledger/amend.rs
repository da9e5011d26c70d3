//! What people change afterwards: corrections, voids and what undoes them, as events like any other.
//!
//! Both are about a row that is held here; whoever knows no such stay is told so. The clock of either is after every fact
//! held of the stay and of the plates concerned, so that it means the same wherever it arrives.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Correction, Draft, Entry, Exit, RightFee, RightMethod, Void, reading_of};
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, Paid, total_of};
use crate::domain::plate::{self, PlateId};
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::shift::MoneyChange;
use crate::domain::stay::{
    Account, Fact, Outcome, Taking, ToldThere, account, account_beside, paid_as_corrected, standing_voids,
};
use crate::domain::time::duration_text;
use crate::domain::told::payment::ToldPaid;

use super::charge::{Charge, taken};
use super::component::{self, Component};
use super::job::{Answer, CorrectStay, Refusal, VoidStay};
use super::storage::{Storage, StoredStay};
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn correct(&mut self, request: &CorrectStay) -> Result<Answer, Stop<S::Error>> {
        let row = self.read()?.stay(&request.stay_id)?.map(|stored| stored.row);
        let moves = |row: &StayRow| request.plate.as_ref().is_some_and(|plate| *plate != row.plate_id);
        // An exit that names another stay, or none, is of the plate it was told with: it would not come along.
        let unknowing = |row: &StayRow| row.exit.as_ref().is_some_and(|exit| exit.entry_unknown);
        let with_exit = |row: &StayRow| moves(row) && unknowing(row) && !row.is_exit_alone();
        match row.filter(with_exit).filter(|_| request.exit_plate.is_none()) {
            Some(row) => self.correct_with_exit(&row, request),
            None => self.correct_alone(request),
        }
    }

    fn correct_alone(&mut self, request: &CorrectStay) -> Result<Answer, Stop<S::Error>> {
        let Some(StoredStay { row, .. }) = self.read()?.stay(&request.stay_id)? else {
            return self.read_opening(request);
        };
        let is_void = row.status == StayStatus::Void;
        if is_void && !request.restore {
            return Err(Stop::Refused(Refusal::AlreadyVoid));
        }
        if let Some(plate) = &request.exit_plate {
            return self.give_exit_to(&row, plate, request);
        }
        let plate = request.plate.as_ref().unwrap_or(&row.plate_id);
        let plate_view = match &request.plate_view {
            Some(view) if plate.is_written(view) => view.clone(),
            Some(view) => return Err(bad_view(view, plate)),
            // The view of a plate that stays is what the gate or a person said.
            None if *plate == row.plate_id => row.plate_view.clone(),
            None => plate::view(plate),
        };
        let is_read_anew = *plate != row.plate_id || plate_view != row.plate_view;
        let camera_type = request.camera_type.clone().filter(|camera_type| *camera_type != row.camera_type);
        let right_fee = request.fee.map(|fee| self.right_fee(&row, fee)).transpose()?.flatten();
        let taken = right_fee.as_ref().map(|(_, right)| right.fee);
        let paid = match &request.paid {
            None if request.excess_back => self.ended(&row)?.and_then(|ended| ended.paid).map(ToldPaid::again),
            paid => paid.clone(),
        };
        let right_method = paid.map(|paid| self.right_method(&row, &paid, taken)).transpose()?;
        let (is_same_way, right_method) = right_method.unwrap_or_default();
        let (exit_name, right_fee) = right_fee.unzip();
        let (method_name, right_method) = right_method.unzip();
        let (undoes, undone_money) = if is_void { self.voids_of(&row)? } else { Default::default() };
        let stated = Correction { reason: request.reason.clone(), by: self.doer_text(), ..Correction::default() };
        let mut of_exit = Correction { right_fee, right_method, ..stated.clone() };
        if of_exit != stated
            && let Some(CorrectedExit { taking: Some(taking), .. }) = self.ended(&row)?
        {
            let fee = of_exit.right_fee.as_ref().map_or(taking.fee, |right| right.fee);
            of_exit.money.push(MoneyChange::of(&taking, fee));
        }
        let of_stay = Correction {
            // Always both: of two corrections made at once, one counts as a whole.
            plate_id: is_read_anew.then(|| plate.clone()),
            plate_view: is_read_anew.then_some(plate_view),
            camera_type,
            undoes,
            money: undone_money,
            ..stated.clone()
        };
        let hlc = self.hlc_after(&row, Some(plate))?;
        let mut said_beside = None;
        if is_same_way || request.excess_back {
            for (name, correction) in self.given_back_beside(&row, &stated)? {
                said_beside = Some(self.amend(&row.stay_id, &name, hlc, Body::Correction(correction))?);
            }
        }
        let name = exit_name.or(method_name).unwrap_or_else(|| row.stay_id.clone());
        let correction = match (of_exit == stated, of_stay == stated) {
            (true, true) => return said_beside.ok_or(Stop::Refused(Refusal::Unchanged)),
            // The exit may name another stay, of which nothing else is corrected.
            (false, true) => return self.amend(&row.stay_id, &name, hlc, Body::Correction(of_exit)),
            (false, false) if name != row.stay_id => {
                self.amend(&row.stay_id, &name, hlc, Body::Correction(of_exit))?;
                of_stay
            }
            (_, false) => {
                let money = [of_exit.money, of_stay.money].concat();
                Correction { right_fee: of_exit.right_fee, right_method: of_exit.right_method, money, ..of_stay }
            }
        };
        self.amend(&row.stay_id, &row.stay_id, hlc, Body::Correction(correction))
    }

    /// The plate of a stay whose exit did not know its entry: the exit is removed, and written anew as one of this stay.
    fn correct_with_exit(&mut self, row: &StayRow, request: &CorrectStay) -> Result<Answer, Stop<S::Error>> {
        let plate = request.plate.as_ref().unwrap_or(&row.plate_id);
        let component = Component::around(self.read()?, row)?;
        let facts = component.held_facts();
        let account = account_beside(&facts, &component.neighbours);
        let exit = row.exit.as_ref().map(|exit| &exit.fact);
        let Some(left) = facts.iter().find(|fact| exit == Some(&fact.id)) else {
            return Err(refused("plate_id", "its exit cannot be read"));
        };
        let fee = request.fee.unwrap_or_else(|| taken_at(&account, left));
        let paid = match &request.paid {
            Some(told) => Some(as_paid(told, fee)?),
            None => paid_as_corrected(left, &facts),
        };
        let void = self.void_of(with_repeats(vec![left.id.clone()], &account.outcomes), &account, &request.reason);
        let corrected = self.correct_alone(&CorrectStay { fee: None, paid: None, ..request.clone() })?;
        let hlc = self.hlc_after(row, Some(plate))?;
        self.amend(&row.stay_id, &row.stay_id, hlc, Body::Void(void))?;
        // By the plate it was told with: whoever corrects the stay to another plate in a cut writes the same exit.
        let told = left.event.recorded_plate().unwrap_or(plate);
        self.write_anew(left, (fee, paid), Some(row), told, &request.reason)?;
        let Answer::Amended { stay_id, version, .. } = corrected else { return Ok(corrected) };
        let row = self.read()?.stay(&stay_id)?.map(Box::new);
        Ok(Answer::Amended { stay_id, version, row })
    }

    /// The exit of a stay was another car's, that is inside as well: removed, and written anew as that car's. The stay it ended goes on.
    fn give_exit_to(
        &mut self,
        row: &StayRow,
        plate: &PlateId,
        request: &CorrectStay,
    ) -> Result<Answer, Stop<S::Error>> {
        let Some(exit) = row.exit.as_ref().filter(|_| !row.is_exit_alone()) else {
            return Err(refused("exit_plate_id", "this stay has no exit beside an entry: correct its plate_id"));
        };
        if *plate == row.plate_id {
            return Err(Stop::Refused(Refusal::Unchanged));
        }
        let component = Component::around(self.read()?, row)?;
        let facts = component.held_facts();
        let account = account_beside(&facts, &component.neighbours);
        let Some(left) = facts.iter().find(|fact| fact.id == exit.fact) else {
            return Err(refused("exit_plate_id", "its exit cannot be read"));
        };
        let removes = with_repeats(vec![left.id.clone()], &account.outcomes);
        let then = self.inside_at(plate, left.event.timestamp_ms)?.map(|stored| stored.row);
        let hlc = self.hlc_after(row, Some(plate))?;
        let void = self.void_of(removes, &account, &request.reason);
        self.amend(&row.stay_id, &row.stay_id, hlc, Body::Void(void))?;
        let taken = (taken_at(&account, left), paid_as_corrected(left, &facts));
        let anew = self.write_anew(left, taken, then.as_ref(), plate, &request.reason)?;
        let stored = self.read()?.stay(&row.stay_id)?.map(Box::new);
        Ok(Answer::Amended { stay_id: row.stay_id.clone(), version: anew.id.to_string(), row: stored })
    }

    /// An opening for a car that could not be read gets its plate: the passage is written down as that car's, at the time and with the
    /// money of the opening, which then is on no list any more.
    fn read_opening(&mut self, request: &CorrectStay) -> Result<Answer, Stop<S::Error>> {
        let unknown = || Stop::Refused(Refusal::UnknownStay(request.stay_id.clone()));
        let id: FactId = request.stay_id.parse().map_err(|_| unknown())?;
        let fact = component::fact_of(self.read()?, &id)?.ok_or_else(unknown)?;
        let event = &*fact.event;
        let Body::Unread(opening) = &event.body else { return Err(unknown()) };
        let plate = request.plate.as_ref().ok_or_else(|| refused("plate_id", "say which plate it was"))?;
        let request_id = reading_of(&id);
        if !self.events_of_request(&opening.edge_id, &request_id, event.hlc)?.is_empty() {
            return Err(refused("plate_id", "this opening was given its plate already: correct that stay"));
        }
        let fee = request.fee.or_else(|| opening.taken());
        let plate_view = request.plate_view.clone().unwrap_or_else(|| plate::view(plate));
        let camera_type = request.camera_type.clone().unwrap_or_else(|| opening.camera_type.clone());
        if request.paid.is_some() && opening.direction == Direction::Entry {
            return Err(refused("paid", "this opening let a car in: nothing was paid"));
        }
        let passed = self.context.zone.local_text(event.timestamp_ms);
        let (stay_id, body) = match opening.direction {
            Direction::Entry => {
                let entry = Entry {
                    plate_view,
                    camera_type,
                    entry_time: passed,
                    request_id: Some(request_id),
                    force: opening.force,
                    reason: Some(request.reason.clone()),
                    reported: opening.reported,
                    told_fee: fee.filter(|fee| *fee > Vnd(0)),
                    card_id: opening.card_id.clone(),
                    images: opening.images.clone(),
                    ..Entry::of(plate.clone(), opening.edge_id.clone())
                };
                (self.new_stay_id(plate)?, Body::Entry(entry))
            }
            Direction::Exit => {
                let then = self.inside_at(plate, event.timestamp_ms)?.map(|stored| stored.row);
                let due = taken(fee);
                let paid = request.paid.as_ref().map(|told| as_paid(told, due.fee)).transpose()?;
                let doubts = fee.is_none().then(|| Anomaly::FeeUncertain.name().to_owned());
                let central = event.source_central.clone();
                let exit = Exit {
                    stay: then.is_none().then_some(None),
                    plate_view: Some(plate_view),
                    exit_time: passed,
                    lines: due.lines,
                    paid: paid.or_else(|| opening.paid.clone()),
                    taken_by: event.by.clone(),
                    duration: duration_text(then.as_ref().map_or(0, |row| event.timestamp_ms - row.entry_ms)),
                    camera_type: Some(camera_type).filter(|camera_type| !camera_type.is_empty()),
                    request_id: Some(request_id),
                    force: opening.force,
                    reason: Some(request.reason.clone()),
                    reported: opening.reported,
                    told: !opening.force,
                    card_id: opening.card_id.clone(),
                    images: opening.images.clone(),
                    doubts: doubts.into_iter().collect(),
                    ..Exit::of(Some(plate.clone()), central, opening.edge_id.clone(), due.fee)
                };
                let own = || self.new_stay_id(plate);
                (then.map_or_else(own, |row| Ok(row.stay_id))?, Body::Exit(exit))
            }
        };
        let draft = Draft {
            hlc: Hlc::next(event.hlc.ms(), Some(event.hlc)),
            timestamp_ms: event.timestamp_ms,
            skew_ms: event.skew_ms,
            event_id: Some(stay_id.clone()),
            body,
            by: None,
        };
        let read = self.author(draft)?;
        let row = self.read()?.stay(&stay_id)?.map(Box::new);
        Ok(Answer::Amended { stay_id, version: read.id.to_string(), row })
    }

    /// An exit, of another stay (of none: of a car nobody knows the entry of).
    fn write_anew(
        &mut self,
        left: &Fact,
        (fee, paid): (Vnd, Option<Paid>),
        of: Option<&StayRow>,
        plate: &PlateId,
        reason: &str,
    ) -> Result<Fact, Stop<S::Error>> {
        let Body::Exit(told) = &left.event.body else { return Err(refused("exit_plate_id", "it is no exit")) };
        let mut doubts: BTreeSet<String> = told.doubts.iter().cloned().collect();
        doubts.insert(Anomaly::FeeUncertain.name().to_owned());
        let due =
            Charge { fee: told.fee, lines: told.lines.clone(), ..Charge::default() }.by_hand(Some(fee), Some(reason));
        let is_its = told.plate_id.as_ref() == Some(plate);
        let anew = Exit {
            stay: of.is_none().then_some(None),
            plate_id: Some(plate.clone()),
            plate_view: told.plate_view.clone().filter(|_| is_its),
            fee,
            lines: due.lines,
            paid,
            taken_by: told.taken_by.clone().or_else(|| left.event.by.clone()),
            // Whoever else corrects it in a cut writes the same exit.
            request_id: Some(left.id.to_string()),
            doubts: doubts.into_iter().collect(),
            ..told.clone()
        };
        let event_id = match of {
            Some(of) => of.stay_id.clone(),
            None => self.new_stay_id(plate)?,
        };
        let draft = Draft {
            hlc: Hlc::next(left.event.hlc.ms(), Some(left.event.hlc)),
            timestamp_ms: left.event.timestamp_ms,
            skew_ms: left.event.skew_ms,
            event_id: Some(event_id),
            body: Body::Exit(anew),
            by: None,
        };
        self.author(draft)
    }

    /// What was really taken at the exit of a row, and the name by which that exit says its stay; none where it is known so.
    fn right_fee(&mut self, row: &StayRow, fee: Vnd) -> Result<SaidOfExit<RightFee>, Stop<S::Error>> {
        let Some(CorrectedExit { exit, name, taken: before, taking, .. }) = self.ended(row)? else {
            return Err(refused("fee", "this stay has no exit at which a fee was taken"));
        };
        // What others alone said is in no drawer until the central of the gate says it, too.
        let is_of_gate = |taking: &Taking| taking.central == self.context.central.as_str();
        let is_told = taking.is_none_or(|taking| !is_of_gate(&taking) || taking.told_there == ToldThere::Fee(before));
        Ok((before != fee || !is_told).then_some((name, RightFee { exit, before, fee })))
    }

    /// How it was really paid there, likewise, and whether that is the way that was known. `taken`: what is corrected with it.
    fn right_method(
        &mut self,
        row: &StayRow,
        told: &ToldPaid,
        taken: Option<Vnd>,
    ) -> Result<(bool, SaidOfExit<RightMethod>), Stop<S::Error>> {
        let Some(ended) = self.ended(row)? else {
            return Err(refused("paid", "this stay has no exit at which anything was paid"));
        };
        let before = ended.paid.as_ref().map(|paid| paid.method);
        let taken = taken.unwrap_or(ended.taken);
        let is_same = |known: &Paid| {
            let amount = told.amount.unwrap_or(known.amount);
            (known.method, known.amount, &known.reference, &known.also)
                == (told.method, amount, &told.reference, &told.also)
        };
        let is_same_way = ended.paid.as_ref().is_some_and(is_same);
        // The same way, of no more than was taken: what was paid beyond that was given back.
        let is_given_back = is_same_way && ended.paid.is_some_and(|paid| paid.total() > taken);
        if !is_given_back {
            as_paid(told, taken)?;
        }
        let ToldPaid { method, reference, also, .. } = told.clone();
        let right = RightMethod { exit: ended.exit, before, method, reference, also };
        Ok((is_same_way, (!is_same_way || is_given_back).then_some((ended.name, right))))
    }

    /// That what was paid beyond what was taken was given back at the second exits of a stay, too: of each the name by which it says its stay, and
    /// what is said of it.
    fn given_back_beside(&mut self, row: &StayRow, stated: &Correction) -> Result<Vec<(String, Correction)>, S::Error> {
        if !row.anomalies.contains(&Anomaly::DoubleExit) {
            return Ok(Vec::new());
        }
        let component = Component::around(self.read()?, row)?;
        let facts = component.held_facts();
        let Account { resolution, outcomes } = account_beside(&facts, &component.neighbours);
        let ended = row.exit.as_ref().map(|exit| &exit.fact);
        let is_second = |taking: &&Taking| {
            let of = outcomes.get(&taking.fact).and_then(Outcome::ended);
            taking.excess > Vnd(0) && Some(&taking.fact) != ended && of == Some(row.stay_id.as_str())
        };
        let said = resolution.takings.iter().filter(is_second).filter_map(|taking| {
            let left = facts.iter().find(|fact| fact.id == taking.fact)?;
            let name = left.event.exit_stay().or(left.event.event_id.as_deref())?;
            let Paid { method, reference, also, .. } = paid_as_corrected(left, &facts)?.of(taking.fee);
            let right = RightMethod { exit: taking.fact.clone(), before: Some(method), method, reference, also };
            let money = vec![MoneyChange::of(taking, taking.fee)];
            Some((name.to_owned(), Correction { right_method: Some(right), money, ..stated.clone() }))
        });
        Ok(said.collect())
    }

    /// What is known of the exit of a row.
    fn ended(&mut self, row: &StayRow) -> Result<Option<CorrectedExit>, S::Error> {
        let Some(exit) = row.exit.as_ref() else { return Ok(None) };
        let component = Component::around(self.read()?, row)?;
        let facts = component.held_facts();
        let takings = account_beside(&facts, &component.neighbours).resolution.takings;
        let taking = takings.into_iter().find(|taking| taking.fact == exit.fact);
        let left = facts.iter().find(|fact| fact.id == exit.fact);
        let name = left.and_then(|fact| fact.event.exit_stay().or(fact.event.event_id.as_deref()));
        Ok(Some(CorrectedExit {
            exit: exit.fact.clone(),
            name: name.unwrap_or(&row.stay_id).to_owned(),
            taken: taking.as_ref().map_or(exit.fee, |taking| taking.fee),
            taking,
            paid: left.and_then(|fact| paid_as_corrected(fact, &facts)),
        }))
    }

    /// The voids by which a stay is void: those that removed what began it, also such as were undone before. One that gave its exit to another car
    /// stands. And what their undoing makes of the money: of those that nobody undid yet.
    fn voids_of(&mut self, row: &StayRow) -> Result<(Vec<FactId>, Vec<MoneyChange>), S::Error> {
        let facts = Component::around(self.read()?, row)?.held_facts();
        let outcomes = account(&facts).outcomes;
        let began = |id: &FactId| {
            let first = outcomes.get(id).and_then(|outcome| match outcome {
                Outcome::Repeated { first } => Some(first),
                _ => None,
            });
            *first.unwrap_or(id) == row.entry_fact
        };
        let is_of_it = |fact: &&Fact| match (&fact.event.body, outcomes.get(&fact.id)) {
            (Body::Void(void), Some(Outcome::Voided { stay })) => {
                *stay == row.stay_id && void.removes.iter().any(began)
            }
            _ => false,
        };
        let voids: Vec<&Fact> = facts.iter().filter(is_of_it).collect();
        let standing: Vec<_> = standing_voids(&facts.iter().collect::<Vec<_>>(), |_, _| true);
        let stand = voids.iter().filter(|void| standing.iter().any(|(fact, _)| fact.id == void.id));
        let money = stand.flat_map(|void| void.event.money()).map(MoneyChange::undone).collect();
        Ok((voids.into_iter().map(|void| void.id.clone()).collect(), money))
    }

    pub(super) fn void(&mut self, request: &VoidStay) -> Result<Answer, Stop<S::Error>> {
        let row = self.stay_to_amend(&request.stay_id)?.row;
        let component = Component::around(self.read()?, &row)?;
        let facts = component.held_facts();
        let account = account_beside(&facts, &component.neighbours);
        let outcomes = &account.outcomes;
        // Of an entry whose car was inside already only the entry: its barrier and exits are with the stay that counts.
        let removes: Vec<FactId> =
            outcomes.iter().filter(|(_, outcome)| outcome.made(&row.stay_id)).map(|(id, _)| id.clone()).collect();
        let removes = with_repeats(removes, outcomes);
        let hlc = self.hlc_after(&row, None)?;
        let void = self.void_of(removes, &account, &request.reason);
        self.amend(&row.stay_id, &row.stay_id, hlc, Body::Void(void))
    }

    /// The void of some facts, with what was taken at the exits among them.
    fn void_of(&self, removes: Vec<FactId>, account: &Account, reason: &str) -> Void {
        let takings = account.resolution.takings.iter().filter(|taking| removes.contains(&taking.fact));
        let money = takings.map(|taking| MoneyChange::of(taking, Vnd(0))).collect();
        Void { removes, money, reason: reason.to_owned(), by: self.doer_text() }
    }

    fn stay_to_amend(&mut self, stay_id: &str) -> Result<StoredStay, Stop<S::Error>> {
        let stored = self.read()?.stay(stay_id)?;
        let stored = stored.ok_or_else(|| Stop::Refused(Refusal::UnknownStay(stay_id.to_owned())))?;
        if stored.row.status == StayStatus::Void { Err(Stop::Refused(Refusal::AlreadyVoid)) } else { Ok(stored) }
    }

    /// `name`: by which the event names the stay.
    fn amend(&mut self, stay_id: &str, name: &str, hlc: Hlc, body: Body) -> Result<Answer, Stop<S::Error>> {
        let draft = Draft {
            hlc,
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: Some(name.to_owned()),
            body,
            by: None,
        };
        let fact = self.author(draft)?;
        let row = self.read()?.stay(stay_id)?.map(Box::new);
        Ok(Answer::Amended { stay_id: stay_id.to_owned(), version: fact.id.to_string(), row })
    }

    /// The clock of a fact about the stay of `row`: after all that is held of the plates concerned, recorded and effective, old
    /// and new, of the stay itself under all its names, and of what hangs together with it: what an exit is in place of that was written anew.
    fn hlc_after(&mut self, row: &StayRow, new: Option<&PlateId>) -> Result<Hlc, S::Error> {
        let entry = component::fact_of(self.read()?, &row.entry_fact)?;
        let recorded = entry.as_ref().and_then(|fact| fact.event.recorded_plate());
        let plates: BTreeSet<&PlateId> = [Some(&row.plate_id), recorded, new].into_iter().flatten().collect();
        let mut hlc = Hlc::next(self.now.wall_ms, Some(row.last_hlc));
        for plate in plates {
            hlc = hlc.max(self.next_hlc(plate, None)?);
        }
        let together = Component::around(self.read()?, row)?.held_facts();
        Ok(hlc.max(Hlc::next(self.now.wall_ms, together.iter().map(|fact| fact.event.hlc).max())))
    }
}

/// What a correction says of an exit, with the name by which that says its stay; `None`: what is known.
type SaidOfExit<T> = Option<(String, T)>;

/// The exit of a stay, as corrected.
struct CorrectedExit {
    exit: FactId,
    /// By which it names the stay.
    name: String,
    taken: Vnd,
    paid: Option<Paid>,
    /// As it counts; absent: it does not.
    taking: Option<Taking>,
}

/// Some facts, and what tells them again: it would count in their place.
fn with_repeats(mut facts: Vec<FactId>, outcomes: &BTreeMap<FactId, Outcome>) -> Vec<FactId> {
    let again = outcomes.iter().filter_map(|(id, outcome)| match outcome {
        Outcome::Repeated { first } if facts.contains(first) => Some(id.clone()),
        _ => None,
    });
    facts.extend(again.collect::<Vec<_>>());
    facts
}

/// What was taken at an exit, as corrected.
fn taken_at(account: &Account, exit: &Fact) -> Vnd {
    let told = if let Body::Exit(told) = &exit.event.body { told.fee } else { Vnd(0) };
    account.resolution.takings.iter().find(|taking| taking.fact == exit.id).map_or(told, |taking| taking.fee)
}

/// How what was taken was paid, as a person says afterwards.
fn as_paid<E>(told: &ToldPaid, taken: Vnd) -> Result<Paid, Stop<E>> {
    if told.method == Method::Free && taken > Vnd(0) {
        return Err(refused("paid", "something was taken there: if it was not, correct fee to 0"));
    }
    let (also, others) = (told.also.clone(), total_of(&told.also));
    let (rest, is_one) = (Vnd(taken.0 - others.0), also.is_empty());
    if !is_one && (rest <= Vnd(0) || told.amount.is_some_and(|amount| amount != rest)) {
        let told = told.total().unwrap_or_default().0;
        return Err(refused("paid", &format!("these ways sum to {told} VND, and {} VND were taken there", taken.0)));
    }
    Ok(Paid { method: told.method, amount: rest, reference: told.reference.clone(), also })
}

fn refused<E>(field: &'static str, problem: &str) -> Stop<E> {
    Stop::Refused(Refusal::Field { field, problem: problem.to_owned() })
}

fn bad_view<E>(view: &str, plate: &PlateId) -> Stop<E> {
    let problem = format!("{view:?} is not a way to write the plate {plate}");
    Stop::Refused(Refusal::Field { field: "plate_view", problem })
}
