//! What was measured, as numbers, as text for people and as one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longest latency told apart, in ns: one minute; longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;
/// Shortest latency told apart, in ns.
const SHORTEST_NS: u64 = 1_000;
/// Significant decimal digits a recorded latency keeps.
const DIGITS: u8 = 3;
/// The percentiles shown, with their names.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Latencies, kept as a histogram of bounded size.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds that the crate documents as valid")]
        Self(Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS).expect("bounds are valid"))
    }
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS));
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that `quantile` (0 to 1) of all are at or below, in µs.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        us(self.0.value_at_quantile(quantile))
    }

    /// The longest, in µs.
    pub fn max_us(&self) -> f64 {
        us(self.0.max())
    }

    fn json(&self) -> Value {
        let mut map: serde_json::Map<_, _> = PERCENTILES
            .iter()
            .map(|(name, quantile)| ((*name).to_owned(), json!(self.quantile_us(*quantile))))
            .collect();
        map.insert("max".into(), json!(self.max_us()));
        map.insert("mean".into(), json!(self.0.mean() / 1_000.0));
        Value::Object(map)
    }

    fn text(&self) -> String {
        let mut line = String::new();
        for (name, quantile) in PERCENTILES {
            let _ = write!(line, "{name} {}  ", show(self.quantile_us(quantile)));
        }
        let _ = write!(line, "max {}", show(self.max_us()));
        line
    }
}

#[expect(clippy::cast_precision_loss, reason = "a latency below a minute in ns is exact in a double")]
fn us(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// A latency as people read it.
fn show(us: f64) -> String {
    if us < 1_000.0 { format!("{us:.0} µs") } else { format!("{:.2} ms", us / 1_000.0) }
}

/// A closed-loop load and what came back.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    pub edges: u16,
    /// How long was measured, the warm-up left out.
    pub measured: Duration,
    /// Latencies of the answers with a 2xx status.
    pub latencies: Latencies,
    /// Everything else, by its code (`503 overloaded`, `connection`).
    pub errors: BTreeMap<String, u64>,
    /// 2xx answers that changed nothing since the central took the call for a repeated one; not 0: the load is wrong.
    pub repeated: u64,
}

impl LoadReport {
    /// Successful answers per second.
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    pub fn answers_per_s(&self) -> f64 {
        self.latencies.count() as f64 / self.measured.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub fn json(&self) -> Value {
        json!({
            "edges": self.edges,
            "seconds": self.measured.as_secs_f64(),
            "answers": self.latencies.count(),
            "answers_per_s": self.answers_per_s(),
            "latency_us": self.latencies.json(),
            "errors": self.errors,
            "repeated": self.repeated,
        })
    }

    pub fn text(&self) -> String {
        let mut text = format!(
            "load         {} edges, {:.1} s measured\nanswers      {} = {:.0}/s\nlatency      {}\n",
            self.edges,
            self.measured.as_secs_f64(),
            self.latencies.count(),
            self.answers_per_s(),
            self.latencies.text(),
        );
        if self.errors.is_empty() {
            text.push_str("errors       none\n");
        }
        for (code, count) in &self.errors {
            let _ = writeln!(text, "errors       {count} x {code}");
        }
        if self.repeated > 0 {
            let _ = writeln!(text, "repeated     {} answers: these calls changed nothing", self.repeated);
        }
        text
    }
}

/// From the answer at one central to the row readable at another.
#[derive(Debug, Clone, Default)]
pub struct PropagationReport {
    /// By `(from, to)`, positions in the list of addresses.
    pub pairs: BTreeMap<(usize, usize), Latencies>,
    /// Over all pairs.
    pub all: Latencies,
    /// Probes whose row did not become readable in time.
    pub missing: u64,
    /// Probes the first central refused or did not answer.
    pub refused: u64,
}

impl PropagationReport {
    pub fn json(&self) -> Value {
        let pairs: Vec<Value> = self
            .pairs
            .iter()
            .map(
                |((from, to), seen)| json!({"from": from, "to": to, "probes": seen.count(), "latency_us": seen.json()}),
            )
            .collect();
        json!({
            "probes": self.all.count(),
            "latency_us": self.all.json(),
            "pairs": pairs,
            "missing": self.missing,
            "refused": self.refused,
        })
    }

    pub fn text(&self, urls: &[String]) -> String {
        let name = |index: &usize| urls.get(*index).map_or("?", String::as_str);
        let mut text = format!("propagation  {} probes: {}\n", self.all.count(), self.all.text());
        for ((from, to), seen) in &self.pairs {
            let _ = writeln!(text, "  {} -> {}: {}", name(from), name(to), seen.text());
        }
        if self.missing + self.refused > 0 {
            let _ =
                writeln!(text, "  {} rows never became readable, {} probes were refused", self.missing, self.refused);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        for us in 1..=1_000 {
            latencies.record(Duration::from_micros(us));
        }
        latencies.record(Duration::from_secs(3_600));
        for (quantile, expected_us) in [(0.5, 500.0), (0.99, 990.0)] {
            let got = latencies.quantile_us(quantile);
            assert!((got - expected_us).abs() <= expected_us * 0.002 + 1.0, "{quantile}: {got}");
        }
        assert!((latencies.max_us() - 60_000_000.0).abs() < 60_000.0, "longer ones count as a minute");
    }

    #[test]
    fn a_report_names_every_kind_of_error() {
        let mut report = LoadReport { edges: 2, measured: Duration::from_secs(2), ..LoadReport::default() };
        report.latencies.record(Duration::from_millis(2));
        report.errors.insert("503 overloaded".into(), 7);
        assert!((report.answers_per_s() - 0.5).abs() < 1e-9);
        assert!(
            report.text().contains("7 x 503 overloaded") && report.text().contains("p50 2.00 ms"),
            "{}",
            report.text()
        );
        assert_eq!(report.json()["errors"]["503 overloaded"], 7);
    }
}
