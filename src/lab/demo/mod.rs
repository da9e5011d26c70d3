//! `parkmesh demo`: a whole mesh of child processes on loopback with simulated gates, to look at.

mod children;
mod gates;
mod traffic;
mod watch;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join3, select};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use self::children::Children;
use self::gates::{Gate, Tally};
use self::traffic::{START_MS, SiteClock, Traffic, Trip, Weather};
use self::watch::Watch;
use super::client::{Address, ClientError};
use super::proxy::LinkState;
use crate::domain::direction::Direction;
use crate::lab;

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
    #[arg(long = "for", value_name = "DURATION", value_parser = lab::parse_duration)]
    pub run_for: Option<Duration>,
    /// The seed of the traffic and of the cuts; a random one is chosen and shown without it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep the data directories and logs of the centrals, and say where they are.
    #[arg(long)]
    pub keep: bool,
}

/// How often the table is drawn, and how often a line is written where there is no terminal.
const DRAW_EVERY: Duration = Duration::from_millis(500);
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Cars that may wait at one gate before the traffic waits for them.
const CARS_WAITING: usize = 64;
/// How long the gates may take to finish the cars that wait at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(30);
/// Exit code for a mesh that could not be run.
const EXIT_INTERNAL: u8 = 70;

/// Why the demo could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("{0}: {1}")]
    Directory(PathBuf, io::Error),
    #[error("no free ports on 127.0.0.1: {0}")]
    Ports(io::Error),
    #[error("a central cannot be started: {0}")]
    Start(io::Error),
    #[error("{0} does not serve: {1}\n{2}")]
    NotServing(String, String, String),
    #[error("the site's clock: {0}")]
    Clock(#[from] jiff::Error),
    #[error("signals: {0}")]
    Signals(io::Error),
    #[error("{0}")]
    Call(#[from] ClientError),
    #[error("unexpected answer: {0}")]
    Answer(String),
}

impl DemoError {
    fn directory(path: &Path, cause: io::Error) -> Self {
        Self::Directory(path.to_owned(), cause)
    }
}

/// Runs the demo to its end.
///
/// Exit code 0: all histories were equal. 1: they were not. 70: the mesh could not be started or stopped answering.
pub fn run(args: &Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&DemoError::Start(error)),
    };
    match runtime.block_on(LocalSet::new().run_until(demo(args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(error: &DemoError) -> ExitCode {
    eprintln!("parkmesh demo: {error}");
    ExitCode::from(EXIT_INTERNAL)
}

/// The whole demo; true if all histories were equal at the end.
async fn demo(args: &Args) -> Result<bool, DemoError> {
    let mut stop = Stop::watch()?;
    let seed = args.seed.unwrap_or_else(|| u64::try_from(real_ms()).unwrap_or_default() % 100_000);
    let count = usize::from(args.centrals);
    let clock = SiteClock::starting_at(real_ms(), args.speed)?;
    println!("{count} centrals, clock {} times real, seed {seed}. Ctrl-C ends and compares.", args.speed);
    let children = Children::start(count, &clock.variable(), args.keep).await?;
    let named: Vec<(String, Address)> =
        children.centrals.iter().map(|central| (central.id.clone(), central.address.clone())).collect();
    let mut watch = Watch::new(named.iter().cloned());

    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut gates = JoinSet::new();
    let lanes = open_gates(&named, &tally, &mut gates);
    let weather = Rc::new(RefCell::new("all open".to_owned()));
    let act = Act { stop: &mut stop, watch: &mut watch, children: &children, clock: &clock, weather: &weather };
    act.play(args, lanes, Weather::new(seed, count), Traffic::new(seed, count, START_MS)).await?;

    println!("The traffic ends; all links are healed.");
    children.heal_all();
    if tokio::time::timeout(FINISH_WITHIN, async { while gates.join_next().await.is_some() {} }).await.is_err() {
        println!("Some cars still wait at their gates after {} s.", FINISH_WITHIN.as_secs());
    }
    let tally = tally.take();
    print_tally(&tally);
    let comparison = watch::wait_until_equal(&mut watch, &named, &tally.entries);
    let (asked, died) = (pin!(stop.asked()), pin!(children.watch()));
    let verdict = match select(pin!(comparison), select(asked, died)).await {
        Either::Left((verdict, _)) => verdict,
        Either::Right((Either::Left(_), _)) => Err("asked to stop before the comparison was done".to_owned()),
        Either::Right((Either::Right((error, _)), _)) => return Err(error),
    };
    match verdict {
        Ok((rows, took)) => {
            println!(
                "EQUAL: the histories of all {count} centrals have the same {rows} rows ({} ms).",
                took.as_millis()
            );
            Ok(true)
        }
        Err(why) => {
            println!("NOT EQUAL: {why}");
            children.keep_directories();
            Ok(false)
        }
    }
}

/// Two gates for each central; gives the way to each.
fn open_gates(
    centrals: &[(String, Address)],
    tally: &Rc<RefCell<Tally>>,
    gates: &mut JoinSet<()>,
) -> BTreeMap<(usize, Direction), mpsc::Sender<Trip>> {
    let mut lanes = BTreeMap::new();
    for (number, (_, address)) in centrals.iter().enumerate() {
        for direction in [Direction::Entry, Direction::Exit] {
            let (lane, cars) = mpsc::channel(CARS_WAITING);
            let gate = Gate::new(number, direction, address.clone(), Rc::clone(tally));
            gates.spawn_local(gate.serve(cars));
            lanes.insert((number, direction), lane);
        }
    }
    lanes
}

/// The part of a demo with traffic.
struct Act<'a> {
    stop: &'a mut Stop,
    watch: &'a mut Watch,
    children: &'a Children,
    clock: &'a SiteClock,
    weather: &'a Rc<RefCell<String>>,
}

impl Act<'_> {
    /// Until the time is over or somebody asks to stop. The lanes are closed when it returns. An error if a central ended.
    async fn play(
        self,
        args: &Args,
        lanes: BTreeMap<(usize, Direction), mpsc::Sender<Trip>>,
        spells: Weather,
        traffic: Traffic,
    ) -> Result<(), DemoError> {
        let over = async {
            match args.run_for {
                Some(run_for) => tokio::time::sleep(run_for).await,
                None => std::future::pending().await,
            }
        };
        let (over, asked, died) = (pin!(over), pin!(self.stop.asked()), pin!(self.children.watch()));
        let driving = drive(self.clock, traffic, lanes);
        let cutting = disturb(self.children, self.weather, spells);
        let showing = show(self.watch, self.clock, self.weather);
        // None of these three ends by itself.
        let busy = pin!(join3(driving, cutting, showing));
        match select(select(select(over, asked), died), busy).await {
            Either::Left((Either::Right((error, _)), _)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Sends every car to its gate when its time has come.
async fn drive(clock: &SiteClock, mut traffic: Traffic, lanes: BTreeMap<(usize, Direction), mpsc::Sender<Trip>>) {
    loop {
        let trip = traffic.next_trip();
        tokio::time::sleep(clock.until(trip.at_ms, real_ms())).await;
        if let Some(lane) = lanes.get(&(trip.central, trip.direction)) {
            // A gate that ended is counted by its own errors.
            let _ = lane.send(trip).await;
        }
    }
}

/// Cuts and heals links.
async fn disturb(children: &Children, shown: &RefCell<String>, mut weather: Weather) {
    while let Some(spell) = weather.next_spell() {
        tokio::time::sleep(spell.quiet).await;
        let names: Vec<String> = spell.links.iter().map(|(one, other)| format!("{}-{}", one + 1, other + 1)).collect();
        let what = if spell.state == LinkState::Cut { "cut" } else { "silent" };
        *shown.borrow_mut() = format!("{what}: {} ({:.0} s)", names.join(" "), spell.lasts.as_secs_f64());
        spell.links.iter().for_each(|link| children.set_link(*link, spell.state));
        tokio::time::sleep(spell.lasts).await;
        spell.links.iter().for_each(|link| children.set_link(*link, LinkState::Open));
        *shown.borrow_mut() = "all open".to_owned();
    }
    std::future::pending().await
}

/// Draws the table in place, or writes a line now and then where nobody looks.
async fn show(watch: &mut Watch, clock: &SiteClock, weather: &RefCell<String>) {
    let terminal = io::stdout().is_terminal();
    let start = Instant::now();
    let mut drawn_lines = 0;
    loop {
        tokio::time::sleep(if terminal { DRAW_EVERY } else { WRITE_EVERY }).await;
        let lines = watch.lines().await;
        let (site_time, elapsed_s) = (clock.text(real_ms()), start.elapsed().as_secs());
        let links = weather.borrow().clone();
        if terminal {
            let text = watch::table(&site_time, elapsed_s, &lines, &links);
            if drawn_lines > 0 {
                // Up to the first line of the table before, and clear from there.
                print!("\x1b[{drawn_lines}A\x1b[J");
            }
            // Longer lines are cut at the edge of the window: wrapped ones would not be counted.
            print!("\x1b[?7l{text}\x1b[?7h");
            drawn_lines = text.lines().count();
            // A terminal that is gone is no reason to stop.
            let _ = io::stdout().flush();
        } else {
            println!("{}", watch::one_line(&site_time, elapsed_s, &lines, &links));
        }
    }
}

fn print_tally(tally: &Tally) {
    println!(
        "{} barriers opened, {} of them forced by a person; {} double presses answered as repeated, {} wrong directions \
         refused.",
        tally.opened, tally.forced, tally.repeated, tally.refused
    );
    for (what, count) in &tally.surprises {
        println!("Unexpected: {count} x {what}");
    }
}

/// Ctrl-C, or a request to terminate.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn watch() -> Result<Self, DemoError> {
        let listen = |kind| signal(kind).map_err(DemoError::Signals);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        select(pin!(self.interrupt.recv()), pin!(self.terminate.recv())).await;
    }
}

fn real_ms() -> i64 {
    std::time::UNIX_EPOCH.elapsed().ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}
