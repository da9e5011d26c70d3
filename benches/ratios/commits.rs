//! What a central's metrics say about its transactions.

use std::collections::BTreeMap;

use crate::common::Central;

/// What happened between two looks at the metrics.
#[derive(Debug)]
pub struct Commits {
    /// Of all transactions, s, and how many those were.
    pub mean_s: f64,
    /// Within the bucket of the histogram that has the middle one: `more than` and `at most`, s.
    pub median_s: (f64, f64),
    pub events_each: f64,
}

/// Every metric without labels, and the buckets.
pub fn metrics(central: &Central) -> BTreeMap<String, f64> {
    let text = central.http.get("/metrics").text;
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|text| !text.starts_with('#')).filter_map(line).collect()
}

impl Commits {
    pub fn between(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Self {
        let grown = |name: &str| after[name] - before.get(name).copied().unwrap_or(0.0);
        let count = grown("parkmesh_commit_seconds_count");
        let mut buckets: Vec<(f64, f64)> = after
            .keys()
            .filter_map(|name| {
                let bound = name.strip_prefix("parkmesh_commit_seconds_bucket{le=\"")?.strip_suffix("\"}")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, grown(name)))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let middle = buckets.iter().position(|(_, commits)| *commits >= count / 2.0).expect("a bucket");
        Self {
            mean_s: grown("parkmesh_commit_seconds_sum") / count,
            median_s: (middle.checked_sub(1).map_or(0.0, |below| buckets[below].0), buckets[middle].0),
            events_each: grown("parkmesh_commit_events_sum") / count,
        }
    }
}
