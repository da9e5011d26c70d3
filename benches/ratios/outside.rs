//! What is measured by other programs: the yardsticks, and the load of `parkmesh bench`.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Plan;
use crate::common::net::own_address;
use crate::common::{DEADLINE, eventually};

/// Edges of the loaded case.
pub const EDGES: u32 = 64;
/// Events in a transaction of somebody who catches up.
pub const CATCH_UP_BATCH: u32 = 2_000;

/// How long each G(b) is measured in a round.
const YARDSTICK_SECONDS: &str = "2";

/// A load of `parkmesh bench`, as it reported it.
#[derive(Debug, Clone)]
pub struct Load(Value);

impl Load {
    pub fn answers_per_s(&self) -> f64 {
        self.0["answers_per_s"].as_f64().expect("answers_per_s")
    }

    /// `p50`, `p99`, … in µs.
    pub fn latency_us(&self, name: &str) -> f64 {
        self.0["latency_us"][name].as_f64().expect("a latency")
    }

    pub fn answers(&self) -> f64 {
        self.0["answers"].as_f64().expect("answers")
    }

    /// Nothing but successful, first answers: otherwise the figure is not of what it says.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert!(self.0["errors"].as_object().is_some_and(serde_json::Map::is_empty), "{}", self.0);
        assert_eq!(self.0["repeated"], 0);
        self
    }
}

/// Runs `parkmesh bench --json` with these arguments; its whole report.
#[track_caller]
pub fn bench(arguments: &[&str]) -> Value {
    let output = bench_command(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON report")
}

/// The same as a command, for running beside something else.
pub fn bench_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parkmesh"));
    command.arg("bench").arg("--json").args(arguments).stderr(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The `load` of a report.
pub fn load_of(report: &Value) -> Load {
    Load(report["load"].clone())
}

/// `10s`, for the command line.
pub fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// What the machine can do.
#[derive(Debug)]
pub struct Yardsticks {
    /// Events in a transaction of what is held against them.
    batch: u32,
    /// Rows per second by rows per commit.
    pub g: BTreeMap<u32, f64>,
    /// One synced commit of one row of a history, µs.
    pub f1_us: f64,
    /// One synced commit of one small row without an index, µs.
    pub s1_us: f64,
    /// H(64), answers per second.
    pub hello_per_s: f64,
    /// One POST that does nothing, one at a time, µs.
    pub hello_idle_us: f64,
    /// One POST that commits the row of F1 before it is answered, one at a time, µs.
    pub committing_idle_us: f64,
    /// Cores of this machine.
    pub cores: f64,
}

impl Yardsticks {
    /// `batch`: events in a transaction, as seen in what is held against them.
    pub fn measure(plan: &Plan, batch: u32) -> Self {
        let mut yardsticks = Self::of_the_disk(batch);
        let run_for = seconds(plan.run_for);
        let load = |server: &Hello, edges: &str| {
            load_of(&bench(&["--hello", &server.url, "--edges", edges, "--for", &run_for])).clean()
        };
        let hello = Hello::start("--serve-hello");
        yardsticks.hello_per_s = load(&hello, &EDGES.to_string()).answers_per_s();
        yardsticks.hello_idle_us = load(&hello, "1").latency_us("p50");
        drop(hello);
        yardsticks.committing_idle_us = load(&Hello::start("--serve-commits"), "1").latency_us("p50");
        yardsticks
    }

    /// Those of the disk alone.
    pub fn of_the_disk(batch: u32) -> Self {
        let mut yardsticks = Self {
            batch,
            g: BTreeMap::new(),
            f1_us: f64::NAN,
            s1_us: f64::NAN,
            hello_per_s: f64::NAN,
            hello_idle_us: f64::NAN,
            committing_idle_us: f64::NAN,
            cores: std::thread::available_parallelism().map_or(1, usize::from) as f64,
        };
        yardsticks.measure_disk();
        yardsticks
    }

    /// Runs `yardstick.rs` as a process of its own; its lines are described there.
    fn measure_disk(&mut self) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--yardstick", YARDSTICK_SECONDS]);
        command.args([1, self.batch, CATCH_UP_BATCH].map(|group| group.to_string()));
        let output = command.stderr(Stdio::inherit()).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // `yardstick <name> <events per transaction> <value> <unit>`
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["yardstick", name, batch, value, _unit] = words.as_slice() else { continue };
            match (*name, batch.parse(), value.parse::<f64>()) {
                ("F1", _, Ok(us)) => self.f1_us = us,
                ("S1", _, Ok(us)) => self.s1_us = us,
                ("G", Ok(batch), Ok(events_per_s)) => drop(self.g.insert(batch, events_per_s)),
                _ => {}
            }
        }
        assert!(!self.g.is_empty() && self.f1_us > 0.0, "no yardsticks in: {text}");
    }

    /// G at the batch nearest to `batch` that was measured.
    pub fn g(&self, batch: u32) -> f64 {
        *self.g.iter().min_by_key(|(measured, _)| measured.abs_diff(batch)).expect("a yardstick").1
    }

    /// F1 and an idle POST, µs: what one edge's answer takes at least.
    pub fn alone_us(&self) -> f64 {
        self.f1_us + self.hello_idle_us
    }

    /// L(64): answers per second if HTTP and the disk cost what they cost alone, and nothing else did.
    pub fn limit(&self) -> f64 {
        self.cores / (self.cores / self.hello_per_s + 1.0 / self.g(self.batch))
    }

    pub fn print(&self) {
        for (batch, rows) in &self.g {
            println!("G({batch}) = {rows:.0} rows/s");
        }
        println!(
            "F1 = {:.0} µs, S1 = {:.0} µs, idle POST = {:.0} µs, the same with F1's commit in it = {:.0} µs",
            self.f1_us, self.s1_us, self.hello_idle_us, self.committing_idle_us
        );
        println!(
            "H({EDGES}) = {:.0}/s, L({EDGES}) = {:.0}/s on {} cores\n",
            self.hello_per_s,
            self.limit(),
            self.cores
        );
    }
}

/// The hello server as a process of its own.
struct Hello {
    url: String,
    child: Child,
}

impl Hello {
    /// `how`: `--serve-hello` or `--serve-commits`.
    fn start(how: &str) -> Self {
        let address = format!("{}:28001", own_address());
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args([how, &address])
            .spawn()
            .expect("it starts");
        let server = Self { url: format!("http://{address}/"), child };
        eventually("hello serves", DEADLINE, || TcpStream::connect(&address).is_ok());
        server
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
