//! What edge programs report after the fact: the barrier has opened, the car is in or out. Nothing here is refused for the
//! state of the lot; what does not fit is kept as the anomaly it is.

use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use std::sync::Arc;

use crate::domain::event::{Body, Draft, Entry, Event, Exit, Reported, Unread};
use crate::domain::explain::words;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId};
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{Link, MAX_SKEW_MS, PASSAGE_WINDOW_MS, REQUEST_WINDOW_MS, Telling, told_apart};
use crate::domain::time::{SiteZone, duration_text};
use crate::domain::told::{Note, vehicle};

use super::charge::{Charge, Settled, counted_once, not_counted, settled, taken, unpaid};
use super::component::{self, EVER, loose_key};
use super::edge_clocks::Lateness;
use super::gate::names;
use super::job::{
    Answer, Beside, CorrectStay, OpenBarrier, Passed, Refusal, Report, ReportChange, UnreadKept, UnreadOpening,
    VoidStay,
};
use super::open_stay::OpenStay;
use super::repeats::{REPEAT_WINDOW_MS, kept_id};
use super::storage::{Storage, StoredStay};
use super::transaction::{Stop, Transaction};

/// An edge's own time is used if it is at most this long before the report arrived, in ms: an edge keeps what it could not
/// send, over a long weekend too, and as long as its event ids are remembered. Longer ago its clock is wrong.
const BELIEVED_MS: i64 = REQUEST_WINDOW_MS;
/// What is told later than this, in ms, is used and shown.
const LATE_MS: i64 = 24 * 60 * 60 * 1_000;
/// Where several come at once the clocks of facts run ahead of their stamps, by less than this, in ms.
const AHEAD_OF_STAMPS_MS: i64 = 2_000;
/// A clock that is ahead by less than anybody notices, in ms, says "now".
const AHEAD_MS: i64 = 60_000;

/// A car comes and goes less often than this in the time that is believed.
const STAYS_LOOKED_AT: usize = 32;
/// So many entries of a car that is inside are written down of one gate in [`OFTEN_MS`], and so many exits that tell one passage again. What
/// is told more often adds nothing but work for whatever is told of that car later.
pub const MOST_TOLD_AGAIN: usize = 32;
/// And of all gates: one camera that reads parked cars leaves room for the entries of others.
pub const MOST_ENTERED_AGAIN: usize = 8 * MOST_TOLD_AGAIN;
const OFTEN_MS: i64 = 24 * 60 * 60 * 1_000;

/// When a reported event happened.
struct Moment {
    ms: i64,
    /// Its clock. `None`: as of any event that happens now.
    hlc: Option<Hlc>,
    reported: Option<Reported>,
}

/// What an exit that is told says beside the report.
struct SaidOfExit {
    stay: Option<Option<String>>,
    due: Charge,
    told_fee: Option<Vnd>,
    duration: String,
}

/// An id that came with so many passages of three weeks names none of them, such as the id of the camera itself; a camera that counts anew
/// each day uses one for 42.
const MOST_UNDER_ONE_ID: usize = 64;

fn id_of_many() -> Note {
    Note::new(
        "event_id",
        "id_of_many",
        "mã này đến cùng rất nhiều lượt khác nhau nên không được dùng: mỗi lượt cần có mã riêng",
        "this id comes with a great many passages and is not used: give each passage its own id",
    )
}

/// The stay an exit ends.
struct LeftStay {
    row: StayRow,
    /// Since when it is charged.
    entry_ms: i64,
}

