//! Hosts of their own on one machine: network namespaces on a bridge, which this process can reach too.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::run;

/// Of this process, so that its tests can have theirs at the same time.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A bridge and one namespace for each host; all gone when dropped.
#[derive(Debug)]
pub struct Hosts {
    bridge: String,
    /// Tells what is theirs from what others of this machine have.
    tag: String,
    names: Vec<String>,
    subnet: String,
}

impl Hosts {
    /// # Errors
    /// Why this machine cannot: no root, no tools, no kernel support.
    pub fn new(count: usize) -> Result<Self, String> {
        let (process, before) = (std::process::id() % 100_000, COUNT.fetch_add(1, Ordering::Relaxed));
        // A net of the benchmark range, which nobody routes.
        let subnet = format!("198.18.{}", (process + 64 * before) % 256);
        let tag = format!("{process}-{before}");
        let mut hosts = Self { bridge: format!("pmb{tag}"), tag, names: Vec::new(), subnet };
        run("ip", &["link", "add", &hosts.bridge, "type", "bridge"])?;
        let own = format!("{}/24", hosts.own_address());
        run("ip", &["address", "add", &own, "dev", &hosts.bridge])?;
        run("ip", &["link", "set", &hosts.bridge, "up"])?;
        for number in 1..=count {
            hosts.add(number)?;
        }
        Ok(hosts)
    }

    fn add(&mut self, number: usize) -> Result<(), String> {
        let name = format!("pm{}-{number}", self.tag);
        run("ip", &["netns", "add", &name])?;
        self.names.push(name.clone());
        let (outside, address) = (self.cable(number - 1), format!("{}/24", self.address(number - 1)));
        run("ip", &["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        run("ip", &["link", "set", &outside, "master", &self.bridge, "up"])?;
        let inside = |arguments: &[&str]| run("ip", &[&["-n", name.as_str()], arguments].concat());
        inside(&["address", "add", &address, "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        inside(&["link", "set", "lo", "up"])?;
        self.filter(number - 1, &[])
    }

    /// The end of a host's cable at the bridge.
    fn cable(&self, host: usize) -> String {
        format!("pmv{}-{host}", self.tag)
    }

    pub fn address(&self, host: usize) -> String {
        format!("{}.{}", self.subnet, host + 1)
    }

    /// Of this process on the bridge.
    pub fn own_address(&self) -> String {
        format!("{}.254", self.subnet)
    }

    /// What runs a program on a host.
    pub fn runner(&self, host: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[host]]
    }

    /// The rules a host's packets obey from now on: `input` or `output` and an nft rule.
    ///
    /// # Errors
    /// Why they cannot be set.
    pub fn filter(&self, host: usize, rules: &[(&str, &str)]) -> Result<(), String> {
        let mut script = String::from("flush ruleset\nadd table inet t\n");
        for chain in ["input", "output"] {
            script.push_str(&format!("add chain inet t {chain} {{ type filter hook {chain} priority 0; }}\n"));
        }
        for (chain, rule) in rules {
            script.push_str(&format!("add rule inet t {chain} {rule}\n"));
        }
        let mut nft = std::process::Command::new("ip")
            .args(["netns", "exec", &self.names[host], "nft", "-f", "-"])
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .map_err(|error| format!("nft: {error}"))?;
        let written = std::io::Write::write_all(nft.stdin.as_mut().expect("a pipe"), script.as_bytes());
        let output = nft.wait_with_output().map_err(|error| format!("nft: {error}"))?;
        match (written, output.status.success()) {
            (Ok(()), true) => Ok(()),
            _ => Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run("ip", &["netns", "del", name]);
        }
        let _ = run("ip", &["link", "del", &self.bridge]);
    }
}
