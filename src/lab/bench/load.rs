//! The closed-loop load: every edge has its own connection and does one call at a time. And [`probe`]: how long an event takes from
//! its answer at one central to being readable at another one.
//!
//! One probe at a time, and one reader: the machine is otherwise idle, so what is seen is the path and not a queue.
//! Every figure contains the last read, about one idle GET.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::report::{LoadReport, PropagationReport};
use crate::domain::direction::Direction;
use crate::lab::client::{Address, Caller, ClientError, Connection, write_request};
use crate::lab::plates::{Commuters, NumberSource, plate, view};

/// Answers of the first moments are not counted: connections open, caches fill. A tenth of the run, at most this.
const LONGEST_WARM_UP: Duration = Duration::from_secs(1);
/// How long an edge waits after an error before it calls again; a refused call would otherwise cost more than a served one.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);
/// How long after the end calls in flight may still be answered.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(10);
/// The documented call of a gate.
const BARRIER_OPEN: &str = "/api/edge/barrier/open";

/// What the edges call.
#[derive(Debug, Clone)]
pub enum Work {
    /// `barrier/open`: cars that come in and leave. The edges are spread over the centrals.
    Gates { centrals: Vec<Address>, request_ids: bool, cars: Cars },
    /// `cars` cars that come in and stay, then the run is over. The edges are spread over the centrals.
    Fill { centrals: Vec<Address>, cars: u64 },
    /// The same bodies posted to one address, whatever it does with them.
    Hello(Address),
}

/// Which cars come in and leave.
#[derive(Debug, Clone, Copy)]
pub enum Cars {
    /// So many at each central, the same ones every day.
    Commuters(u64),
    /// Each once: in, and out through the same gate.
    Once,
}

impl Work {
    fn targets(&self) -> &[Address] {
        match self {
            Self::Gates { centrals, .. } | Self::Fill { centrals, .. } => centrals,
            Self::Hello(address) => std::slice::from_ref(address),
        }
    }

    /// Who comes to each of them.
    fn traffic(&self, numbers: &mut NumberSource) -> Vec<Traffic> {
        let mut of_one = || match self {
            Self::Gates { cars: Cars::Commuters(cars), .. } => Traffic::Commuters(Commuters::new(*cars, numbers)),
            Self::Gates { .. } | Self::Hello(_) => Traffic::Once,
            Self::Fill { .. } => Traffic::Fill,
        };
        self.targets().iter().map(|_| of_one()).collect()
    }
}

/// Drives `work` with `edges` edges for `run_for`. `pace`: the time between two calls of one edge that are due; without, each
/// calls again when it was answered. `salt` tells this run from others (see [`NumberSource`]).
///
/// Must be called within a runtime of one thread.
pub async fn drive(work: &Work, edges: u16, pace: Option<Duration>, run_for: Duration, salt: u64) -> LoadReport {
    let start = Instant::now();
    let warm_up = if matches!(work, Work::Fill { .. }) { Duration::ZERO } else { LONGEST_WARM_UP.min(run_for / 10) };
    let count_from = start + warm_up;
    let end = start + run_for;
    let mut numbers = NumberSource::new(salt);
    let shared = Rc::new(Shared {
        report: RefCell::new(LoadReport { edges, measured: end - count_from, ..LoadReport::default() }),
        traffic: RefCell::new(work.traffic(&mut numbers)),
        numbers: RefCell::new(numbers),
        cars: Cell::new(if let Work::Fill { cars, .. } = work { *cars } else { u64::MAX }),
        count_from,
        end,
    });
    let local = LocalSet::new();
    for number in 0..usize::from(edges) {
        let targets = work.targets();
        let Some(central) = number.checked_rem(targets.len()) else { continue };
        let Some(address) = targets.get(central).cloned() else { continue };
        let task = EdgeTask {
            address,
            central,
            name: format!("bench-{salt:x}-{number}"),
            request_ids: matches!(work, Work::Gates { request_ids: true, .. }),
            hello: matches!(work, Work::Hello(_)),
            pace,
            // The edges are due one after the other, not all at once.
            first_due: start + pace.unwrap_or_default() * u32::try_from(number).unwrap_or(0) / u32::from(edges.max(1)),
        };
        local.spawn_local(task.run(Rc::clone(&shared)));
    }
    if tokio::time::timeout(run_for + PATIENCE_AT_THE_END, local).await.is_err() {
        shared.count_error("no answer at the end", 1);
    }
    let mut report = shared.report.take();
    // A fill ends when its cars are in.
    report.measured = report.measured.min(count_from.elapsed());
    report
}

/// What all edges of a run share; they run on one thread.
struct Shared {
    report: RefCell<LoadReport>,
    traffic: RefCell<Vec<Traffic>>,
    numbers: RefCell<NumberSource>,
    /// How many cars may still come.
    cars: Cell<u64>,
    count_from: Instant,
    end: Instant,
}

