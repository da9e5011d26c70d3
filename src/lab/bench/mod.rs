//! `parkmesh bench`: drives running centrals over HTTP and says how fast they answer.

mod load;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use self::load::{Cars, Work};
use self::report::{LoadReport, PropagationReport};
use super::client::{Address, AddressError, Connection};
use crate::lab;

/// Answers per second and latencies of one or more running centrals.
///
/// Each simulated edge has its own connection and does one call at a time. The same cars come every day: all in in the morning, all
/// out in the evening, each through whichever gate is free, and at the end whoever is still inside leaves. With several --url the edges
/// are spread over them, each central has cars of its own, and afterwards, at light load, it is measured how long an event answered at
/// one central takes to be readable at each other one.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of a central; repeat it for several.
    #[arg(long = "url", default_value = "http://127.0.0.1:8000")]
    pub urls: Vec<String>,
    /// How many edges call at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub edges: u16,
    /// How long to drive the load (and, with several --url, how long to probe propagation).
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = lab::parse_duration)]
    pub run_for: Duration,
    /// Calls per second at each central, evenly spaced, in place of as many as are answered. Latencies then count from when a
    /// call was due.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// How many cars come to each central every day.
    #[arg(long, value_name = "CARS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub cars: u64,
    /// Cars that come once and never again in their place: in, and out through the same gate. To compare with figures of versions
    /// that measured so.
    #[arg(long, conflicts_with = "cars")]
    pub fresh_plates: bool,
    /// Give every call a `request_id`, as careful edge programs do.
    #[arg(long)]
    pub request_ids: bool,
    /// Before anything is measured, let so many cars in that stay.
    #[arg(long, value_name = "CARS", default_value_t = 0, conflicts_with = "hello")]
    pub fill: u64,
    /// Only the propagation probes, one event at a time, without a load before them.
    #[arg(long)]
    pub light: bool,
    /// Post the same bodies to this address instead, whatever it does with them: a yardstick with the same client.
    #[arg(long, value_name = "URL", conflicts_with_all = ["light", "request_ids"])]
    pub hello: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Exit code for a wrong address, as the program's other usage errors.
const EXIT_USAGE: u8 = 64;
/// Exit code for a central that cannot be reached (EX_UNAVAILABLE).
const EXIT_UNAVAILABLE: u8 = 69;

/// A fill ends when its cars are in; this only bounds one that gets no answers.
const LONGEST_FILL: Duration = Duration::from_secs(3_600);

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{authority} cannot be reached: {cause}")]
    Unreachable { authority: String, cause: std::io::Error },
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// Runs the load and prints the figures.
///
/// Exit code 0: measured, whatever the answers were. 64: an address cannot be read. 69: a central cannot be reached.
pub fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(measure(args))) {
        Ok(measured) if args.json => println!("{}", measured.json()),
        Ok(measured) => print!("{}", measured.text(&args.urls)),
        Err(error) => {
            eprintln!("parkmesh bench: {error}");
            let code = if matches!(error, BenchError::Address(_)) { EXIT_USAGE } else { EXIT_UNAVAILABLE };
            return ExitCode::from(code);
        }
    }
    ExitCode::SUCCESS
}

/// All that one run measured.
#[derive(Debug, Default)]
struct Measured {
    fill: Option<LoadReport>,
    load: Option<LoadReport>,
    propagation: Option<PropagationReport>,
}

impl Measured {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "fill": self.fill.as_ref().map(LoadReport::json),
            "load": self.load.as_ref().map(LoadReport::json),
            "propagation": self.propagation.as_ref().map(PropagationReport::json),
        })
    }

    fn text(&self, urls: &[String]) -> String {
        let fill = self.fill.as_ref().map(|report| format!("before that: {}\n", report.text())).unwrap_or_default();
        let load = self.load.as_ref().map(LoadReport::text).unwrap_or_default();
        let propagation = self.propagation.as_ref().map(|report| report.text(urls)).unwrap_or_default();
        fill + &load + &propagation
    }
}

async fn measure(args: &Args) -> Result<Measured, BenchError> {
    let salt = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let mut measured = Measured::default();
    if let Some(url) = &args.hello {
        let address = reach(url).await?;
        measured.load = Some(load::drive(&Work::Hello(address), args.edges, pace(args, 1), args.run_for, salt).await);
        return Ok(measured);
    }
    let mut centrals = Vec::with_capacity(args.urls.len());
    for url in &args.urls {
        centrals.push(reach(url).await?);
    }
    if args.fill > 0 {
        let work = Work::Fill { centrals: centrals.clone(), cars: args.fill };
        measured.fill = Some(load::drive(&work, args.edges, None, LONGEST_FILL, salt ^ 1).await);
    }
    if !args.light {
        let cars = if args.fresh_plates { Cars::Once } else { Cars::Commuters(args.cars) };
        let work = Work::Gates { centrals: centrals.clone(), request_ids: args.request_ids, cars };
        measured.load = Some(load::drive(&work, args.edges, pace(args, centrals.len()), args.run_for, salt).await);
    }
    if centrals.len() > 1 {
        measured.propagation = Some(load::probe(&centrals, args.run_for, salt).await);
    }
    Ok(measured)
}

/// How far apart the calls of one edge are, for the rate asked for.
fn pace(args: &Args, centrals: usize) -> Option<Duration> {
    let centrals = u32::try_from(centrals).unwrap_or(u32::MAX);
    args.rate.map(|rate| Duration::from_secs(u64::from(args.edges)) / rate.saturating_mul(centrals))
}

/// Reads an address and makes sure that somebody listens there.
async fn reach(url: &str) -> Result<Address, BenchError> {
    let address = Address::parse(url)?;
    Connection::open(&address.authority)
        .await
        .map_err(|cause| BenchError::Unreachable { authority: address.authority.clone(), cause })?;
    Ok(address)
}
