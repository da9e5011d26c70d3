//! What is logged at a bounded rate, however often it happens.
//!
//! [`Offences`]: what others sent that could not be taken is counted each time and logged now and then, so that whoever sends
//! garbage neither fills the disk nor hides the lines that matter. Of one kind from one source one line a minute is written, with
//! how many were left out since the one before. Sources are remembered up to a bound; beyond it all others share one entry per kind.
//!
//! [`SaidOnce`]: what repeats every few seconds while a state lasts is logged when it begins, now and then while it lasts, and anew
//! after it was over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::warn;

use super::metrics::{Metrics, OffenceLabel};
use crate::domain::named::named;

/// Between two lines of one kind from one source.
const PERIOD: Duration = Duration::from_secs(60);
/// That somebody was turned away is shown for so long.
const SHOWN_FOR: Duration = Duration::from_secs(10 * 60);
/// Kinds and sources remembered at a time.
const MOST: usize = 64;
/// The source of all that came after these.
const OTHERS: &str = "others";

named! {
    /// What was wrong. Its name is the label `kind` in the log and in the metrics.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Offence {
        /// No TLS handshake came about: another version, no certificate, no TLS at all.
        TlsHandshake = "tls_handshake",
        /// The bytes of a request are not HTTP/1.1.
        Http = "http",
        /// More connections at once than one address may have.
        TooManyConnections = "too_many_connections",
        /// All connections that others than known addresses may have were taken.
        NoConnectionLeft = "no_connection_left",
        /// More requests than a second allows: answered 429.
        TooManyRequests = "too_many_requests",
        /// More bytes of bodies or answers, or more requests, at once than there is room for: answered 503.
        TooMuchAtOnce = "too_much_at_once",
        /// More WebSocket frames than a second allows.
        TooManyFrames = "too_many_frames",
        /// A WebSocket frame that announces more bytes than it may have.
        FrameTooLong = "frame_too_long",
        /// Bytes that are no WebSocket frame, or one of a kind that is not spoken there.
        MalformedFrame = "malformed_frame",
        /// Texts that cannot be read, one after the other.
        UnreadableTexts = "unreadable_texts",
        /// A report of a gate that is no event. Logged as `report_refused`.
        RefusedReport = "refused_report",
        /// An opening for a car that could not be read. Logged as `opening_unread`.
        UnreadPlate = "unread_plate",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Silence {
    since: Instant,
    suppressed: u64,
}

/// The one place that counts and logs them.
pub struct Offences {
    metrics: Arc<Metrics>,
    silences: Mutex<HashMap<(Offence, String), Silence>>,
    /// When somebody was last turned away because nothing was left.
    full_at: Mutex<Option<Instant>>,
}

impl fmt::Debug for Offences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offences")
    }
}

impl Offences {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, silences: Mutex::default(), full_at: Mutex::default() })
    }

    /// Counts it, and logs it unless that was done within the last minute. `at`: the server or socket. `source`: the address, or
    /// the network of an IPv6 address.
    pub fn note(&self, what: Offence, at: &str, source: &str, reason: &str) {
        self.note_with(what, at, source, || reason.to_owned());
    }

    /// As [`Self::note`], for a reason that takes time to find.
    pub fn note_with(&self, what: Offence, at: &str, source: &str, reason: impl FnOnce() -> String) {
        if what == Offence::NoConnectionLeft {
            *self.full_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        if let Some(suppressed) = self.count(what, source) {
            log_one(what, at, source, &reason(), suppressed);
        }
    }

    /// Somebody was turned away lately because no connection was left.
    pub fn was_full(&self) -> bool {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < SHOWN_FOR)
    }

    /// Counts it. How many lines were left out before the one that is to be written now; `None`: this one is left out too.
    pub fn count(&self, what: Offence, source: &str) -> Option<u64> {
        self.metrics.offences.get_or_create(&OffenceLabel { kind: what.name() }).inc();
        self.count_at(what, source, Instant::now())
    }

    /// Says how many lines were left out where nothing came for a minute, and forgets those sources.
    pub fn sweep(&self) {
        for ((what, source), suppressed) in self.over(Instant::now()) {
            log_one(what, "", &source, "the same again", suppressed);
        }
    }

    fn count_at(&self, what: Offence, source: &str, now: Instant) -> Option<u64> {
        let mut silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let known = silences.contains_key(&(what, source.to_owned()));
        let source = if known || silences.len() < MOST { source } else { OTHERS };
        let first = Silence { since: now, suppressed: 0 };
        match silences.get_mut(&(what, source.to_owned())) {
            None => {
                silences.insert((what, source.to_owned()), first);
                Some(0)
            }
            Some(silence) if now.duration_since(silence.since) >= PERIOD => {
                Some(std::mem::replace(silence, first).suppressed)
            }
            Some(silence) => {
                silence.suppressed = silence.suppressed.saturating_add(1);
                None
            }
        }
    }

    fn over(&self, now: Instant) -> Vec<((Offence, String), u64)> {
        let mut silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let over = silences.extract_if(|_, silence| now.duration_since(silence.since) >= PERIOD);
        over.map(|(key, silence)| (key, silence.suppressed)).filter(|(_, suppressed)| *suppressed > 0).collect()
    }
}

