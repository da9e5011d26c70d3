//! What gates report and cannot be taken as told. A barrier has opened: it is never refused into nothing, but kept as an opening for a car
//! that could not be read, where it tells of one; else it is counted at the edge it came from. Either is logged, once a minute of an edge.

use super::access::Caller;
use super::edge_programs::Taken;
use super::edges::submit;
use super::error::ApiError;
use super::state::Worker;
use crate::access::right::Who;
use crate::access::throttle::source_of;
use crate::domain::ids::EdgeId;
use crate::gates::glimpse::Glimpse;
use crate::gates::report::GateSettings;
use crate::ledger::job::{Answer, Job, UnreadKept};
use crate::ops::offences::Offence;

/// Who sent something: the edge whose key was shown, or as it was known before (`edge_id`), or as the text names it; else the address is
/// the name.
pub(super) fn sender_of(caller: &Caller, edge_id: Option<&str>, glimpse: Option<&Glimpse>) -> String {
    match &caller.who {
        Who::Edge(edge_id) => edge_id.clone(),
        _ => edge_id
            .map(ToOwned::to_owned)
            .or_else(|| glimpse?.edge_id())
            .unwrap_or_else(|| EdgeId::near(&source_of(caller.from)).into()),
    }
}

/// Takes a text that is no report for the opening it tells of. `error`: what is wrong with it.
///
/// # Errors
/// `error`, if it tells of none: then it is noted.
pub(super) async fn take_unreadable(
    worker: &Worker,
    caller: &Caller,
    edge_id: Option<&str>,
    text: &str,
    error: ApiError,
) -> Result<Taken, ApiError> {
    let glimpse = Glimpse::of(text);
    let edge_id = sender_of(caller, edge_id, Some(&glimpse));
    let config = worker.shared.config();
    let vehicle_type = config.vehicle_type(&edge_id).to_owned();
    let gate = GateSettings { lane: config.lane(&edge_id), vehicle_type };
    let opening = glimpse.opening(&edge_id, gate, &config.site.time_zone, &error.to_string());
    let Some(opening) = opening.filter(|_| caller.check_edge(&edge_id).is_ok()) else {
        note_refused(worker, caller, Some(&edge_id), &error);
        return Err(error);
    };
    match submit(worker, caller, None, |_| Ok(Job::Unread(opening))).await? {
        Answer::Unread(kept) => {
            note_unread(worker, &edge_id, &kept);
            Ok(Taken::from(*kept))
        }
        _ => Err(ApiError::internal()),
    }
}

/// A report that is refused leaves a trace: in the log, at a bounded rate, and at the edge it came from, or at the address where no edge
/// is known.
pub(super) fn note_refused(worker: &Worker, caller: &Caller, edge_id: Option<&str>, error: &ApiError) {
    if !error.is_refusal() {
        return;
    }
    let edge = sender_of(caller, edge_id, None);
    if let Some(suppressed) = worker.shared.offences.count(Offence::RefusedReport, &edge) {
        let from = source_of(caller.from);
        log::warn!(
            event = "report_refused", edge = edge.as_str(), from = from.as_str(), code = error.code(), reason = error.to_string().as_str(),
            suppressed = suppressed;
            "a report of a gate is refused"
        );
    }
    worker.shared.roster.heard(&edge, worker.shared.clock.now_ms(), |edge| edge.events_refused += 1);
}

/// So does an opening for a car that could not be read, the first time it is told.
pub(super) fn note_unread(worker: &Worker, edge_id: &str, kept: &UnreadKept) {
    if kept.repeated {
        return;
    }
    if let Some(suppressed) = worker.shared.offences.count(Offence::UnreadPlate, edge_id) {
        let reason = kept.notes.iter().find(|note| ["unread", "not_read"].contains(&note.code));
        log::warn!(
            event = "opening_unread", edge = edge_id, direction = kept.direction.name(),
            reason = reason.map(|note| note.message.as_str()).unwrap_or_default(), suppressed = suppressed;
            "a gate opened for a car whose plate could not be read"
        );
    }
    worker.shared.roster.heard(edge_id, worker.shared.clock.now_ms(), |edge| edge.events_refused += 1);
}
