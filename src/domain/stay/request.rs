//! When two events answer one request: an edge that heard no answer asks again, perhaps at another central.

use super::super::event::{Body, Event};
use super::super::money::Vnd;
use super::super::plate::PlateId;
use super::repeats::PASSAGE_WINDOW_MS;

/// How far apart, in ms of their clocks, two events can be and still be one request: 7 days, as long as an edge's request id
/// is remembered.
pub const REQUEST_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// What must be equal for two events to be one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RequestKey<'a> {
    edge_id: &'a str,
    request_id: &'a str,
    is_exit: bool,
    plate: Option<&'a PlateId>,
    force: bool,
    requested_fee: Option<Vnd>,
}

impl<'a> RequestKey<'a> {
    /// `None`: the event is no ENTRY or EXIT, or carries no request id.
    pub(super) fn of(event: &'a Event) -> Option<Self> {
        let (edge_id, request_id) = event.request()?;
        let (is_exit, force, requested_fee) = match &event.body {
            Body::Entry(entry) => (false, entry.force, None),
            Body::Exit(exit) => (true, exit.force, exit.requested_fee),
            _ => return None,
        };
        Some(Self { edge_id, request_id, is_exit, plate: event.recorded_plate(), force, requested_fee })
    }

    /// Equal for equal keys alone.
    pub(super) fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// True if both events answer one request: same edge, request id, plate, direction, force and requested fee, their clocks are
/// at most [`REQUEST_WINDOW_MS`] apart, and the times told with them do not say otherwise. Of more than two the first opens
/// the window.
///
/// The plate is the recorded one, so an author records the plate that was asked for, not the corrected one.
#[must_use]
pub fn same_request(a: &Event, b: &Event) -> bool {
    let within_window = a.hlc.ms().abs_diff(b.hlc.ms()) <= REQUEST_WINDOW_MS.unsigned_abs();
    within_window
        && !told_apart(a.told_ms(), b.told_ms())
        && RequestKey::of(a).is_some_and(|key| RequestKey::of(b) == Some(key))
}

/// Whether the times told with two reports say that they are of two passages. Cameras count their events anew each day, so that
/// one id alone may come back tomorrow; what is sent again has the time of the first, or is stamped anew a moment later.
#[must_use]
pub fn told_apart(a_ms: Option<i64>, b_ms: Option<i64>) -> bool {
    a_ms.zip(b_ms).is_some_and(|(a_ms, b_ms)| a_ms.abs_diff(b_ms) > PASSAGE_WINDOW_MS.unsigned_abs())
}