impl LeftStay {
    fn of(stored: StoredStay) -> Self {
        Self { entry_ms: stored.row.entry_ms, row: stored.row }
    }
}

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn report(&mut self, mut report: Report) -> Result<Answer, Stop<S::Error>> {
        report.request_id = kept_id(report.request_id.take());
        report.doubts.append(&mut self.doubts());
        let (mut moment, note) = self.moment_of(report.told_ms);
        // An exit goes by the prices of its time. An entry is charged at the exit, then or later.
        let times_ms = [moment.ms, self.now.wall_ms];
        let times_ms = if report.direction == Direction::Exit { &times_ms[..1] } else { &times_ms };
        report.camera_type = self.vehicle_type(&report.camera_type, times_ms, &mut report.notes, &mut report.doubts);
        if let Some(note) = note {
            report.notes.push(note);
            report.doubts.insert(Anomaly::TimeUncertain);
        }
        if let Some(note) = self.note_of_clock(&report.edge_id, &moment) {
            report.notes.push(note);
            report.doubts.insert(Anomaly::TimeUncertain);
        }
        self.put_in_order_of_arrival(&report, &mut moment)?;
        let mut passed = match self.reported_before(&mut report, &moment)? {
            Some(passed) => passed,
            None => match report.direction {
                Direction::Entry => self.report_entry(&mut report, &moment)?,
                Direction::Exit => self.report_exit(&mut report, &moment)?,
            },
        };
        passed.notes.append(&mut report.notes);
        Ok(Answer::Reported(Box::new(passed)))
    }

    /// An opening for a car that could not be read: kept as that. It is about no stay.
    pub(super) fn report_unread(&mut self, mut opening: UnreadOpening) -> Result<Answer, Stop<S::Error>> {
        let direction = opening.direction;
        opening.request_id = kept_id(opening.request_id.take());
        let kept = |fact, fee, repeated, notes| {
            Ok(Answer::Unread(Box::new(UnreadKept { direction, fact, fee, repeated, notes })))
        };
        if let Some(request_id) = opening.request_id.as_deref() {
            let now = Hlc::next(self.now.wall_ms, None);
            let (told_ms, received_ms) = (opening.told_ms, self.now.wall_ms);
            let telling = Telling { told_ms, received_ms, by_program: !opening.force };
            let before = self.events_of_request(&opening.edge_id, request_id, now)?;
            let is_it = |event: &&Arc<Event>| {
                let recent = self.now.wall_ms.abs_diff(event.hlc.ms()) <= REQUEST_WINDOW_MS.unsigned_abs();
                let same = matches!(&event.body, Body::Unread(held) if held.direction == opening.direction && held.text == opening.text);
                recent && same && !telling.is_apart(Telling::of(event))
            };
            if let Some(event) = before.iter().find(is_it) {
                return kept(event.fact_id(), opening.fee, true, opening.notes);
            }
            if before.len() >= MOST_UNDER_ONE_ID {
                opening.request_id = None;
                opening.notes.push(id_of_many());
            }
        }
        let (moment, note) = self.moment_of(opening.told_ms);
        opening.notes.extend(note);
        let beside = opening.beside;
        let fee = opening.fee.or(beside.amount_at(opening.direction)).unwrap_or_default();
        let Settled { charge, paid, .. } =
            settled(taken(Some(fee)), beside.paid.as_ref(), None, "data.paid", &mut opening.notes);
        // No lines are kept of it: what was taken of what it tells is in the answer.
        let told_fee = opening.fee.map(|fee| fee.min(charge.fee));
        let unread = Unread {
            edge_id: opening.edge_id,
            direction: opening.direction,
            text: opening.text,
            camera_type: opening.camera_type,
            fee: told_fee,
            request_id: opening.request_id,
            reported: moment.reported,
            paid,
            card_id: beside.card_id,
            images: beside.images,
            force: opening.force,
            reason: opening.reason,
        };
        let hlc = moment.hlc.unwrap_or_else(|| Hlc::next(self.now.wall_ms, None));
        let draft = Draft {
            hlc,
            timestamp_ms: moment.ms,
            skew_ms: self.now.skew_ms,
            event_id: None,
            by: None,
            body: Body::Unread(unread),
        };
        let fact = self.author(draft)?;
        kept(fact.id, told_fee, false, opening.notes)
    }

    /// A correction or removal that was made at the edge: the same as one made here.
    pub(super) fn report_change(&mut self, change: ReportChange) -> Result<Answer, Stop<S::Error>> {
        let stay_id = self.stay_reported_as(&change.edge_id, &change.event_id)?;
        let reason = format!("ở cổng {0} / at edge {0}", change.edge_id);
        let changed = match change.corrected {
            Some((plate, plate_view)) => {
                let request = CorrectStay {
                    stay_id: stay_id.clone(),
                    plate: Some(plate),
                    plate_view,
                    reason,
                    ..CorrectStay::default()
                };
                self.correct(&request)
            }
            None => self.void(&VoidStay { stay_id: stay_id.clone(), reason }),
        };
        match changed {
            // Edges send again what they heard no answer to.
            Err(Stop::Refused(Refusal::Unchanged | Refusal::AlreadyVoid)) => {
                Ok(Answer::ChangedBefore { event_id: stay_id })
            }
            changed => changed,
        }
    }

    /// The stay an edge means: by our id, or by the one it reported the entry under.
    pub(super) fn stay_reported_as(&mut self, edge_id: &str, event_id: &str) -> Result<String, S::Error> {
        let events = self.events_of_request(edge_id, event_id, Hlc::next(self.now.wall_ms, None))?;
        // The last one, where an edge uses its ids again.
        let entries = events.into_iter().filter(|event| matches!(event.body, Body::Entry(_)));
        let entry = entries.max_by_key(|event| event.hlc);
        Ok(entry.and_then(|event| event.event_id.clone()).unwrap_or_else(|| event_id.to_owned()))
    }

    /// When it happened, and what is said of a time that was told and is not used, or was told late.
    fn moment_of(&self, told_ms: Option<i64>) -> (Moment, Option<Note>) {
        let received_ms = self.now.wall_ms;
        let believed = told_ms.filter(|told| (received_ms - BELIEVED_MS..received_ms).contains(told));
        let moment = Moment {
            ms: believed.unwrap_or(received_ms),
            hlc: believed.and_then(|told| Hlc::new(told).ok()),
            reported: told_ms.map(|told_ms| Reported { told_ms, received_ms }),
        };
        let note = |code, vi: &str, en: &str| Some(Note::new("timestamp", code, vi, en));
        let note = match told_ms.map(|told_ms| received_ms.saturating_sub(told_ms)) {
            Some(ago_ms) if ago_ms < -AHEAD_MS => note(
                "in_the_future",
                "giờ cổng báo ở tương lai: ghi giờ nhận; hãy chỉnh giờ máy ở cổng",
                "this time is in the future: the time of receipt is used; set the clock of the gate",
            ),
            Some(ago_ms) if ago_ms > BELIEVED_MS => note(
                "too_old",
                "giờ cổng báo đã quá 7 ngày: ghi giờ nhận; hãy kiểm tra giờ máy ở cổng",
                "this time is more than 7 days ago: the time of receipt is used; check the clock of the gate",
            ),
            Some(ago_ms) if ago_ms > LATE_MS => note(
                "late",
                "báo trễ hơn một ngày: giờ này được dùng và được ghi chú để kiểm tra",
                "told more than a day later: this time is used, and shown to be checked",
            ),
            _ => None,
        };
        (moment, note)
    }

    /// What is said of a time that was told by a clock that seems to be behind.
    fn note_of_clock(&mut self, edge_id: &str, moment: &Moment) -> Option<Note> {
        let Reported { told_ms, received_ms } = moment.reported.filter(|_| moment.hlc.is_some())?;
        let late = Lateness::of(told_ms, received_ms);
        let is_behind = self.state.edge_clocks.is_behind(edge_id, late, self.context.zone.ahead_of_utc_ms(received_ms));
        self.staged.edges.push((edge_id.to_owned(), late));
        let by = duration_text(received_ms.saturating_sub(told_ms));
        is_behind.then(|| {
            Note::new(
                "timestamp",
                "clock_behind",
                format!("giờ cổng báo chậm {by}, các lần báo trước cũng vậy hoặc đúng bằng giờ UTC: giờ này được dùng; hãy chỉnh giờ máy ở cổng"),
                format!("this time is {by} ago, as late as others of this gate or by what UTC is behind: it is used; set the clock of the gate"),
            )
        })
    }

    /// What is told with the time of the last that is known of the car came after it: a gate tells one thing after the other, also
    /// within a millisecond, or within the second where it tells whole seconds. (The clock of what happens now is just after the
    /// last, which can be ahead of the time that is told next.)
    fn put_in_order_of_arrival(&mut self, report: &Report, moment: &mut Moment) -> Result<(), S::Error> {
        let (Some(hlc), Some(Reported { told_ms, received_ms })) = (moment.hlc, moment.reported) else { return Ok(()) };
        let told_until_ms = if told_ms % 1_000 == 0 { (told_ms + 999).min(received_ms) } else { told_ms };
        let greatest = self.read()?.greatest_hlc_of_plate(&report.plate)?;
        let near = hlc.ms()..=told_until_ms.saturating_add(AHEAD_OF_STAMPS_MS);
        let Some(greatest) = greatest.filter(|greatest| near.contains(&greatest.ms())) else { return Ok(()) };
        let rows = self.latest_stays(&report.plate, STAYS_LOOKED_AT)?;
        let stamps = rows.iter().flat_map(|StoredStay { row, .. }| {
            [Some(row.entry_ms), row.confirmed_ms, row.exit.as_ref().map(|exit| exit.exit_ms)].into_iter().flatten()
        });
        if let Some(newest_ms) = stamps.max().filter(|newest_ms| *newest_ms <= told_until_ms) {
            moment.ms = moment.ms.max(newest_ms);
            moment.hlc = Some(Hlc::next(moment.ms, Some(greatest)));
        }
        Ok(())
    }

    /// What came of the same report before: the same id of the same edge; the same car at this central a moment ago. What a
    /// camera inside the lot sees of a car that is inside is nothing new either.
    fn reported_before(&mut self, report: &mut Report, moment: &Moment) -> Result<Option<Passed>, Stop<S::Error>> {
        if report.seen_inside
            && let Some(open) = self.inside(&report.plate)
        {
            let event_id = open.stay_id(&report.plate);
            return Ok(Some(self.passed(report.direction, event_id, Vnd(0), String::new(), true)?));
        }
        let as_request = OpenBarrier {
            edge_id: report.edge_id.clone(),
            plate: report.plate.clone(),
            plate_view: None,
            direction: Some(report.direction),
            camera_type: String::new(),
            confidence: None,
            request_id: report.request_id.clone(),
            force: false,
            reason: None,
            fee: None,
            notes: Vec::new(),
            beside: Beside::default(),
        };
        let answered = match self.answer_of_request(&as_request, moment.hlc, Some(report.told_ms)) {
            // An edge that uses an id for two things still saw two things.
            Err(Stop::Refused(Refusal::RequestIdReused)) => {
                self.note_reuse(report, moment)?;
                None
            }
            answered => answered?,
        };
        if answered.is_some() {
            report.notes.extend(self.note_of_repeat(report)?);
        }
        if answered.is_none() {
            return match report.direction {
                Direction::Entry => self.entered_before(report, moment),
                Direction::Exit => self.left_before(report, moment),
            };
        }
        match answered {
            Some(Answer::Entered { event_id, .. }) => {
                Ok(Some(self.passed(Direction::Entry, event_id, Vnd(0), String::new(), true)?))
            }
            Some(Answer::Exited { event_id, fee, duration, .. }) => {
                Ok(Some(self.passed(Direction::Exit, event_id, fee, duration, true)?))
            }
            _ => Ok(None),
        }
    }

    /// Says of an id that came before with another plate or another time, in the same direction, that it did: a stay's id does for its
    /// entry and its exit. Of the same plate, without times, it may be what was sent hours ago, whose answer got lost.
    fn note_reuse(&mut self, report: &mut Report, moment: &Moment) -> Result<(), S::Error> {
        let Some(id) = report.request_id.as_deref() else { return Ok(()) };
        let around = moment.hlc.unwrap_or_else(|| Hlc::next(self.now.wall_ms, None));
        let mut before = self.events_of_request(&report.edge_id, id, around)?;
        if before.len() >= MOST_UNDER_ONE_ID {
            report.request_id = None;
            report.notes.push(id_of_many());
            return Ok(());
        }
        let is_exit = report.direction == Direction::Exit;
        before.retain(|event| matches!(event.body, Body::Exit(_)) == is_exit);
        let telling = Telling { told_ms: report.told_ms, received_ms: self.now.wall_ms, by_program: true };
        let may_be_it = |event: &Arc<Event>| {
            event.recorded_plate() == Some(&report.plate) && telling.is_resent_late(Telling::of(event))
        };
        if before.iter().any(may_be_it) {
            report.doubts.insert(Anomaly::MayBeToldTwice);
            report.notes.push(Note::new(
                "event_id",
                "may_be_told_twice",
                "mã này đã được báo trước đây cho xe này, không kèm giờ: ghi là lượt mới và đánh dấu để kiểm tra; hãy gửi kèm giờ (timestamp), hoặc mã mới cho mỗi lượt",
                "this id was told for this car before, without a time: recorded as a new passage, and shown to be checked; send the time (timestamp), or a new id for each passage",
            ));
        } else if !before.is_empty() {
            report.notes.push(Note::new(
                "event_id",
                "id_reused",
                "mã này đã dùng cho một lượt khác (khác biển số hoặc khác giờ): ghi là lượt mới; mỗi lượt nên có mã riêng",
                "this id was used for another passage (another plate or time): recorded as a new one; give each passage its own id",
            ));
        }
        Ok(())
    }

    /// What is said of a report that is taken for one sent again by its id alone, long after the first.
    fn note_of_repeat(&mut self, report: &Report) -> Result<Option<Note>, S::Error> {
        let Some(id) = report.request_id.as_deref() else { return Ok(None) };
        let before = self.events_of_request(&report.edge_id, id, Hlc::next(self.now.wall_ms, None))?;
        let is_told = |event: &Event| report.told_ms.is_some() && event.told_ms().is_some();
        let age_ms = |event: &Event| self.now.wall_ms.saturating_sub(event.timestamp_ms);
        let by_id_alone = before.iter().any(|event| !is_told(event) && age_ms(event) > PASSAGE_WINDOW_MS);
        Ok(by_id_alone.then(|| {
            Note::new(
                "event_id",
                "sent_again",
                "mã này đã được báo trước đây: coi là gửi lại, không ghi thêm; nếu là lượt mới, hãy gửi mã mới hoặc kèm giờ (timestamp)",
                "this id was told before: taken for the same passage, nothing is added; if it is a new one, send a new id, or the time (timestamp)",
            )
        }))
    }

    /// The open stay this entry was told of before: by its own id, which an edge of a predecessor made, or at the same gate a
    /// moment ago.
    fn entered_before(&mut self, report: &Report, moment: &Moment) -> Result<Option<Passed>, Stop<S::Error>> {
        if let Some(id) = report.request_id.as_deref()
            && let Some(stored) = self.read()?.stay(id)?
            && stored.row.plate_id == report.plate
            && !told_apart(report.told_ms, Some(stored.row.entry_ms))
        {
            return Ok(Some(self.passed(Direction::Entry, id.to_owned(), Vnd(0), String::new(), true)?));
        }
        let Some(open) = self.inside(&report.plate) else { return Ok(None) };
        let same_gate = open.place.central == self.context.central.as_str()
            && self.lanes.is_one(&open.place.edge_id, &report.edge_id);
        // By the clock that stamped both, or by that of their receipt. A gate that was cut off tells days at once: what it says
        // happened at another time is another visit.
        let stamps_apart_ms = moment.ms.abs_diff(open.entry_ms);
        let apart_ms = stamps_apart_ms.min(self.now.wall_ms.abs_diff(open.committed_ms));
        let other_time = moment.reported.is_some() && stamps_apart_ms > PASSAGE_WINDOW_MS.unsigned_abs();
        if !same_gate || other_time || apart_ms >= REPEAT_WINDOW_MS.unsigned_abs() {
            return Ok(None);
        }
        let event_id = open.stay_id(&report.plate);
        Ok(Some(self.passed(Direction::Entry, event_id, Vnd(0), String::new(), true)?))
    }

    /// The exit that this one tells again: the car left a moment ago, and is not inside again. Within some seconds, or with the
    /// very time of the first, it is the same message; later it is written down, shown, and not counted (see
    /// [`PASSAGE_WINDOW_MS`]).
    fn left_before(&mut self, report: &mut Report, moment: &Moment) -> Result<Option<Passed>, Stop<S::Error>> {
        if self.inside(&report.plate).is_some_and(|open| open.entry_ms <= moment.ms) {
            return Ok(None);
        }
        let greatest = self.read()?.greatest_hlc_of_plate(&report.plate)?;
        if greatest.is_none_or(|greatest| greatest.ms() < moment.ms.saturating_sub(PASSAGE_WINDOW_MS)) {
            return Ok(None);
        }
        let rows = self.latest_stays(&report.plate, STAYS_LOOKED_AT)?;
        let apart_ms = |row: &StayRow| {
            let exit = row.exit.as_ref().filter(|_| row.status == StayStatus::Out)?;
            Some(moment.ms.abs_diff(exit.exit_ms)).filter(|apart| *apart <= PASSAGE_WINDOW_MS.unsigned_abs())
        };
        // Told later than an entry it cannot be of the stay before that, but by the clock of another gate.
        let left = rows.iter().map(|stored| &stored.row).filter_map(|row| Some((apart_ms(row)?, row)));
        let Some((apart_ms, row)) = left.min_by_key(|(apart_ms, row)| (*apart_ms, row.last_hlc)) else {
            return Ok(None);
        };
        let Some(exit) = row.exit.clone() else { return Ok(None) };
        let event_id = row.stay_id.clone();
        if report.beside.paid.is_some() {
            report.notes.push(unpaid("data.paid", "recorded_before"));
        }
        // Nobody works out the fee of a car without an entry: what a gate took is counted.
        let more = report.fee.is_some_and(|fee| row.is_exit_alone() && row.collected == Vnd(0) && fee > Vnd(0));
        let differs = report.fee.is_some_and(|fee| fee > exit.fee);
        let counted = if more { report.fee.unwrap_or_default() } else { exit.fee };
        if let Some(told) = report.fee.filter(|told| *told != counted) {
            if row.is_exit_alone() {
                report.doubts.insert(Anomaly::FeeUncertain);
            }
            report.notes.push(counted_once("data.fee", counted, told));
        }
        let is_other = differs || apart_ms >= REPEAT_WINDOW_MS.unsigned_abs();
        let is_often = is_other && !more && self.is_told_again_often(&exit.fact)?;
        if is_often {
            report.notes.push(told_often());
        }
        if more || is_other && !is_often {
            // Of two exits that name no stay the one with the money counts, whoever tells them.
            let own_id = if more { self.new_stay_id(&report.plate)? } else { event_id.clone() };
            let told = SaidOfExit {
                stay: Some((!more).then(|| event_id.clone())),
                due: taken(Some(counted)),
                told_fee: report.fee.filter(|fee| !more && *fee != exit.fee),
                duration: exit.duration.clone(),
            };
            self.tell_exit(report, moment, Some(row.last_hlc), &own_id, told)?;
        }
        Ok(Some(self.passed(Direction::Exit, event_id, counted, exit.duration, true)?))
    }

    fn is_told_again_often(&mut self, exit: &FactId) -> Result<bool, S::Error> {
        let Some(key) = loose_key(&Link::Fact(exit.clone())) else { return Ok(false) };
        Ok(self.read()?.loose_facts(&key, EVER)?.len() >= MOST_TOLD_AGAIN)
    }

    /// The open stay of a car that was told to come in very often meanwhile.
    fn entered_often(&mut self, report: &mut Report, moment: &Moment) -> Result<Option<Passed>, S::Error> {
        let Some(open) = self.inside(&report.plate) else { return Ok(None) };
        let (stay_id, entry_ms) = (open.stay_id(&report.plate), open.entry_ms);
        // What comes before the open stay takes its place, and the same entries go up in it.
        let since_ms = if entry_ms <= moment.ms { entry_ms.max(moment.ms - OFTEN_MS) } else { moment.ms };
        let since = Hlc::new(since_ms).unwrap_or_default();
        let again = self.read()?.begun_since(&report.plate, since, MOST_ENTERED_AGAIN + 1)?;
        let rows = again.iter().map(|stored| &stored.row);
        let again: Vec<&StayRow> = rows.filter(|row| row.superseded_by.as_ref() == Some(&stay_id)).collect();
        let here = (self.context.central.as_str(), report.edge_id.as_str());
        let of_gate = again.iter().filter(|row| (row.source_central.as_str(), row.edge_id.as_str()) == here).count();
        if of_gate < MOST_TOLD_AGAIN && again.len() < MOST_ENTERED_AGAIN {
            return Ok(None);
        }
        report.notes.push(told_often());
        Ok(Some(self.passed(Direction::Entry, stay_id, Vnd(0), String::new(), true)?))
    }

    fn report_entry(&mut self, report: &mut Report, moment: &Moment) -> Result<Passed, Stop<S::Error>> {
        if let Some(passed) = self.entered_often(report, moment)? {
            return Ok(passed);
        }
        if let Some(open) = self.inside(&report.plate).filter(|open| open.entry_ms <= moment.ms) {
            report.notes.push(entered_again(open, &report.camera_type, &self.context.zone));
        }
        if let Some(told) = report.fee {
            report.doubts.insert(Anomaly::FeeUncertain);
            report.notes.push(not_counted("data.fee", told));
        }
        if report.seen_inside {
            report.notes.push(Note::new(
                "type",
                "not_seen_coming",
                "không ai thấy xe này vào: ghi vào lúc được thấy trong bãi, hãy kiểm tra",
                "nobody saw this car come in: recorded as of when it was seen inside, check it",
            ));
        }
        let event_id = self.new_stay_id(&report.plate)?;
        let entry = Entry {
            plate_id: report.plate.clone(),
            plate_view: report.plate_view.clone().unwrap_or_else(|| plate::view(&report.plate)),
            edge_id: report.edge_id.clone(),
            camera_type: report.camera_type.clone(),
            direction: "ENTRY".into(),
            entry_time: self.context.zone.local_text(moment.ms),
            confidence: report.confidence,
            request_id: report.request_id.clone(),
            force: false,
            reason: None,
            replaces: None,
            reported: moment.reported,
            told: true,
            told_fee: report.fee,
            card_id: report.beside.card_id.clone(),
            images: report.beside.images.clone(),
            doubts: names(&report.doubts),
        };
        let draft = self.draft_at(report, moment, None, &event_id, Body::Entry(entry))?;
        self.author(draft)?;
        report.notes.extend(report.beside.paid.iter().map(|_| unpaid("data.paid", "only_at_exit")));
        let passed = self.passed(Direction::Entry, event_id, Vnd(0), String::new(), false)?;
        let row = passed.stay.as_ref().map(|stored| &stored.row);
        report.notes.extend(row.and_then(|row| self.left_before_told(row)));
        Ok(passed)
    }

    /// What is said of an entry whose exit was told before it.
    fn left_before_told(&self, row: &StayRow) -> Option<Note> {
        let (zone, exit) = (&self.context.zone, row.exit.as_ref()?);
        let (due, left) = (self.settings().due(row, zone, self.now.wall_ms)?, zone.local_text(exit.exit_ms));
        let taken = exit.fee;
        Some(Note::new(
            "data.fee",
            "left_before",
            format!("xe này đã được báo ra lúc {left}; phí đúng ra là {} đ, đã ghi thu {} đ", due.vi(), taken.vi()),
            format!(
                "this car was told to leave at {left}; {} VND were due for it, and {} are recorded",
                due.en(),
                taken.en()
            ),
        ))
    }

    fn report_exit(&mut self, report: &mut Report, moment: &Moment) -> Result<Passed, Stop<S::Error>> {
        let left = self.stay_at(report, moment.ms)?;
        let (event_id, stay) = match &left {
            Some(left) => (left.row.stay_id.clone(), None),
            None => (self.new_stay_id(&report.plate)?, Some(None)),
        };
        let duration = duration_text(left.as_ref().map_or(0, |left| moment.ms.saturating_sub(left.entry_ms)));
        let mut charge = match &left {
            Some(left) => {
                let ending = self.ending(&left.row, left.entry_ms, moment.ms, &report.camera_type)?;
                report.notes.extend(ending.notes);
                if ending.is_uncertain {
                    report.doubts.insert(Anomaly::FeeUncertain);
                }
                ending.charge
            }
            None => taken(report.fee.or(report.beside.amount_at(Direction::Exit))),
        };
        if report.beside.lost_card && left.is_some() {
            report.notes.extend(self.charge_lost_card(&mut charge, "data.lost_card", moment.ms));
        }
        let told_fee = report.fee.filter(|told| *told != charge.fee);
        if let Some(told) = told_fee {
            report.doubts.insert(Anomaly::FeeUncertain);
            report.notes.push(Note::new(
                "data.fee",
                "worked_out",
                format!("cổng báo đã thu {} đ; phí tính ra và được ghi là {} đ", told.vi(), charge.fee.vi()),
                format!(
                    "the gate says it took {} VND; what is due, and recorded, is {} VND",
                    told.en(),
                    charge.fee.en()
                ),
            ));
        }
        let told = SaidOfExit { stay, due: charge, told_fee, duration: duration.clone() };
        let fee = self.tell_exit(report, moment, left.as_ref().map(|left| left.row.last_hlc), &event_id, told)?;
        Ok(self.passed(Direction::Exit, event_id, fee, duration, false)?)
    }

    fn tell_exit(
        &mut self,
        report: &mut Report,
        moment: &Moment,
        stay_hlc: Option<Hlc>,
        event_id: &str,
        told: SaidOfExit,
    ) -> Result<Vnd, Stop<S::Error>> {
        let SaidOfExit { stay, due, told_fee, duration } = told;
        let Settled { charge: due, paid, doubt } =
            settled(due, report.beside.paid.as_ref(), None, "data.paid", &mut report.notes);
        report.doubts.extend(doubt);
        let fee = due.fee;
        // Without a stay no entry says how its plate is shown.
        let of_plate = stay.is_some().then(|| plate::view(&report.plate));
        let exit = Exit {
            stay,
            plate_id: Some(report.plate.clone()),
            plate_view: report.plate_view.clone().or(of_plate),
            exit_central: self.context.central.as_str().to_owned(),
            exit_edge: report.edge_id.clone(),
            exit_time: self.context.zone.local_text(moment.ms),
            fee,
            duration,
            camera_type: (!report.camera_type.is_empty()).then(|| report.camera_type.clone()),
            confidence: report.confidence,
            request_id: report.request_id.clone(),
            force: false,
            reason: None,
            requested_fee: None,
            tariff_version: due.tariff_version,
            subscription_id: due.subscription_id,
            reported: moment.reported,
            told: true,
            in_place_of_told: false,
            told_fee,
            lines: due.lines,
            paid,
            taken_by: None,
            card_id: report.beside.card_id.clone(),
            images: report.beside.images.clone(),
            doubts: names(&report.doubts),
        };
        let draft = self.draft_at(report, moment, stay_hlc, event_id, Body::Exit(exit))?;
        self.author(draft)?;
        Ok(fee)
    }

    /// The stay a car was in at a time: the open one if it had begun by then, else one that has ended since. Clocks of edges
    /// may be a minute apart without anyone noticing.
    pub(super) fn inside_at(&mut self, plate: &PlateId, at_ms: i64) -> Result<Option<StoredStay>, S::Error> {
        let skew_ms = i64::try_from(MAX_SKEW_MS).unwrap_or(i64::MAX);
        let open = self.inside(plate).filter(|open| open.entry_ms <= at_ms.saturating_add(skew_ms));
        if let Some(stay_id) = open.map(|open| open.stay_id(plate)) {
            return self.read()?.stay(&stay_id);
        }
        let was_inside = |row: &StayRow| {
            let ended_later = match (row.status, &row.exit) {
                (StayStatus::Out, Some(exit)) => exit.exit_ms > at_ms,
                (status, None) => status == StayStatus::LeftUnseen,
                _ => false,
            };
            row.entry_ms <= at_ms && ended_later && !row.is_exit_alone()
        };
        let rows = self.latest_stays(plate, STAYS_LOOKED_AT)?;
        let inside_then = rows.into_iter().filter(|stored| was_inside(&stored.row));
        Ok(inside_then.max_by_key(|stored| (stored.row.entry_ms, stored.row.last_hlc)))
    }

    /// As [`Self::inside_at`], for an exit that is told; what is further from it is said.
    fn stay_at(&mut self, report: &mut Report, at_ms: i64) -> Result<Option<LeftStay>, S::Error> {
        if let Some(then) = self.inside_at(&report.plate, at_ms)?.filter(|then| then.row.entry_ms <= at_ms) {
            return Ok(Some(LeftStay::of(then)));
        }
        let open = self.inside(&report.plate).map(|open| (open.entry_ms, open.stay_id(&report.plate)));
        let Some((entry_ms, stay_id)) = open else { return Ok(None) };
        let came = self.context.zone.local_text(entry_ms);
        let Some(stored) = self.read()?.stay(&stay_id)? else { return Ok(None) };
        let entry = component::fact_of(self.read()?, &stored.row.entry_fact)?;
        // Of a pair that comes days late the entry can be too old to be used, and the exit not.
        let told_ms = entry.and_then(|entry| entry.event.told_ms()).filter(|told_ms| *told_ms <= at_ms);
        let (left, vi, en) = if let Some(told_ms) = told_ms {
            let told = self.context.zone.local_text(told_ms);
            (
                Some(LeftStay { entry_ms: told_ms, row: stored.row }),
                format!("lượt vào được báo lúc {told} nhưng ghi lúc {came}: phí tính từ giờ được báo"),
                format!(
                    "the entry was told to be at {told}, and is recorded at {came}: the fee is since the time told"
                ),
            )
        } else if entry_ms.saturating_sub(at_ms) <= PASSAGE_WINDOW_MS {
            (
                Some(LeftStay::of(stored)),
                format!("giờ ra sớm hơn giờ vào {came}: coi là lượt ra của lượt này; hãy chỉnh giờ máy ở cổng"),
                format!(
                    "the exit is told to be before the entry at {came}: taken for the exit of that stay; set the clock of the gate"
                ),
            )
        } else if entry_ms.saturating_sub(self.now.wall_ms) > PASSAGE_WINDOW_MS {
            // It came in by a clock that was ahead, and was set right since.
            (
                Some(LeftStay::of(stored)),
                format!(
                    "lượt vào ghi lúc {came}, là giờ chưa tới: đồng hồ lúc đó chạy nhanh; coi là lượt ra của lượt này, hãy kiểm tra phí"
                ),
                format!(
                    "the entry is recorded at {came}, which is still to come: a clock was ahead then; taken for the exit of that stay, check the fee"
                ),
            )
        } else {
            (
                None,
                format!("xe đang trong bãi nhưng vào lúc {came}, sau giờ ra này: ghi là lượt ra không có lượt vào"),
                format!(
                    "the car is inside since {came}, which is after this exit: recorded as an exit without an entry"
                ),
            )
        };
        report.doubts.insert(Anomaly::TimeUncertain);
        report.notes.push(Note::new("timestamp", "before_entry", vi, en));
        Ok(left)
    }

    fn draft_at(
        &mut self,
        report: &Report,
        moment: &Moment,
        stay_hlc: Option<Hlc>,
        event_id: &str,
        body: Body,
    ) -> Result<Draft, S::Error> {
        let hlc = match moment.hlc {
            Some(hlc) => hlc,
            None => self.next_hlc(&report.plate, stay_hlc)?,
        };
        Ok(Draft { timestamp_ms: moment.ms, ..self.draft(hlc, event_id, body) })
    }

    fn passed(
        &mut self,
        direction: Direction,
        event_id: String,
        fee: Vnd,
        duration: String,
        repeated: bool,
    ) -> Result<Passed, S::Error> {
        let stay = self.read()?.stay(&event_id)?;
        Ok(Passed { direction, event_id, stay, fee, duration, repeated, notes: Vec::new() })
    }
}

