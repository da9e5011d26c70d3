//! One central as a process of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::http::Http;
use super::net::own_address;
use super::{DEADLINE, eventually, eventually_some};

/// The same on every loopback address of the tests; away from the documented ports, where a real central may listen
/// on all addresses.
pub const API_PORT: u16 = 28_000;
pub const P2P_PORT: u16 = 29_000;
/// Lines of a log shown when a test fails.
const SHOWN_LINES: usize = 60;

/// A central: its configuration and directory, and the process while it runs.
#[derive(Debug)]
pub struct Central {
    pub id: String,
    /// Its own loopback address; both ports listen there only.
    pub ip: String,
    /// Written to the file at each start.
    pub config: Value,
    pub http: Http,
    environment: Vec<(String, String)>,
    /// A program that runs this one in another world, with its arguments: `ip netns exec …`. Ends by exec.
    runner: Vec<String>,
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Drop for Central {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- the end of the log of {} ---\n{}", self.id, shown.join("\n"));
        }
    }
}

impl Central {
    /// A central without peers, not started.
    pub fn new(id: &str) -> Self {
        let ip = own_address();
        Self {
            id: id.to_owned(),
            config: json!({
                "this_central": {"id": id, "ip": ip, "p2p_port": P2P_PORT, "api_port": API_PORT},
                "peer_centrals": [],
                // Scripted peers speak plain WebSockets, and tests call from this machine: what TLS adds is in tests/tls.rs, what
                // passwords protect in tests/access.rs.
                "security": {"p2p": "open", "admin": "open"},
            }),
            http: Http::new(format!("http://{ip}:{API_PORT}")),
            ip,
            environment: Vec::new(),
            runner: Vec::new(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            child: None,
        }
    }

    /// As [`Central::new`], proving itself to others, as is the default.
    pub fn secured(id: &str) -> Self {
        let mut central = Self::new(id);
        central.config["security"]["p2p"] = json!("tls");
        central
    }

    /// A setting of `security`; takes effect at the next start.
    pub fn security(&mut self, name: &str, mode: &str) {
        self.config["security"][name] = json!(mode);
    }

    /// A central without peers that serves.
    #[track_caller]
    pub fn standalone(id: &str) -> Self {
        let mut central = Self::new(id);
        central.start();
        central
    }

    /// Adds a peer to the configuration; takes effect at the next start.
    pub fn add_peer(&mut self, id: &str, ip: &str, p2p_port: u16) {
        let peers = self.config["peer_centrals"].as_array_mut().expect("a list of peers");
        peers.push(json!({"id": id, "ip": ip, "p2p_port": p2p_port}));
    }

    /// An environment variable of the process.
    pub fn env(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Serves by way of another program, which executes what follows its own arguments.
    pub fn run_by(&mut self, runner: &[&str]) {
        self.runner = runner.iter().map(|word| (*word).to_owned()).collect();
    }

    /// It has this address, in place of its own loopback one.
    pub fn at_address(&mut self, ip: &str) {
        self.ip = ip.to_owned();
        self.config["this_central"]["ip"] = json!(ip);
        // Unlike from loopback, all gates of a test would share one bound; tests/floods.rs is about that.
        self.config["tuning"]["max_requests_per_second"] = json!(100_000);
        self.http = Http::new(format!("http://{ip}:{API_PORT}"));
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory().join("p2p_config.json")
    }

    pub fn data_directory(&self) -> PathBuf {
        self.directory().join("data")
    }

    pub fn database(&self) -> PathBuf {
        self.data_directory().join("central.db")
    }

    /// All that was logged, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The code by which its first administrator is made, as its last start says it: soon after it is ready.
    pub fn first_code(&self) -> String {
        eventually_some(&format!("{} says its first code", self.id), DEADLINE, || {
            let log = self.log();
            let (_, of_last_start) = log.rsplit_once("event=identity")?;
            let (_, code) = of_last_start.rsplit_once("event=first_code code=")?;
            // Its line is written whole, and is not the last one.
            Some(code.split_once(' ')?.0.to_owned())
        })
    }

    fn log_file(&self) -> PathBuf {
        self.directory().join("log.txt")
    }

    /// Writes the configuration file, for a test that starts the process in its own way.
    pub fn write_config(&self) {
        std::fs::write(self.config_file(), serde_json::to_vec_pretty(&self.config).unwrap()).expect("the config file");
    }

    /// The command that serves this central.
    pub fn command(&self) -> Command {
        let serve = self.subcommand("serve");
        let Some((runner, arguments)) = self.runner.split_first() else { return serve };
        let mut command = Command::new(runner);
        command.args(arguments).arg(serve.get_program()).args(serve.get_args());
        command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.directory()).stdin(Stdio::null());
        command
    }

    /// A command of the program on this central's files.
    pub fn subcommand(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parkmesh"));
        command
            .arg(name)
            .arg("--config")
            .arg(self.config_file())
            .arg("--data-dir")
            .arg(self.data_directory())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory())
            .stdin(Stdio::null());
        command
    }

    /// Starts the process and does not wait for it. Writes the configuration file if there is none yet, unless `config` is
    /// null.
    #[track_caller]
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.id);
        if !self.config_file().exists() && !self.config.is_null() {
            self.write_config();
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("the log file");
        let both: File = log.try_clone().expect("the log file");
        self.child = Some(self.command().stdout(log).stderr(both).spawn().expect("the program starts"));
        // Connections to the process before are of no use.
        self.http = Http::new(format!("http://{}:{API_PORT}", self.ip));
    }

    /// Starts the process and waits until it can commit.
    #[track_caller]
    pub fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits until it can commit; fails at once if it ended instead.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let (http, id) = (self.http.clone(), self.id.clone());
        eventually(&format!("{id} is ready"), DEADLINE, || {
            if let Some(status) = self.ended() {
                panic!("{id} ended with {status} instead of serving");
            }
            http.try_get("/readyz").is_ok_and(|reply| reply.is_success())
        });
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The status, if the process has ended by itself.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("its status can be asked")
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait_ended(&mut self, deadline: Duration) -> ExitStatus {
        let status = eventually_some(&format!("{} ends", self.id), deadline, || self.ended());
        self.child = None;
        status
    }

    /// Kills it as a power cut would. Nothing happens if it does not run.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop; its exit status and how long it took.
    #[track_caller]
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal(Signal::TERM);
        let status = self.wait_ended(DEADLINE);
        (status, start.elapsed())
    }

    /// Stops it in its tracks (SIGSTOP); its sockets stay open.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("a signal to a child");
    }

    /// Resident memory.
    pub fn memory_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The process id, for reading its memory and CPU use.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
}