/// Who comes to the gates of a central.
enum Traffic {
    Commuters(Commuters),
    Once,
    /// New ones, which stay.
    Fill,
}

impl Shared {
    fn count_error(&self, code: &str, count: u64) {
        *self.report.borrow_mut().errors.entry(code.to_owned()).or_default() += count;
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end || self.cars.get() == 0
    }

    /// What happens next at a gate of a central through which `last` came in last; `None`: nothing more. At the end whoever is inside leaves.
    fn next(&self, central: usize, last: Option<u64>) -> Option<(u64, Direction)> {
        let (mut traffic, mut numbers) = (self.traffic.borrow_mut(), self.numbers.borrow_mut());
        match (traffic.get_mut(central), last) {
            (Some(Traffic::Commuters(cars)), _) if self.is_over() => cars.next_home(),
            (Some(Traffic::Commuters(cars)), _) => Some(cars.next(&mut numbers)),
            (Some(Traffic::Once), Some(car)) => Some((car, Direction::Exit)),
            _ if self.is_over() => None,
            _ => {
                self.cars.set(self.cars.get() - 1);
                Some((numbers.take(), Direction::Entry))
            }
        }
    }

    fn passed(&self, central: usize, car: u64, direction: Direction) {
        if let Some(Traffic::Commuters(cars)) = self.traffic.borrow_mut().get_mut(central) {
            cars.passed(car, direction);
        }
    }
}

/// How a call ended, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Answered, but not with success: the car is where it was, or is not known.
    Refused,
}

struct EdgeTask {
    address: Address,
    /// Its place among those of the run.
    central: usize,
    name: String,
    request_ids: bool,
    hello: bool,
    pace: Option<Duration>,
    first_due: Instant,
}

impl EdgeTask {
    async fn run(self, shared: Rc<Shared>) {
        let mut due = self.first_due;
        let mut line = Line { connection: None, request: Vec::new(), body: Vec::new() };
        let (mut calls, mut came_in) = (0_u64, None);
        while let Some((car, direction)) = shared.next(self.central, came_in.take()) {
            calls += 1;
            self.write_body(&mut line.body, &plate(car), direction, calls);
            let outcome = match self.pace.filter(|_| !shared.is_over()) {
                Some(pace) => {
                    tokio::time::sleep_until(due.into()).await;
                    let outcome = self.call(&mut line, &shared, due).await;
                    due += pace;
                    outcome
                }
                None => self.call(&mut line, &shared, Instant::now()).await,
            };
            if outcome == Outcome::Done {
                shared.passed(self.central, car, direction);
                came_in = (direction == Direction::Entry).then_some(car);
            } else {
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }

    fn write_body(&self, body: &mut Vec<u8>, plate: &str, direction: Direction, call: u64) {
        body.clear();
        // Writing to memory does not fail.
        let _ = write!(
            body,
            r#"{{"edge_id":"{}","plate_id":"{plate}","plate_view":"{}","camera_type":"car","direction":"{}","confidence":0.95"#,
            self.name,
            view(plate),
            direction.name(),
        );
        if self.request_ids {
            let _ = write!(body, r#","request_id":"{}-{call}""#, self.name);
        }
        body.push(b'}');
    }

    /// `from`: since when it is waited for the answer.
    async fn call(&self, line: &mut Line, shared: &Shared, from: Instant) -> Outcome {
        let path = if self.hello { self.address.path.as_str() } else { BARRIER_OPEN };
        let path = if path.is_empty() { "/" } else { path };
        write_request(&mut line.request, "POST", &self.address.authority, path, Some(&line.body));
        let outcome = line.exchange(&self.address.authority, shared, from).await;
        outcome.unwrap_or_else(|error| {
            line.connection = None;
            shared.count_error(&format!("connection: {error}"), 1);
            Outcome::Refused
        })
    }
}

/// The connection of one edge and its buffers.
struct Line {
    connection: Option<Connection>,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl Line {
    async fn exchange(&mut self, authority: &str, shared: &Shared, sent_at: Instant) -> Result<Outcome, ClientError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(Connection::open(authority).await?),
        };
        let answer = connection.exchange(&self.request).await?;
        let now = Instant::now();
        let counted = sent_at >= shared.count_from && now <= shared.end;
        let outcome = if (200..300).contains(&answer.status) {
            if counted {
                let mut report = shared.report.borrow_mut();
                report.latencies.record(now.duration_since(sent_at));
                report.repeated += u64::from(says_repeated(answer.body));
            }
            Outcome::Done
        } else {
            shared.count_error(&error_code(answer.status, answer.body), 1);
            Outcome::Refused
        };
        if !answer.keep_alive {
            self.connection = None;
        }
        Ok(outcome)
    }
}

/// Looks for `"repeated":true` without reading the JSON: this is done for every answer.
fn says_repeated(body: &[u8]) -> bool {
    const MARK: &[u8] = b"\"repeated\":true";
    body.windows(MARK.len()).any(|window| window == MARK)
}

/// `409 already_inside`, or only the status if the answer has no code.
fn error_code(status: u16, body: &[u8]) -> String {
    let code = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.get("code").and_then(|code| code.as_str().map(str::to_owned)));
    code.map_or_else(|| status.to_string(), |code| format!("{status} {code}"))
}

/// How long a row may take before it is counted as missing.
const LONGEST: Duration = Duration::from_secs(10);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a refused probe.
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// Probes every ordered pair of `centrals` in turn for `run_for`; a car in and the same car out, both are events.
pub async fn probe(centrals: &[Address], run_for: Duration, salt: u64) -> PropagationReport {
    let mut callers: Vec<Caller> = centrals.iter().map(|address| Caller::new(address.clone(), PATIENCE)).collect();
    let pairs: Vec<(usize, usize)> = (0..centrals.len())
        .flat_map(|from| (0..centrals.len()).filter(move |to| *to != from).map(move |to| (from, to)))
        .collect();
    let mut report = PropagationReport::default();
    let mut numbers = NumberSource::new(salt ^ 0x5bd1_e995);
    let end = Instant::now() + run_for;
    for (from, to) in pairs.into_iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let plate = plate(numbers.take());
        for (direction, status) in [("ENTRY", "IN"), ("EXIT", "OUT")] {
            match probe_once(&mut callers, (from, to), &plate, direction, status).await {
                Seen::After(latency) => {
                    report.pairs.entry((from, to)).or_default().record(latency);
                    report.all.record(latency);
                }
                Seen::Never => report.missing += 1,
                Seen::Refused => {
                    report.refused += 1;
                    tokio::time::sleep(PROBE_PAUSE).await;
                    break;
                }
            }
        }
    }
    report
}

