//! Cars that come back every day beside cars that come once, without HTTP: the ledger over its file, in this process.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parkmesh::domain::authorship::Proof;
use parkmesh::domain::event::{Body, Draft, Entry, Exit};
use parkmesh::domain::ids::{CentralId, Epoch, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::{Answer, Beside, CorrectStay, Job, OpenBarrier, Told, VoidStay};
use parkmesh::ledger::storage::Storage as _;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::maintenance::{RebuildFor, rebuild, verify};
use parkmesh::replication::log::{EventBytes, Head, Run};
use parkmesh::store::{DataDir, Writer};

use crate::regulars;
use crate::table::{Bar, Table};

pub const START_MS: i64 = 1_733_000_000_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
pub const CARS: usize = 300;
pub const DAYS: usize = 100;
/// Each pair of figures is measured so often, in turns; the round with the middle ratio counts.
const ROUNDS: usize = 5;
/// Events handed over at once: some 256 KiB, as in a run between centrals.
const RUN_EVENTS: usize = 400;
/// Facts folded in a turn: some 10 ms.
const TURN_FACTS: usize = 512;
/// Visits of the plate that is pressed.
const VISITS: usize = 20_000;
/// Presses measured of each plate.
const PRESSES: usize = 200;

/// A ledger over its file, in this process.
pub struct Held {
    ledger: Ledger<Writer>,
    longest: Duration,
}

impl Held {
    pub fn at(central: &str, directory: PathBuf) -> Self {
        let data = DataDir::open(&directory).expect("a data directory");
        let writer = Writer::open(&data, SiteZone::default()).expect("a database");
        let context = Context { central: CentralId::new(central).expect("an id"), zone: SiteZone::default() };
        Self { ledger: Ledger::open(writer, context).expect("a ledger"), longest: Duration::ZERO }
    }

    pub fn decide(&mut self, jobs: Vec<Job>, wall_ms: i64) -> Vec<Answer> {
        let start = Instant::now();
        let done = self.ledger.process(jobs, TransactionTime { wall_ms, skew_ms: None, clock_wrong: false }, Epoch(3));
        self.longest = self.longest.max(start.elapsed());
        assert_eq!(done.failure, None);
        self.ledger.storage_mut().make_room();
        done.outcomes.into_iter().map(|outcome| outcome.expect("an answer")).collect()
    }

    pub fn settle(&mut self) {
        let now = TransactionTime { wall_ms: START_MS, skew_ms: None, clock_wrong: false };
        loop {
            let start = Instant::now();
            if self.ledger.settle(TURN_FACTS, now).expect("a turn") == 0 {
                return;
            }
            self.longest = self.longest.max(start.elapsed());
            self.ledger.storage_mut().make_room();
        }
    }

    pub fn close(self) {
        self.ledger.into_storage().close().expect("it closes");
    }
}

pub fn log_of(central: &str, epoch: u64) -> LogId {
    LogId { central: CentralId::new(central).expect("an id"), epoch: Epoch(epoch) }
}

pub fn plate_of(car: usize) -> PlateId {
    let letter = char::from(b'A' + u8::try_from(car / 100_000 % 26).expect("a letter"));
    PlateId::parse(&format!("{}{letter}{:05}", 10 + car / 2_600_000, car % 100_000)).expect("a plate")
}

/// One visit: its entry and its exit.
fn visit(central: &str, exit_central: &str, plate: &PlateId, in_ms: i64, out_ms: i64, number: usize) -> (Draft, Draft) {
    let stay = format!("{central}_{in_ms}_{plate}");
    let draft = |ms: i64, body: Body| Draft {
        hlc: Hlc::new(ms).expect("a clock"),
        timestamp_ms: ms,
        skew_ms: None,
        event_id: Some(stay.clone()),
        body,
        by: None,
    };
    let entry = Entry {
        plate_view: plate.to_string(),
        camera_type: "car".to_owned(),
        entry_time: "2024-12-02 19:00:00".to_owned(),
        confidence: Some(0.95),
        request_id: Some(format!("in-{number}")),
        ..Entry::of(plate.clone(), "edge-1")
    };
    let exit = Exit {
        exit_time: "2024-12-02 20:00:00".to_owned(),
        duration: "1 giờ 0 phút".to_owned(),
        request_id: Some(format!("out-{number}")),
        ..Exit::of(Some(plate.clone()), exit_central, "edge-2", Vnd(25_000))
    };
    (draft(in_ms, Body::Entry(entry)), draft(out_ms, Body::Exit(exit)))
}

/// The stay of one of the regulars on one of the days.
pub fn stay_of(day: usize, car: usize) -> String {
    let in_ms = START_MS + day as i64 * DAY_MS + car as i64 * (DAY_MS / 4 / CARS as i64);
    format!("central-1_{in_ms}_{}", plate_of(car))
}

/// The runs of a log that says these, and nothing before.
fn runs(log: &LogId, drafts: Vec<Draft>) -> Vec<Run> {
    runs_after(&mut Head::empty(log), log, drafts)
}

/// The runs of a log that goes on saying these.
pub fn runs_after(head: &mut Head, log: &LogId, drafts: Vec<Draft>) -> Vec<Run> {
    let events: Vec<_> = (head.to + 1..)
        .zip(drafts)
        .map(|(seq, draft)| draft.author(log.clone(), seq, &Proof::default()).expect("an event").0)
        .collect();
    let run = |events: &[String]| {
        let after = *head;
        let events: Vec<EventBytes> = events.iter().map(|event| event.as_str().into()).collect();
        let hash = events.iter().fold(head.hash, |hash, event| hash.extend(event));
        *head = Head { to: head.to + events.len() as u64, hash };
        Run { log: log.clone(), after: after.to, prev: after.hash, events, hash }
    };
    events.chunks(RUN_EVENTS).map(run).collect()
}

/// Entries at one central and exits at another, with request ids: `car(day, n)` says which car it is.
pub fn two_logs(days: Range<usize>, cars: usize, car: impl Fn(usize, usize) -> usize) -> Vec<Run> {
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    let epoch = days.start as u64;
    for day in days {
        for n in 0..cars {
            let number = day * cars + n;
            let in_ms = START_MS + day as i64 * DAY_MS + n as i64 * (DAY_MS / 4 / cars as i64);
            let plate = plate_of(car(day, n));
            let (entry, exit) = visit("central-1", "central-2", &plate, in_ms, in_ms + 8 * 3_600_000, number);
            ins.push(entry);
            outs.push(exit);
        }
    }
    let mut all = runs(&log_of("central-1", epoch + 1), ins);
    all.extend(runs(&log_of("central-2", epoch + 2), outs));
    all
}

/// Events per second until all is stored and folded, and the longest transaction. Runs of both logs come in turns, as from two
/// peers, or one log after the other.
fn catch_up(runs: &[Run], in_turns: bool) -> (f64, Duration) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut held = Held::at("central-3", directory.path().to_owned());
    let mut order: Vec<&Run> = runs.iter().collect();
    if in_turns {
        order.sort_by_key(|run| run.after);
    }
    let start = Instant::now();
    for run in &order {
        held.decide(vec![Job::Store((*run).clone())], START_MS);
    }
    held.settle();
    let events: usize = runs.iter().map(|run| run.events.len()).sum();
    (events as f64 / start.elapsed().as_secs_f64(), held.longest)
}

