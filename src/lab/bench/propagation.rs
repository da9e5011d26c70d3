//! How long an event takes from its answer at one central to being readable at another one.
//!
//! One probe at a time, and one reader: the machine is otherwise idle, so what is seen is the path and not a queue.
//! Every figure contains the last read, about one idle GET.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::report::PropagationReport;
use crate::lab::caller::Caller;
use crate::lab::client::Address;
use crate::lab::plates::{NumberSource, plate, view};

/// How long a row may take before it is counted as missing.
const LONGEST: Duration = Duration::from_secs(10);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a refused probe.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

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
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
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
    fn a_row_counts_once_it_has_the_status_that_was_caused() {
        let page = json!({"history": [{"plate_id": "29A12345", "status": "IN"}]});
        assert!(shows(&page, "29A12345", "IN"));
        assert!(!shows(&page, "29A12345", "OUT"));
        assert!(!shows(&page, "29A54321", "IN"));
        assert!(!shows(&json!({"history": []}), "29A12345", "IN"));
    }
}
