//! `parkmesh bench`: drives running centrals over HTTP and says how fast they answer.

use std::process::ExitCode;
use std::time::Duration;

use super::duration;

/// Answers per second and latencies of one or more running centrals.
///
/// Each simulated edge has its own connection and its own plates and does one call at a time: a car in, the same car
/// out, so that the lot neither fills nor empties. With several --url the edges are spread over them, and afterwards,
/// at light load, it is measured how long an event answered at one central takes to be readable at each other one.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of a central; repeat it for several.
    #[arg(long = "url", default_value = "http://127.0.0.1:8000")]
    pub urls: Vec<String>,
    /// How many edges call at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub edges: u16,
    /// How long to drive the load (and, with several --url, how long to probe propagation).
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    pub run_for: Duration,
    /// Give every call a `request_id`, as careful edge programs do.
    #[arg(long)]
    pub request_ids: bool,
    /// Only the propagation probes, one event at a time, without a load before them.
    #[arg(long)]
    pub light: bool,
    /// Post one fixed entry to this address instead, whatever it answers: the yardstick with the same client.
    #[arg(long, value_name = "URL", conflicts_with_all = ["light", "request_ids"])]
    pub hello: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Runs the load and prints the figures.
///
/// Exit code 0: measured, whatever the answers were. 64: an address cannot be read. 69: a central cannot be reached.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    eprintln!("bench of {} centrals: not here yet", args.urls.len());
    ExitCode::FAILURE
}