fn middle<T>(mut rounds: Vec<T>, ratio: impl Fn(&T) -> f64) -> T {
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    rounds.swap_remove(ROUNDS / 2)
}

/// All of it, or one part.
pub fn measure(part: Option<&str>, table: &mut Table) {
    let is_asked = |name: &str| part.is_none_or(|part| part == name);
    if is_asked("catch-up") {
        catching_up(table);
    }
    if is_asked("press") {
        press(table);
    }
    if is_asked("import") {
        import(table);
    }
    if is_asked("replay") {
        replay(table);
    }
    if is_asked("readers") {
        regulars::beside_readers(&two_logs(0..DAYS, CARS, |_, n| n), table);
    }
    if part == Some("year") {
        regulars::a_year(table);
    }
    if is_asked("gates") {
        regulars::while_catching_up(&two_logs(0..4 * DAYS, CARS, |_, n| n), table);
    }
}

fn catching_up(table: &mut Table) {
    let regulars = two_logs(0..DAYS, CARS, |_, n| n);
    let visitors = two_logs(0..DAYS, CARS, |day, n| day * CARS + n);
    for (name, in_turns) in [("one log after the other", false), ("both logs in turns", true)] {
        let rounds: Vec<_> =
            (0..ROUNDS).map(|_| (catch_up(&regulars, in_turns), catch_up(&visitors, in_turns))).collect();
        let longest = rounds.iter().map(|(with, _)| with.1).max().unwrap_or_default();
        let ((with, _), (without, _)) = middle(rounds, |(with, without)| with.0 / without.0);
        let measured = format!("{with:.0} / {without:.0} per s, longest transaction {} ms", longest.as_millis());
        table.line(&format!("catch-up, cars that return / once, {name}"), &measured, with / without, Bar::AtLeast(0.8));
    }
}

fn open(plate: &PlateId) -> Job {
    Job::Open(OpenBarrier {
        edge_id: "edge-1".to_owned(),
        plate: plate.clone(),
        plate_view: None,
        direction: None,
        camera_type: "car".to_owned(),
        confidence: None,
        request_id: None,
        force: false,
        reason: None,
        fee: None,
        notes: Vec::new(),
        beside: Beside::default(),
    })
}

