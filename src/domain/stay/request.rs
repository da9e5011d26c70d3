//! When two events answer one request: an edge that heard no answer asks again, perhaps at another central.

use super::super::event::{Body, Event, opening_read};
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
        let plate = event.recorded_plate();
        let (is_exit, plate, force, requested_fee) = match &event.body {
            // Whosever car two people in a cut say it was, and whatever was taken: it came in or left once.
            Body::Entry(_) if opening_read(request_id).is_some() => (false, None, false, None),
            Body::Entry(entry) => (false, plate, entry.force, None),
            Body::Exit(exit) if exit.says_again().is_some() => (true, None, false, None),
            Body::Exit(exit) => (true, plate, exit.force, exit.requested_fee),
            _ => return None,
        };
        Some(Self { edge_id, request_id, is_exit, plate, force, requested_fee })
    }

    /// Equal for equal keys alone.
    pub(super) fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// How far apart, in ms, two reports of programs under one id can come and still be one that was sent again, where not both tell a time: 30 minutes. What heard no answer asks again within minutes; a device that counts anew comes back to an id later.
pub const RESENT_WINDOW_MS: i64 = 30 * 60 * 1_000;

/// What comes later than [`RESENT_WINDOW_MS`], and within 12 hours, may still be what was sent then. An exit of a car that is not inside is
/// taken for it, for it can tell nothing new but an exit without an entry; else a person has to look.
const LATE_RESENT_WINDOW_MS: i64 = 12 * 60 * 60 * 1_000;

/// What says of two tellings with one id whether they are of one passage.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// When it happened, as was told with it.
    pub told_ms: Option<i64>,
    /// When it came, by the clock of who wrote it down.
    pub received_ms: i64,
    /// A program told it; nobody asked for a barrier to open.
    pub by_program: bool,
}

impl Telling {
    pub fn of(event: &Event) -> Self {
        let by_program = match &event.body {
            Body::Entry(entry) => entry.told,
            Body::Exit(exit) => exit.told,
            Body::Unread(opening) => !opening.force,
            _ => false,
        };
        let received_ms = event.reported().map_or(event.timestamp_ms, |reported| reported.received_ms);
        Self { told_ms: event.told_ms(), received_ms, by_program }
    }

    /// Whether a program may have sent the other again hours later, without a time to tell the two apart by. It is for who writes it down,
    /// who knows whether the car is inside; the fold takes what was written down for another passage.
    pub fn is_resent_late(self, other: Self) -> bool {
        let is_timeless = self.told_ms.is_none() || other.told_ms.is_none();
        let apart_ms = self.received_ms.abs_diff(other.received_ms);
        is_timeless && self.by_program && other.by_program && apart_ms <= LATE_RESENT_WINDOW_MS.unsigned_abs()
    }

    /// Whether they are of two passages: by the times told, see [`told_apart`]; where those are not known, by how long what a program
    /// sends again takes.
    pub fn is_apart(self, other: Self) -> bool {
        if self.told_ms.is_some() && other.told_ms.is_some() {
            return told_apart(self.told_ms, other.told_ms);
        }
        let apart_ms = self.received_ms.abs_diff(other.received_ms);
        self.by_program && other.by_program && apart_ms > RESENT_WINDOW_MS.unsigned_abs()
    }
}

/// True if both events answer one request: same edge, request id, direction, plate, force and requested fee (the last three but for what says again what was told), their clocks are
/// at most [`REQUEST_WINDOW_MS`] apart, and they are not told to be of two passages ([`Telling::is_apart`]). Of more than two the
/// first opens the window.
///
/// The plate is the recorded one, so an author records the plate that was asked for, not the corrected one.
pub fn same_request(a: &Event, b: &Event) -> bool {
    let within_window = a.hlc.ms().abs_diff(b.hlc.ms()) <= REQUEST_WINDOW_MS.unsigned_abs();
    within_window
        && !Telling::of(a).is_apart(Telling::of(b))
        && RequestKey::of(a).is_some_and(|key| RequestKey::of(b) == Some(key))
}

/// Whether the times told with two reports say that they are of two passages. Cameras count their events anew each day, so that
/// one id alone may come back tomorrow; what is sent again has the time of the first, or is stamped anew a moment later.
pub fn told_apart(a_ms: Option<i64>, b_ms: Option<i64>) -> bool {
    a_ms.zip(b_ms).is_some_and(|(a_ms, b_ms)| a_ms.abs_diff(b_ms) > PASSAGE_WINDOW_MS.unsigned_abs())
}
