//! The decisions at a gate: in, out, or a clear no. What was answered before is found by [`super::repeats`].

use std::collections::BTreeSet;

use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::event::{Body, Confirmed, Draft, Entry, Exit};
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::payment::{self, MAX_WAYS, Method, Paid, PaidToo, Part};
use crate::domain::plate::{self, PlateId};
use crate::domain::row::StayRow;
use crate::domain::stay::{Link, PASSAGE_WINDOW_MS};
use crate::domain::tariff::is_long_stay;
use crate::domain::time::duration_text;
use crate::domain::told::payment::ToldPaid;
use crate::domain::told::{Note, amount, vehicle, way};

use super::charge::{Charge, Ending, Settled, counted_once, not_counted, settled, unpaid};
use super::component;
use super::job::{Answer, Beside, CloseBarrier, Detection, InsideInfo, OpenBarrier, Refusal, VehicleInfo};
use super::open_stay::{OpenStay, usual_stay_id};
use super::repeats::{REPEAT_WINDOW_MS, kept_id};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

/// By state, a car leaves at another edge from this long after its entry was committed here, in ms.
const JUST_ENTERED_MS: i64 = 1_000;

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn open(&mut self, mut request: OpenBarrier) -> Result<Answer, Stop<S::Error>> {
        check_fee(&request)?;
        request.request_id = kept_id(request.request_id.take());
        let (mut notes, mut doubts) = (std::mem::take(&mut request.notes), self.doubts());
        if let Some(fee) = request.fee.filter(|fee| !fee.is_plausible()) {
            notes.push(amount::implausible("fee", fee));
            doubts.insert(Anomaly::FeeUncertain);
        }
        request.camera_type = self.vehicle_type(&request.camera_type, &[self.now.wall_ms], &mut notes, &mut doubts);
        let mut answer = self.open_as(&request, &doubts)?;
        if let Answer::Entered { notes: said, .. } | Answer::Exited { notes: said, .. } = &mut answer {
            said.extend(notes);
        }
        Ok(answer)
    }

    fn open_as(&mut self, request: &OpenBarrier, doubts: &BTreeSet<Anomaly>) -> Result<Answer, Stop<S::Error>> {
        if let Some(answer) = self.answer_of_request(request, None, None)? {
            return Ok(answer);
        }
        if let Some((mut answer, told)) = self.same_press(request)? {
            if let Some(stay) = told.filter(|_| request.tells_money()) {
                return self.exit_as_told(request, &stay.row, doubts);
            }
            match &mut answer {
                Answer::Exited { notes, fee, .. } => {
                    notes.extend(request.beside.paid.iter().map(|_| unpaid("paid", "recorded_before")));
                    let other = request.fee.filter(|told| told != fee);
                    notes.extend(other.map(|told| counted_once("fee", *fee, told)));
                }
                Answer::Entered { notes, .. } => {
                    notes.extend(request.beside.paid.iter().map(|_| unpaid("paid", "only_at_exit")));
                }
                _ => {}
            }
            return Ok(answer);
        }
        let open = self.inside(&request.plate).cloned();
        match (request.direction, open) {
            // Money is taken of cars that leave.
            (None, None) if request.is_exit_by_money() => self.exit_unknown(request, doubts).map(by_money),
            (None | Some(Direction::Entry), None) => self.enter(request, None, doubts),
            (Some(Direction::Entry), Some(open)) if request.force => self.enter(request, Some(&open), doubts),
            (None | Some(Direction::Entry), Some(open))
                if vehicle::are_unlike(&request.camera_type, &open.place.camera_type) =>
            {
                let told_inside = open.place.camera_type.clone();
                Err(Stop::Refused(Refusal::OtherType { vehicle: self.vehicle_of(request).into(), told_inside }))
            }
            (Some(Direction::Entry), Some(_)) => {
                Err(Stop::Refused(Refusal::AlreadyInside(self.vehicle_of(request).into())))
            }
            (None, Some(open)) if request.is_exit_by_money() => self.exit(request, &open, doubts).map(by_money),
            (None, Some(open)) => match self.just_entered_for_ms(&request.plate, &open)? {
                Some(wait_ms) => Err(Stop::Refused(Refusal::JustEntered {
                    vehicle: self.vehicle_of(request).into(),
                    retry_after_s: wait_ms.unsigned_abs().div_ceil(1000),
                })),
                None => self.exit(request, &open, doubts),
            },
            (Some(Direction::Exit), Some(open)) => self.exit(request, &open, doubts),
            (Some(Direction::Exit), None) if request.force => self.exit_unknown(request, doubts),
            (Some(Direction::Exit), None) => Err(Stop::Refused(Refusal::NotInside(self.vehicle_of(request).into()))),
        }
    }

    /// How long a press without a direction must still wait to be an exit: the car came in a moment ago, so that press
    /// is a second camera of that gate rather than a departure. A car whose entry a program told is driving in, and the barrier of its lane
    /// may have an id of its own, so it takes as long as a press is the same press.
    fn just_entered_for_ms(&mut self, plate: &PlateId, open: &OpenStay) -> Result<Option<i64>, Stop<S::Error>> {
        let since_commit_ms = self.now.wall_ms.saturating_sub(open.committed_ms);
        // An entry that was told hours later is no moment ago.
        if !self.is_of_now(&open.place.edge_id, open.entry_ms, open.committed_ms) {
            return Ok(None);
        }
        let left_of = |window_ms: i64| (0..window_ms).contains(&since_commit_ms).then(|| window_ms - since_commit_ms);
        let (pressed_ms, told_ms) = (left_of(JUST_ENTERED_MS), left_of(REPEAT_WINDOW_MS));
        if told_ms.is_none() || !self.was_told(plate, open)? {
            return Ok(pressed_ms);
        }
        Ok(told_ms)
    }

    /// Whether a program told of the entry of an open stay, and nobody asked for it.
    pub(super) fn was_told(&mut self, plate: &PlateId, open: &OpenStay) -> Result<bool, S::Error> {
        let stay_id = open.stay_id(plate);
        let Some(row) = self.read()?.stay(&stay_id)?.map(|stored| stored.row) else { return Ok(false) };
        let entry = component::fact_of(self.read()?, &row.entry_fact)?;
        Ok(entry.is_some_and(|fact| matches!(&fact.event.body, Body::Entry(entry) if entry.told)))
    }

    /// What there is to doubt about everything that is stamped now.
    pub(super) fn doubts(&self) -> BTreeSet<Anomaly> {
        if self.now.clock_wrong { BTreeSet::from([Anomaly::ClockSkew]) } else { BTreeSet::new() }
    }

    /// The vehicle type as it is kept: by the name of the list or of a tariff that is in force at one of some times, in whatever spelling
    /// it was told.
    pub(super) fn vehicle_type(
        &self,
        told: &str,
        times_ms: &[i64],
        notes: &mut Vec<Note>,
        doubts: &mut BTreeSet<Anomaly>,
    ) -> String {
        let other = match vehicle::read(told) {
            vehicle::ToldVehicle::Nothing => return String::new(),
            vehicle::ToldVehicle::Known(name) => return name.to_owned(),
            vehicle::ToldVehicle::Other(other) => other,
        };
        let name_at = |at_ms: &i64| self.prices_at(*at_ms).0.name_of(&other).map(ToOwned::to_owned);
        if let Some(name) = times_ms.iter().find_map(name_at) {
            return name;
        }
        notes.push(Note::new(
            "vehicle_type",
            "unknown_type",
            format!("loại xe {other:?} không có trong danh sách: tính theo giá chung"),
            format!("the vehicle type {other:?} is not known: the base rate is charged"),
        ));
        doubts.insert(Anomaly::UnknownType);
        other
    }

    fn enter(
        &mut self,
        request: &OpenBarrier,
        replaced: Option<&OpenStay>,
        doubts: &BTreeSet<Anomaly>,
    ) -> Result<Answer, Stop<S::Error>> {
        let now_ms = self.now.wall_ms;
        let mut notes: Vec<Note> = request.beside.paid.iter().map(|_| unpaid("paid", "only_at_exit")).collect();
        let mut doubts = doubts.clone();
        let told_fee = request.fee.filter(|fee| *fee > Vnd(0));
        if let Some(told) = told_fee {
            doubts.insert(Anomaly::FeeUncertain);
            notes.push(not_counted("fee", told));
        }
        let event_id = self.stay_id_at_gate(&request.plate)?;
        let hlc = self.next_hlc(&request.plate, replaced.map(|open| open.last_hlc))?;
        let entry = Entry {
            plate_id: request.plate.clone(),
            plate_view: request.plate_view.clone().unwrap_or_else(|| plate::view(&request.plate)),
            edge_id: request.edge_id.clone(),
            camera_type: request.camera_type.clone(),
            direction: "ENTRY".into(),
            entry_time: self.context.zone.local_text(now_ms),
            confidence: request.confidence,
            request_id: request.request_id.clone(),
            force: request.force,
            reason: request.reason.clone(),
            replaces: replaced.map(|open| open.stay_id(&request.plate)),
            reported: None,
            told: false,
            told_fee,
            card_id: request.beside.card_id.clone(),
            images: request.beside.images.clone(),
            doubts: names(&doubts),
        };
        let fact = self.author(self.draft(hlc, &event_id, Body::Entry(entry)))?;
        let opened = self.inside(&request.plate).filter(|open| open.is_entered_by(&fact.id));
        let (event_id, history_id) = match opened {
            Some(open) => (open.stay_id(&request.plate), open.row_id),
            None => {
                let row_id = self.read()?.stay(&event_id)?.map_or(0, |stored| stored.row_id);
                (event_id, row_id)
            }
        };
        Ok(Answer::Entered { event_id, history_id, repeated: false, notes })
    }

    fn exit(
        &mut self,
        request: &OpenBarrier,
        open: &OpenStay,
        doubts: &BTreeSet<Anomaly>,
    ) -> Result<Answer, Stop<S::Error>> {
        let now_ms = self.now.wall_ms;
        let row = match open.row(&request.plate) {
            Some(row) => row,
            None => self.stay_of(&request.plate, open)?,
        };
        let mut ending = self.ending(&row, open.entry_ms, now_ms, &request.camera_type)?;
        let due = &ending.charge;
        let is_long = is_long_stay(open.entry_ms, now_ms);
        if is_long && due.fee.0 > 0 && !request.force {
            return Err(Stop::Refused(Refusal::LongStay(self.vehicle_of(request).into())));
        }
        let hlc = self.next_hlc(&request.plate, Some(open.last_hlc))?;
        let event_id = open.stay_id(&request.plate);
        let duration = duration_text(now_ms.saturating_sub(open.entry_ms));
        let mut doubts = doubts.clone();
        // Who says what was taken has worked it out.
        if request.fee.is_some() {
            ending.notes.retain(|note| note.field == "vehicle_type");
        } else if ending.is_uncertain || is_long && due.fee.0 > 0 {
            doubts.insert(Anomaly::FeeUncertain);
        }
        let Ending { mut charge, mut notes, .. } = ending;
        if request.beside.lost_card {
            notes.extend(self.charge_lost_card(&mut charge, "lost_card", now_ms));
        }
        let due = charge.by_hand(request.fee, request.reason.as_deref());
        let exit = Exit { stay: None, duration: duration.clone(), ..self.exit_of(request, due, &doubts, &mut notes) };
        let fee = exit.fee;
        self.author(self.draft(hlc, &event_id, Body::Exit(exit)))?;
        Ok(Answer::Exited { event_id, fee, duration, repeated: false, notes })
    }

    /// The row of an open stay that says more than is kept of it.
    fn stay_of(&mut self, plate: &PlateId, open: &OpenStay) -> Result<StayRow, Stop<S::Error>> {
        let stay_id = open.stay_id(plate);
        let stored = self.read()?.stay(&stay_id)?;
        stored.map(|stored| stored.row).ok_or_else(|| Stop::Refused(Refusal::UnknownStay(stay_id)))
    }

    /// A forced exit of a car this central knows no entry of.
    fn exit_unknown(&mut self, request: &OpenBarrier, doubts: &BTreeSet<Anomaly>) -> Result<Answer, Stop<S::Error>> {
        let event_id = self.new_stay_id(&request.plate)?;
        let hlc = self.next_hlc(&request.plate, None)?;
        let taken = request.fee.or(request.beside.amount_at(Direction::Exit));
        let due = Charge::default().by_hand(taken, request.reason.as_deref());
        let (duration, mut notes) = (duration_text(0), Vec::new());
        let said = self.exit_of(request, due, doubts, &mut notes);
        // No entry says how its plate is shown.
        let plate_view = said.plate_view.clone().or_else(|| Some(plate::view(&request.plate)));
        let exit = Exit { stay: Some(None), plate_view, duration: duration.clone(), ..said };
        let fee = exit.fee;
        self.author(self.draft(hlc, &event_id, Body::Exit(exit)))?;
        Ok(Answer::Exited { event_id, fee, duration, repeated: false, notes })
    }

    /// A person says what was taken of a car whose exit a program told a moment ago: that counts in its place.
    fn exit_as_told(
        &mut self,
        request: &OpenBarrier,
        row: &StayRow,
        doubts: &BTreeSet<Anomaly>,
    ) -> Result<Answer, Stop<S::Error>> {
        let told = match &row.exit {
            Some(exit) => component::fact_of(self.read()?, &exit.fact)?,
            None => None,
        };
        let told = told.map(|fact| (fact.event.hlc, fact.event.body.clone()));
        let Some((told_hlc, Body::Exit(told))) = told else {
            return Err(Stop::Refused(Refusal::UnknownStay(row.stay_id.clone())));
        };
        let missing = payment::unpaid(&told.lines);
        let mut charge = Charge {
            fee: told.fee,
            tariff_version: told.tariff_version,
            subscription_id: told.subscription_id,
            lines: told.lines,
            ..Charge::default()
        }
        .in_full();
        let due_as_told = charge.fee;
        let mut notes = Vec::new();
        let is_lost_charged = charge.lines.iter().any(|line| line.part == Part::LostCard);
        if request.beside.lost_card && !is_lost_charged {
            notes.extend(self.charge_lost_card(&mut charge, "lost_card", self.now.wall_ms));
        }
        let of_nobody_known = request.beside.amount_at(Direction::Exit).filter(|_| row.is_exit_alone());
        let due = charge.by_hand(request.fee.or(of_nobody_known), request.reason.as_deref());
        let duration = told.duration;
        // Where it was told, if that is hours ago by a clock that is behind, or more of the car came since.
        let next = self.next_hlc(&request.plate, Some(row.last_hlc))?;
        let is_next = next.ms().saturating_sub(told_hlc.ms()) <= PASSAGE_WINDOW_MS && self.is_last(row)?;
        let hlc = if is_next { next } else { Hlc::next(told_hlc.ms(), Some(told_hlc)) };
        let said = match with_the_rest(told.paid.as_ref(), missing, request) {
            Some(both) => self.exit_of(&both, due, doubts, &mut notes),
            None => self.exit_of(request, due, doubts, &mut notes),
        };
        let fee = said.fee;
        let paid = said.paid.or(told.paid.filter(|paid| fee == due_as_told && paid.total() >= fee));
        // A camera and whoever stands at its lane are how a gate works; another gate is one more that had the car.
        let in_place_of_told = self.lanes.is_one(&told.exit_edge, &request.edge_id);
        let exit = Exit { stay: None, duration: duration.clone(), paid, in_place_of_told, ..said };
        self.author(self.draft(hlc, &row.stay_id, Body::Exit(exit)))?;
        Ok(Answer::Exited { event_id: row.stay_id.clone(), fee, duration, repeated: false, notes })
    }

    /// Whether nothing of the plate comes after what is known of this stay.
    fn is_last(&mut self, row: &StayRow) -> Result<bool, S::Error> {
        Ok(self.read()?.greatest_hlc_of_plate(&row.plate_id)?.is_none_or(|greatest| greatest <= row.last_hlc))
    }

    /// What any exit made by `request` states, with what is taken; the caller adds what it knows of the stay.
    fn exit_of(&self, request: &OpenBarrier, due: Charge, doubts: &BTreeSet<Anomaly>, notes: &mut Vec<Note>) -> Exit {
        let Settled { charge: due, paid, doubt } =
            settled(due, request.beside.paid.as_ref(), request.reason.as_deref(), "paid", notes);
        let doubts: BTreeSet<Anomaly> = doubts.iter().copied().chain(doubt).collect();
        Exit {
            stay: None,
            plate_id: Some(request.plate.clone()),
            plate_view: request.plate_view.clone(),
            exit_central: self.context.central.as_str().to_owned(),
            exit_edge: request.edge_id.clone(),
            exit_time: self.context.zone.local_text(self.now.wall_ms),
            fee: due.fee,
            duration: String::new(),
            camera_type: (!request.camera_type.is_empty()).then(|| request.camera_type.clone()),
            confidence: request.confidence,
            request_id: request.request_id.clone(),
            force: request.force,
            reason: request.reason.clone(),
            requested_fee: request.fee,
            tariff_version: due.tariff_version,
            subscription_id: due.subscription_id,
            reported: None,
            told: false,
            in_place_of_told: false,
            told_fee: None,
            lines: due.lines,
            paid,
            taken_by: None,
            card_id: request.beside.card_id.clone(),
            images: request.beside.images.clone(),
            doubts: names(&doubts),
        }
    }

    pub(super) fn close(&mut self, request: &CloseBarrier) -> Result<Answer, Stop<S::Error>> {
        let Some(row) = self.pending_entry(request)? else {
            return Ok(Answer::Closed { confirmed: false, event_id: request.event_id.clone() });
        };
        let is_own =
            self.lanes.is_one(&row.edge_id, &request.edge_id) && row.source_central == self.context.central.as_str();
        if request.only_own && !is_own {
            let (central, edge_id) = (row.source_central, row.edge_id);
            return Err(Stop::Refused(Refusal::OtherEdge { central, edge_id }));
        }
        let hlc = self.next_hlc(&row.plate_id, Some(row.last_hlc))?;
        let confirmed = Confirmed {
            plate_id: Some(row.plate_id),
            edge_id: request.edge_id.clone(),
            confirmed_time: self.context.zone.local_text(self.now.wall_ms),
        };
        self.author(self.draft(hlc, &row.stay_id, Body::Confirmed(confirmed)))?;
        Ok(Answer::Closed { confirmed: true, event_id: Some(row.stay_id) })
    }

    /// The open stay a closing barrier confirms: the one named, else that of the plate if it came in through this edge.
    fn pending_entry(&mut self, request: &CloseBarrier) -> Result<Option<StayRow>, Stop<S::Error>> {
        let named = request.event_id.as_deref();
        let is_meant = |open: &OpenStay, plate: &PlateId| match named {
            Some(event_id) => open.stay_id(plate) == event_id,
            None => self.lanes.is_one(&open.place.edge_id, &request.edge_id),
        };
        let given = request.plate.as_ref().filter(|plate| self.inside(plate).is_some_and(|open| is_meant(open, plate)));
        let plate = match (given, named) {
            (Some(plate), _) => Some(plate.clone()),
            (None, Some(event_id)) => self.read()?.stay(event_id)?.map(|stored| stored.row.plate_id),
            (None, None) => None,
        };
        let Some(plate) = plate else { return Ok(None) };
        let Some(open) = self.inside(&plate).filter(|open| is_meant(open, &plate)) else { return Ok(None) };
        let stay_id = open.stay_id(&plate);
        let row = match open.row(&plate) {
            Some(row) => Some(row),
            None => self.read()?.stay(&stay_id)?.map(|stored| stored.row),
        };
        Ok(row.filter(|row| row.confirm_fact.is_none()))
    }

    pub(super) fn vehicle(&self, detection: &Detection) -> VehicleInfo {
        let open = self.inside(&detection.plate);
        let subscription_id = self.subscription_of(&detection.plate);
        let plate_view = match (&detection.plate_view, open) {
            (Some(view), _) => view.clone(),
            (None, Some(open)) => open.plate_view(&detection.plate),
            (None, None) => plate::view(&detection.plate),
        };
        let inside = open.map(|open| {
            let entered_as = Some(&open.place.camera_type).filter(|kind| !kind.is_empty());
            let pays_as = entered_as.unwrap_or(&detection.camera_type);
            let due = self.charge(&detection.plate, pays_as, open.entry_ms, self.now.wall_ms);
            InsideInfo {
                stay_id: open.stay_id(&detection.plate),
                entry_ms: open.entry_ms,
                entry_central: open.place.central.clone(),
                entry_edge: open.place.edge_id.clone(),
                camera_type: open.place.camera_type.clone(),
                fee: due.fee,
                lines: due.lines,
                duration: duration_text(self.now.wall_ms.saturating_sub(open.entry_ms)),
            }
        });
        let camera_type = detection.camera_type.clone();
        VehicleInfo { plate: detection.plate.clone(), plate_view, camera_type, inside, subscription_id }
    }

    pub(super) fn vehicle_of(&self, request: &OpenBarrier) -> VehicleInfo {
        self.vehicle(&Detection {
            plate: request.plate.clone(),
            plate_view: request.plate_view.clone(),
            camera_type: request.camera_type.clone(),
            direction: request.direction,
        })
    }

    fn subscription_of(&self, plate: &PlateId) -> Option<String> {
        let settings = self.settings();
        if settings.has_no_subscriptions() {
            return None;
        }
        let today = self.context.zone.day(self.now.wall_ms);
        settings.active_subscription(plate, &today).map(ToOwned::to_owned)
    }

    /// As [`Self::new_stay_id`], with fewer looks. The clock of a stay made at a gate is never behind the stamp in its id: where
    /// all of the plate is older, none of those has it. What was told afterwards may, in the same ms: then the history names
    /// the new stay otherwise, see [`Self::enter`].
    fn stay_id_at_gate(&mut self, plate: &PlateId) -> Result<String, Stop<S::Error>> {
        let wall_ms = self.now.wall_ms;
        if self.staged.loose_facts == 0 && self.is_newest_of_plate(plate, Hlc::next(wall_ms, None))? {
            return Ok(usual_stay_id(self.context.central.as_str(), wall_ms, plate));
        }
        self.new_stay_id(plate)
    }

    /// `{central}_{unix ms}_{plate}`, the ms moved forward until no row and no fact held here claims it.
    pub(super) fn new_stay_id(&mut self, plate: &PlateId) -> Result<String, Stop<S::Error>> {
        let mut stamp_ms = self.now.wall_ms;
        let central = self.context.central.clone();
        loop {
            let stay_id = usual_stay_id(central.as_str(), stamp_ms, plate);
            let taken =
                self.read()?.stay(&stay_id)?.is_some() || !self.loose_under(&Link::Stay(stay_id.clone()))?.is_empty();
            if !taken {
                return Ok(stay_id);
            }
            stamp_ms += 1;
        }
    }

    pub(super) fn draft(&self, hlc: Hlc, event_id: &str, body: Body) -> Draft {
        Draft {
            hlc,
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: Some(event_id.to_owned()),
            by: None,
            body,
        }
    }
}