/// A press of a plate with a long history, after every tenth of its stays was removed or corrected, beside one of a new plate.
fn press(table: &mut Table) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut held = Held::at("central-1", directory.path().to_owned());
    let plate = plate_of(7);
    let drafts = (0..VISITS).map(|n| {
        let in_ms = START_MS + n as i64 * 3_600_000;
        visit("central-1", "central-1", &plate, in_ms, in_ms + 1_800_000, n)
    });
    let stays: Vec<String> = drafts.clone().filter_map(|(entry, _)| entry.event_id).collect();
    for run in runs(&log_of("central-1", 1), drafts.flat_map(|(entry, exit)| [entry, exit]).collect()) {
        held.decide(vec![Job::Store(run)], START_MS);
    }
    let mut wall_ms = START_MS + VISITS as i64 * 3_600_000;
    let mut amends = Vec::new();
    for (number, stay_id) in stays.iter().step_by(10).enumerate() {
        let (stay_id, reason) = (stay_id.clone(), "measured".to_owned());
        let job = if number % 2 == 0 {
            Job::Void(VoidStay { stay_id, reason })
        } else {
            Job::Correct(CorrectStay { stay_id, plate: Some(plate_of(8)), reason, ..CorrectStay::default() })
        };
        wall_ms += 1_000;
        let start = Instant::now();
        held.decide(vec![job], wall_ms);
        amends.push(start.elapsed());
    }
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for n in 0..PRESSES {
        for (plate, times) in [(&plate, &mut old), (&plate_of(1_000 + n / 2), &mut new)] {
            wall_ms += 60_000;
            let start = Instant::now();
            held.decide(vec![open(plate)], wall_ms);
            times.push(start.elapsed());
        }
    }
    let [old, new, amend] = [old, new, amends].map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2].as_secs_f64() * 1e3, times[times.len() - 1].as_secs_f64() * 1e3)
    });
    let measured = format!("p50 {:.2} / {:.2} ms, most {:.1} / {:.1} ms", old.0, new.0, old.1, new.1);
    table.line("press of a plate with 20,000 visits / of a new one", &measured, old.0 / new.0, Bar::AtMost(2.0));
    let measured = format!("p50 {:.2} ms, most {:.1} ms", amend.0, amend.1);
    table.line(
        "void or correction of one of these stays / press of a new plate",
        &measured,
        amend.0 / new.0,
        Bar::AtMost(5.0),
    );
}

/// 500 cars with 200 visits each, told as an import does, with and without a row of each that was never closed.
fn import(table: &mut Table) {
    let told = |draft: Draft| Told { draft, source_central: "central-9".to_owned(), from: "old.db".to_owned() };
    let rate = |ghosts: bool| {
        let directory = tempfile::tempdir().expect("a directory");
        let mut held = Held::at("central-1", directory.path().to_owned());
        let start = Instant::now();
        let mut events = 0;
        for n in 0..200 {
            for cars in (0..500).collect::<Vec<_>>().chunks(100) {
                let mut list = Vec::new();
                for car in cars {
                    let in_ms = START_MS + n * DAY_MS + car * 1_000;
                    let car = usize::try_from(*car).expect("a car");
                    let number = usize::try_from(n).expect("a day") * 500 + car;
                    let (entry, exit) =
                        visit("central-9", "central-9", &plate_of(car), in_ms, in_ms + 3_600_000, number);
                    if ghosts && n == 3 {
                        let (ghost, _) =
                            visit("central-9", "central-9", &plate_of(car), in_ms - 7_200_000, in_ms, 100_000 + number);
                        list.push(ghost);
                    }
                    list.extend([entry, exit]);
                }
                events += list.len();
                held.decide(vec![Job::Hear(list.into_iter().map(told).collect())], START_MS + n * DAY_MS);
            }
        }
        events as f64 / start.elapsed().as_secs_f64()
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (rate(true), rate(false))).collect();
    let (with, without) = middle(rounds, |(with, without)| with / without);
    let measured = format!("{with:.0} / {without:.0} per s");
    table.line(
        "import of 100,000 visits with a ghost of each car / without",
        &measured,
        with / without,
        Bar::AtLeast(0.5),
    );
}

/// Rebuild and verify of 25, 50 and 100 days.
fn replay(table: &mut Table) {
    let site = RebuildFor { central: CentralId::new("central-3").expect("an id"), zone: SiteZone::default() };
    let mut rates = Vec::new();
    for days in [DAYS / 4, DAYS / 2, DAYS] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut held = Held::at("central-3", directory.path().to_owned());
        for run in two_logs(0..days, CARS, |_, n| n) {
            held.decide(vec![Job::Store(run)], START_MS);
        }
        held.settle();
        held.close();
        let start = Instant::now();
        let rebuilt = rebuild::rebuild(directory.path(), &site, START_MS, &mut |_, _| ()).expect("a rebuild");
        assert_eq!(rebuilt.digest_before, rebuilt.digest_after);
        let rebuilding = rebuilt.events as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        assert!(verify::verify(directory.path(), &site, START_MS, &mut |_, _| ()).expect("a check").is_whole());
        rates.push((rebuilding, rebuilt.events as f64 / start.elapsed().as_secs_f64()));
    }
    for (name, rate) in
        [("rebuild", rates.iter().map(|r| r.0).collect::<Vec<_>>()), ("verify", rates.iter().map(|r| r.1).collect())]
    {
        let measured = format!("{:.0}, {:.0}, {:.0} per s", rate[0], rate[1], rate[2]);
        table.line(&format!("{name} of 1x, 2x, 4x: rate of 4x / 1x"), &measured, rate[2] / rate[0], Bar::AtLeast(0.8));
    }
}
