//! The centrals of a demo: child processes with directories of their own, linked through proxies.
//!
//! Invariant: when [`Children`] is dropped, whatever the reason, no child runs any more.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::DemoError;
use crate::lab::client::{Address, Caller};
use crate::lab::proxy::{LinkState, Proxy};

/// Pages are looked for from here on: not the documented ports, where a real central may run.
const FIRST_API_PORT: u16 = 8_101;
const FIRST_P2P_PORT: u16 = 9_101;
/// How long a child may take to serve.
const START_WITHIN: Duration = Duration::from_secs(20);
/// How long a child may take to stop before it is killed; centrals promise 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(7);
const LOOK_AT_CHILDREN: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Lines shown of the log of a child that did not start.
const SHOWN_LINES: usize = 15;

/// One running central.
#[derive(Debug)]
pub struct Central {
    pub id: String,
    pub address: Address,
    child: RefCell<Child>,
    log: PathBuf,
}

/// All of them, and the links between them.
#[derive(Debug)]
pub struct Children {
    pub centrals: Vec<Central>,
    /// By who dials and who is dialled.
    links: BTreeMap<(usize, usize), Proxy>,
    pub directory: PathBuf,
    keep: Cell<bool>,
}

impl Drop for Children {
    fn drop(&mut self) {
        for central in &self.centrals {
            // One that ended already cannot be signalled.
            let _ = kill_process(Pid::from_child(&central.child.borrow()), Signal::TERM);
        }
        let asked_at = Instant::now();
        for central in &mut self.centrals {
            let child = central.child.get_mut();
            while matches!(child.try_wait(), Ok(None)) && asked_at.elapsed() < STOP_WITHIN {
                std::thread::sleep(LOOK_AGAIN);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.keep.get() {
            println!("Data directories and logs: {}", self.directory.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("parkmesh demo: {} is left behind: {error}", self.directory.display());
        }
    }
}

impl Children {
    /// Starts `count` centrals that know each other, all with the site's clock `clock` (see `PARKMESH_CLOCK`), and
    /// waits until each of them serves.
    ///
    /// # Errors
    /// [`DemoError`], after everything that was started is stopped again.
    pub async fn start(count: usize, clock: &str, keep: bool) -> Result<Self, DemoError> {
        let directory = std::env::temp_dir().join(format!("parkmesh-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(|cause| DemoError::directory(&directory, cause))?;
        let mut children = Self { centrals: Vec::new(), links: BTreeMap::new(), directory, keep: Cell::new(keep) };
        let api_ports = free_ports(FIRST_API_PORT, count)?;
        let p2p_ports = free_ports(FIRST_P2P_PORT, count)?;
        for (to, p2p_port) in p2p_ports.iter().enumerate() {
            for from in (0..count).filter(|from| *from != to) {
                let proxy = Proxy::start(local(0), local(*p2p_port)).await.map_err(DemoError::Ports)?;
                children.links.insert((from, to), proxy);
            }
        }
        for (number, (api_port, p2p_port)) in api_ports.into_iter().zip(p2p_ports).enumerate() {
            children.spawn(number, api_port, p2p_port, clock)?;
        }
        for central in &children.centrals {
            central.wait_ready().await?;
        }
        Ok(children)
    }

    fn spawn(&mut self, number: usize, api_port: u16, p2p_port: u16, clock: &str) -> Result<(), DemoError> {
        let own = self.directory.join(id_of(number));
        let (config, log) = (own.join("p2p_config.json"), own.join("log.txt"));
        let prepare = || -> io::Result<(File, File)> {
            std::fs::create_dir_all(&own)?;
            std::fs::write(&config, self.config(number, api_port, p2p_port).to_string())?;
            let log = File::create(&log)?;
            Ok((log.try_clone()?, log))
        };
        let (output, errors) = prepare().map_err(|cause| DemoError::directory(&own, cause))?;
        let child = Command::new(std::env::current_exe().map_err(DemoError::Start)?)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(own.join("data"))
            .env("PARKMESH_CLOCK", clock)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in a terminal goes to the whole group; the centrals must outlive it until they were compared.
            .process_group(0)
            .spawn()
            .map_err(DemoError::Start)?;
        let address = Address { authority: format!("127.0.0.1:{api_port}"), path: String::new() };
        self.centrals.push(Central { id: id_of(number), address, child: RefCell::new(child), log });
        Ok(())
    }

    fn config(&self, number: usize, api_port: u16, p2p_port: u16) -> serde_json::Value {
        let peers: Vec<_> = self
            .links
            .iter()
            .filter(|((from, _), _)| *from == number)
            .map(|((_, to), proxy)| json!({"id": id_of(*to), "ip": "127.0.0.1", "p2p_port": proxy.address().port()}))
            .collect();
        json!({
            "this_central": {"id": id_of(number), "ip": "127.0.0.1", "p2p_port": p2p_port, "api_port": api_port},
            "peer_centrals": peers,
            // To look at, on this machine alone: nobody has to type a code first.
            "security": {"admin": "open"},
        })
    }

    /// Sets the link between two centrals, whoever dialled.
    pub fn set_link(&self, (one, other): (usize, usize), state: LinkState) {
        for pair in [(one, other), (other, one)] {
            if let Some(proxy) = self.links.get(&pair) {
                proxy.set(state);
            }
        }
    }

    pub fn heal_all(&self) {
        self.links.values().for_each(|proxy| proxy.set(LinkState::Open));
    }

    /// Waits until a central ended that nobody asked to, and says which. The directories are kept.
    pub async fn watch(&self) -> DemoError {
        loop {
            if let Some(error) = self.centrals.iter().find_map(|central| central.still_runs().err()) {
                self.keep_directories();
                return error;
            }
            tokio::time::sleep(LOOK_AT_CHILDREN).await;
        }
    }

    /// Keeps the directories after the end, for looking into them.
    pub fn keep_directories(&self) {
        self.keep.set(true);
    }
}

impl Central {
    fn still_runs(&self) -> Result<(), DemoError> {
        match self.child.borrow_mut().try_wait() {
            Ok(Some(status)) => Err(DemoError::NotServing(self.id.clone(), status.to_string(), end_of(&self.log))),
            _ => Ok(()),
        }
    }

    async fn wait_ready(&self) -> Result<(), DemoError> {
        let mut caller = Caller::new(self.address.clone(), START_WITHIN);
        let asked_at = Instant::now();
        while asked_at.elapsed() < START_WITHIN {
            if caller.get("/readyz").await.is_ok_and(|reply| reply.is_success()) {
                return Ok(());
            }
            self.still_runs()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let waited = format!("not ready after {} s", START_WITHIN.as_secs());
        Err(DemoError::NotServing(self.id.clone(), waited, end_of(&self.log)))
    }
}

fn id_of(number: usize) -> String {
    format!("central-{}", number + 1)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// `count` ports from `first` on that nobody listens on now.
fn free_ports(first: u16, count: usize) -> Result<Vec<u16>, DemoError> {
    // All are held until all are found.
    let found: Vec<TcpListener> =
        (first..first.saturating_add(900)).filter_map(|port| TcpListener::bind(local(port)).ok()).take(count).collect();
    let ports: io::Result<Vec<u16>> = found.iter().map(|listener| Ok(listener.local_addr()?.port())).collect();
    match ports {
        Ok(ports) if ports.len() == count => Ok(ports),
        Ok(_) => Err(DemoError::Ports(io::ErrorKind::AddrInUse.into())),
        Err(error) => Err(DemoError::Ports(error)),
    }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n")
}