/// What is said of one passage that is told over and over.
fn told_often() -> Note {
    Note::new(
        "type",
        "told_often",
        format!(
            "lượt này của xe đã được báo lại {MOST_TOLD_AGAIN} lần: không ghi thêm nữa; hãy xem lại chương trình ở cổng"
        ),
        format!(
            "this passage of the car was told {MOST_TOLD_AGAIN} times more: nothing is added; look at the program of the gate"
        ),
    )
}

/// What is said of an entry of a car that is inside: that it may be another vehicle, or an exit was missed.
fn entered_again(open: &OpenStay, told_type: &str, zone: &SiteZone) -> Note {
    let (came, inside_as) = (zone.local_text(open.entry_ms), &open.place.camera_type);
    if vehicle::are_unlike(inside_as, told_type) {
        let (inside, told) = (words::vehicle(inside_as), words::vehicle(told_type));
        return Note::new(
            "vehicle_type",
            "other_type",
            format!(
                "trong bãi đã có {} cùng ký tự biển số, vào lúc {came}: {} này không mở lượt mới; hãy xem lại hai biển số",
                inside.vi, told.vi
            ),
            format!(
                "a {} with these characters is inside since {came}: this {} opens no stay of its own; look at both plates",
                inside.en, told.en
            ),
        );
    }
    Note::new(
        "type",
        "already_inside",
        format!(
            "xe đã ở trong bãi từ {came}: lượt vào này không mở lượt mới; nếu xe đã ra mà không ai thấy, hãy xem lại lượt đó"
        ),
        format!("the car is inside since {came}: this entry opens no stay; if it had left unseen, look at that stay"),
    )
}