/// Nobody said that it is an exit, but for the money.
fn by_money(mut answer: Answer) -> Answer {
    if let Answer::Exited { notes, .. } = &mut answer {
        notes.push(way::assumed("direction", Direction::Exit));
    }
    answer
}

/// Doubts as an event carries them.
pub(super) fn names(doubts: &BTreeSet<Anomaly>) -> Vec<String> {
    doubts.iter().map(|doubt| doubt.name().to_owned()).collect()
}

/// What a request may say of a fee, before the state of the lot is looked at.
fn check_fee<E>(request: &OpenBarrier) -> Result<(), Stop<E>> {
    match request.fee {
        None => Ok(()),
        Some(_) if !request.force => Err(bad_fee("is only taken together with 'force': true")),
        Some(fee) if !(Vnd(0)..=Vnd::MAX_TOLD).contains(&fee) => {
            Err(bad_fee(&Vnd::out_of_range(Vnd(0), Vnd::MAX_TOLD).1))
        }
        Some(_) => Ok(()),
    }
}

fn bad_fee<E>(problem: &str) -> Stop<E> {
    Stop::Refused(Refusal::Field { field: "fee", problem: problem.to_owned() })
}

/// The press again, with what was told to be paid before it, where it brings just what was missing of the fee: both were taken.
fn with_the_rest(told: Option<&Paid>, missing: Vnd, press: &OpenBarrier) -> Option<OpenBarrier> {
    let (told, rest) = (told?, press.beside.paid.as_ref()?);
    let is_the_rest = missing > Vnd(0) && press.fee.is_none() && rest.total() == Some(missing);
    if !is_the_rest || told.method == Method::Free || told.also.len() + rest.also.len() + 2 > MAX_WAYS {
        return None;
    }
    let first =
        PaidToo { method: rest.method, amount: rest.amount.unwrap_or_default(), reference: rest.reference.clone() };
    let also = told.also.iter().cloned().chain([first]).chain(rest.also.iter().cloned()).collect();
    let paid = ToldPaid { method: told.method, amount: Some(told.amount), reference: told.reference.clone(), also };
    let beside = Beside { paid: Some(paid), ..press.beside.clone() };
    Some(OpenBarrier { beside, ..press.clone() })
}