enum Seen {
    After(Duration),
    Never,
    Refused,
}

async fn probe_once(
    callers: &mut [Caller],
    (from, to): (usize, usize),
    plate: &str,
    direction: &str,
    status: &str,
) -> Seen {
    let body = json!({
        "edge_id": "bench-probe", "plate_id": plate, "plate_view": view(plate), "camera_type": "car",
        "direction": direction, "confidence": 0.95, "request_id": format!("probe-{plate}-{direction}"),
    });
    let path = format!("/api/parking/history?search={plate}&limit=1");
    // The reader's connection is open before the clock starts.
    let Some(reader) = callers.get_mut(to) else { return Seen::Refused };
    if reader.get(&path).await.is_err() {
        return Seen::Refused;
    }
    let Some(writer) = callers.get_mut(from) else { return Seen::Refused };
    match writer.post("/api/edge/barrier/open", &body).await {
        Ok(reply) if reply.is_success() => {}
        _ => return Seen::Refused,
    }
    let answered_at = Instant::now();
    let Some(reader) = callers.get_mut(to) else { return Seen::Refused };
    while answered_at.elapsed() < LONGEST {
        if reader.get(&path).await.is_ok_and(|reply| shows(&reply.body, plate, status)) {
            return Seen::After(answered_at.elapsed());
        }
    }
    Seen::Never
}

/// The newest row of the page is this plate's, with this status.
fn shows(page: &Value, plate: &str, status: &str) -> bool {
    page.pointer("/history/0").is_some_and(|row| {
        row.get("plate_id").and_then(Value::as_str) == Some(plate)
            && row.get("status").and_then(Value::as_str) == Some(status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_status_and_code() {
        assert_eq!(error_code(503, br#"{"success":false,"code":"overloaded"}"#), "503 overloaded");
        assert_eq!(error_code(502, b"<html>"), "502");
        assert!(says_repeated(br#"{"success":true,"repeated":true}"#));
        assert!(!says_repeated(br#"{"success":true,"repeated":false}"#));
    }

    #[test]
    fn the_body_of_a_call_is_the_documented_one() {
        let task = EdgeTask {
            address: Address::parse("http://a:1").unwrap(),
            name: "bench-1-2".into(),
            request_ids: true,
            hello: false,
            central: 0,
            pace: None,
            first_due: Instant::now(),
        };
        let mut body = b"old".to_vec();
        task.write_body(&mut body, "29A12345", Direction::Exit, 7);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["plate_view"], "29A-123.45");
        assert_eq!(body["direction"], "EXIT");
        assert_eq!(body["request_id"], "bench-1-2-7");
    }

    #[test]
    fn a_row_counts_once_it_has_the_status_that_was_caused() {
        let page = json!({"history": [{"plate_id": "29A12345", "status": "IN"}]});
        assert!(shows(&page, "29A12345", "IN"));
        assert!(!shows(&page, "29A12345", "OUT"));
        assert!(!shows(&page, "29A54321", "IN"));
        assert!(!shows(&json!({"history": []}), "29A12345", "IN"));
    }
}
