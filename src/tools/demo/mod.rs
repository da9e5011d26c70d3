//! `parkmesh demo`: a whole mesh of child processes on loopback with simulated gates, to look at.

use std::process::ExitCode;
use std::time::Duration;

use super::duration;

/// Fewest and most centrals of a demo; a site has about ten.
const CENTRALS: std::ops::RangeInclusive<i64> = 1..=10;

/// A mesh on this machine, with a day's traffic made by simulated gates over real HTTP.
///
/// Links are cut and healed now and then. At the end (Ctrl-C, or after --for) everything is healed, and the histories
/// of all centrals are compared: exit code 0 only if they are equal.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many centrals to start (1 to 10).
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(CENTRALS))]
    pub centrals: u8,
    /// How many times faster than real the site's clock runs; 600: a day in 144 s.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub speed: u32,
    /// Stop after this long (500ms, 60s, 2m); without it, at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    pub run_for: Option<Duration>,
    /// The seed of the traffic and of the cuts; a random one is chosen and shown without it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep the data directories and logs of the centrals, and say where they are.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the demo to its end.
///
/// Exit code 0: all histories were equal. 1: they were not. 70: the mesh could not be started or stopped answering.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    eprintln!("demo of {} centrals: not here yet", args.centrals);
    ExitCode::FAILURE
}
