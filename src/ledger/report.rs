//! What edge programs report after the fact: the barrier has opened, the car is in or out. Nothing here is refused for the
//! state of the lot; what does not fit is kept as the anomaly it is.

use crate::domain::direction::Direction;
use crate::domain::event::{Body, Draft, Entry, Exit, Reported};
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::plate;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::MAX_SKEW_MS;
use crate::domain::time::duration_text;

use super::job::{Answer, CorrectStay, OpenBarrier, Passed, Refusal, Report, ReportChange, VoidStay};
use super::storage::{Storage, StoredStay};
use super::transaction::{Stop, Transaction};

/// An edge's own time is believed if it is at most this long before the report arrived, in ms: an edge keeps what it could
/// not send. Longer ago or in the future its clock is wrong.
const BELIEVED_MS: i64 = 24 * 60 * 60 * 1_000;

/// A car comes and goes less often than this in the time that is believed.
const STAYS_LOOKED_AT: usize = 32;

/// When a reported event happened.
struct Moment {
    ms: i64,
    /// Its clock. `None`: as of any event that happens now.
    hlc: Option<Hlc>,
    reported: Option<Reported>,
}

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn report(&mut self, report: &Report) -> Result<Answer, Stop<S::Error>> {
        let moment = self.moment_of(report.told_ms);
        if let Some(passed) = self.reported_before(report, &moment)? {
            return Ok(Answer::Reported(Box::new(passed)));
        }
        let passed = match report.direction {
            Direction::Entry => self.report_entry(report, &moment)?,
            Direction::Exit => self.report_exit(report, &moment)?,
        };
        Ok(Answer::Reported(Box::new(passed)))
    }

    /// A correction or removal that was made at the edge: the same as one made here.
    pub(super) fn report_change(&mut self, change: ReportChange) -> Result<Answer, Stop<S::Error>> {
        let stay_id = self.stay_reported_as(&change.edge_id, &change.event_id)?;
        let (reason, by) = (format!("ở cổng {0} / at edge {0}", change.edge_id), Some(change.edge_id));
        let changed = match change.corrected {
            Some((plate, plate_view)) => {
                let request = CorrectStay { stay_id: stay_id.clone(), plate: Some(plate), plate_view, reason, by };
                self.correct(&request)
            }
            None => self.void(&VoidStay { stay_id: stay_id.clone(), reason, by }),
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

    fn moment_of(&self, told_ms: Option<i64>) -> Moment {
        let received_ms = self.now.wall_ms;
        let believed = told_ms.filter(|told| (received_ms - BELIEVED_MS..received_ms).contains(told));
        Moment {
            ms: believed.unwrap_or(received_ms),
            hlc: believed.and_then(|told| Hlc::new(told).ok()),
            reported: told_ms.map(|told_ms| Reported { told_ms, received_ms }),
        }
    }

    /// What came of the same report before: the same id of the same edge; without an id, the same car at the same edge a
    /// moment ago. What a camera inside the lot sees of a car that is inside is nothing new either.
    fn reported_before(&mut self, report: &Report, moment: &Moment) -> Result<Option<Passed>, Stop<S::Error>> {
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
        };
        let answered = match self.answer_of_request(&as_request, moment.hlc) {
            // An edge that uses an id for two things still saw two things.
            Err(Stop::Refused(Refusal::RequestIdReused)) => None,
            Ok(None) if report.request_id.is_none() => self.answer_of_same_press(&as_request)?,
            answered => answered?,
        };
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

    fn report_entry(&mut self, report: &Report, moment: &Moment) -> Result<Passed, Stop<S::Error>> {
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
        };
        let draft = self.draft_at(report, moment, None, &event_id, Body::Entry(entry))?;
        self.author(draft)?;
        Ok(self.passed(Direction::Entry, event_id, Vnd(0), String::new(), false)?)
    }

    fn report_exit(&mut self, report: &Report, moment: &Moment) -> Result<Passed, Stop<S::Error>> {
        let left = self.stay_at(report, moment.ms)?.map(|stored| stored.row);
        let (event_id, stay) = match &left {
            Some(row) => (row.stay_id.clone(), None),
            None => (self.new_stay_id(&report.plate)?, Some(None)),
        };
        let duration = duration_text(left.as_ref().map_or(0, |row| moment.ms.saturating_sub(row.entry_ms)));
        let (fee, tariff_version, subscription_id) = match &left {
            Some(row) => self.charge(row, moment.ms),
            None => (report.fee.unwrap_or(Vnd(0)), None, None),
        };
        let exit = Exit {
            stay,
            plate_id: Some(report.plate.clone()),
            plate_view: report.plate_view.clone(),
            exit_central: self.context.central.as_str().to_owned(),
            exit_edge: report.edge_id.clone(),
            exit_time: self.context.zone.local_text(moment.ms),
            fee,
            duration: duration.clone(),
            camera_type: (!report.camera_type.is_empty()).then(|| report.camera_type.clone()),
            confidence: report.confidence,
            request_id: report.request_id.clone(),
            force: false,
            reason: None,
            requested_fee: None,
            tariff_version,
            subscription_id,
            reported: moment.reported,
        };
        let stay_hlc = left.as_ref().map(|row| row.last_hlc);
        let draft = self.draft_at(report, moment, stay_hlc, &event_id, Body::Exit(exit))?;
        self.author(draft)?;
        Ok(self.passed(Direction::Exit, event_id, fee, duration, false)?)
    }

    /// The stay a car was in at a time: the open one if it had begun by then, else one that has ended since. Clocks of edges
    /// may be a minute apart without anyone noticing.
    fn stay_at(&mut self, report: &Report, at_ms: i64) -> Result<Option<StoredStay>, S::Error> {
        let skew_ms = i64::try_from(MAX_SKEW_MS).unwrap_or(i64::MAX);
        if let Some(open) = self.inside(&report.plate)
            && open.entry_ms <= at_ms.saturating_add(skew_ms)
        {
            let stay_id = open.stay_id(&report.plate);
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
        let rows = self.latest_stays(&report.plate, STAYS_LOOKED_AT)?;
        let inside_then = rows.into_iter().filter(|stored| was_inside(&stored.row));
        Ok(inside_then.max_by_key(|stored| (stored.row.entry_ms, stored.row.last_hlc)))
    }

    /// The fee of leaving at a time, the version of the tariff, and the subscription that paid.
    fn charge(&self, row: &StayRow, at_ms: i64) -> (Vnd, Option<String>, Option<String>) {
        let settings = self.settings();
        let zone = &self.context.zone;
        let (tariff, version) = settings.tariff();
        if let Some(id) = settings.active_subscription(&row.plate_id, &zone.day(at_ms)) {
            return (Vnd(0), version, Some(id.to_owned()));
        }
        (tariff.fee(&row.camera_type, row.entry_ms, at_ms, zone).min(Vnd::MAX_FEE), version, None)
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
        Ok(Passed { direction, event_id, stay, fee, duration, repeated })
    }
}