fn log_one(what: Offence, at: &str, source: &str, reason: &str, suppressed: u64) {
    warn!(
        event = "input_refused", kind = what.name(), at = at, from = source, reason = reason, suppressed = suppressed;
        "what came from there cannot be taken"
    );
}

/// A state that lasts is said again this often.
const REMIND: Duration = Duration::from_secs(10 * 60);
/// Strangers choose what is said about them; beyond this many different things all are forgotten, which only says some again.
const MOST_SAID: usize = 256;

/// What was said, by whom or what it is about.
#[derive(Debug, Default)]
pub struct SaidOnce {
    last: HashMap<(String, String), Instant>,
}

impl SaidOnce {
    /// Whether this is to be said now; from then on it was.
    pub fn is_news(&mut self, about: &str, what: &str, now: Instant) -> bool {
        let key = (about.to_owned(), what.to_owned());
        if self.last.get(&key).is_some_and(|last| now.duration_since(*last) < REMIND) {
            return false;
        }
        if self.last.len() >= MOST_SAID {
            self.last.clear();
        }
        self.last.insert(key, now);
        true
    }

    /// What was said about it is over: it is news again when it comes back.
    pub fn is_over(&mut self, about: &str) {
        self.last.retain(|(known, _), _| known != about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offences() -> Arc<Offences> {
        Offences::new(Metrics::new())
    }

    #[test]
    fn of_a_flood_one_line_a_minute_is_written_and_says_how_many_were_left_out() {
        let (offences, start) = (offences(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let count = |what, source, seconds| offences.count_at(what, source, at(seconds));
        assert_eq!(count(Offence::Http, "10.0.0.1", 0), Some(0));
        for second in 0..59 {
            assert_eq!(count(Offence::Http, "10.0.0.1", second), None);
        }
        assert_eq!(count(Offence::Http, "10.0.0.2", 1), Some(0), "another source");
        assert_eq!(count(Offence::TlsHandshake, "10.0.0.1", 1), Some(0), "another kind");
        assert_eq!(count(Offence::Http, "10.0.0.1", 60), Some(59));
        assert_eq!(count(Offence::Http, "10.0.0.1", 61), None);
        assert_eq!(offences.over(at(119)).len(), 0);
        assert_eq!(offences.over(at(120)), [((Offence::Http, "10.0.0.1".to_owned()), 1)], "what was left out is told");
        assert!(offences.silences.lock().unwrap().is_empty(), "and forgotten");
    }

    #[test]
    fn ever_new_sources_write_a_bounded_number_of_lines_and_are_all_counted() {
        let (offences, now) = (offences(), Instant::now());
        let lines =
            (0..10_000).filter(|number| offences.count_at(Offence::Http, &number.to_string(), now).is_some()).count();
        assert_eq!(lines, MOST + 1);
        for number in 0..10 {
            offences.note(Offence::TooManyFrames, "api", &number.to_string(), "");
        }
        let text = offences.metrics.render().unwrap();
        assert!(text.contains("parkmesh_input_refused_total{kind=\"too_many_frames\"} 10"), "{text}");
    }

    #[test]
    fn a_state_is_said_when_it_begins_changes_returns_and_every_ten_minutes() {
        let mut said = SaidOnce::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(said.is_news("central-2", "refused", at(0)));
        assert!(!said.is_news("central-2", "refused", at(3)));
        assert!(said.is_news("central-2", "refused for another reason", at(4)));
        assert!(said.is_news("central-3", "refused", at(4)));
        assert!(!said.is_news("central-2", "refused", at(599)));
        assert!(said.is_news("central-2", "refused", at(600)));
        said.is_over("central-2");
        assert!(said.is_news("central-2", "refused", at(601)));
        assert!(!said.is_news("central-3", "refused", at(602)), "of another nothing is over");
    }

    #[test]
    fn whoever_says_ever_new_things_does_not_fill_the_memory() {
        let mut said = SaidOnce::default();
        for number in 0..10_000 {
            assert!(said.is_news("stranger", &number.to_string(), Instant::now()));
            assert!(said.last.len() <= MOST_SAID);
        }
    }
}
