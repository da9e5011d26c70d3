//! Several centrals that know each other, every link through a proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use parkmesh::lab::compare::{Snapshot, difference};
use parkmesh::lab::proxy::LinkState;
use serde_json::Value;

use super::central::{Central, P2P_PORT};
use super::net::Link;
use super::{DEADLINE, eventually_ok, fast_clock};

/// Centrals `central-1`, `central-2`, …; the first is number 0.
#[derive(Debug)]
pub struct Mesh {
    pub centrals: Vec<Central>,
    /// By who dials and who is dialled.
    links: BTreeMap<(usize, usize), Link>,
}

impl Mesh {
    /// `count` centrals that know each other without anything in between, not started: for measuring.
    pub fn without_proxies(count: usize) -> Self {
        let mut centrals: Vec<Central> = (1..=count).map(|number| Central::new(&format!("central-{number}"))).collect();
        let known: Vec<(String, String)> =
            centrals.iter().map(|central| (central.id.clone(), central.ip.clone())).collect();
        for central in &mut centrals {
            let own = central.id.clone();
            for (id, ip) in known.iter().filter(|(id, _)| *id != own) {
                central.add_peer(id, ip, P2P_PORT);
            }
        }
        Self { centrals, links: BTreeMap::new() }
    }

    /// `count` centrals that know each other, not started.
    pub fn new(count: usize) -> Self {
        let mut centrals: Vec<Central> = (1..=count).map(|number| Central::new(&format!("central-{number}"))).collect();
        let mut links = BTreeMap::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let target = format!("{}:{P2P_PORT}", centrals[to].ip).parse().unwrap();
                let link = Link::to(target);
                let id = centrals[to].id.clone();
                centrals[from].add_peer(&id, "127.0.0.1", link.port());
                links.insert((from, to), link);
            }
        }
        Self { centrals, links }
    }

    /// The site's clock runs `speed` times as fast, the same at all centrals; takes effect at their next start.
    pub fn fast_clock(&mut self, speed: u32) {
        let clock = fast_clock(speed);
        for central in &mut self.centrals {
            central.env("PARKMESH_CLOCK", clock.clone());
        }
    }

    /// `count` centrals that serve and are linked.
    #[track_caller]
    pub fn start(count: usize) -> Self {
        let mut mesh = Self::new(count);
        mesh.start_all();
        mesh
    }

    /// Starts those that do not run, and waits until all are linked.
    #[track_caller]
    pub fn start_all(&mut self) {
        self.centrals.iter_mut().filter(|central| !central.is_running()).for_each(Central::spawn);
        self.centrals.iter_mut().for_each(Central::wait_ready);
        self.wait_linked(DEADLINE);
    }

    /// What `dialler` dials `dialled` through.
    pub fn link(&self, dialler: usize, dialled: usize) -> &Link {
        &self.links[&(dialler, dialled)]
    }

    /// Starts them without waiting for links: not every peer in their settings need be one of them.
    #[track_caller]
    pub fn start_all_but_linked(&mut self) {
        self.centrals.iter_mut().filter(|central| !central.is_running()).for_each(Central::spawn);
        self.centrals.iter_mut().for_each(Central::wait_ready);
    }

    /// Sets the link between two centrals, whoever dialled.
    pub fn set_link(&self, a: usize, b: usize, state: LinkState) {
        self.links[&(a, b)].set(state);
        self.links[&(b, a)].set(state);
    }

    pub fn cut(&self, a: usize, b: usize) {
        self.set_link(a, b, LinkState::Cut);
    }

    pub fn heal(&self, a: usize, b: usize) {
        self.set_link(a, b, LinkState::Open);
    }

    /// Cuts all links of one central.
    pub fn isolate(&self, central: usize) {
        self.set_links_of(central, LinkState::Cut);
    }

    /// Sets all links of one central.
    pub fn set_links_of(&self, central: usize, state: LinkState) {
        let own = self.links.iter().filter(|((from, to), _)| *from == central || *to == central);
        own.for_each(|(_, link)| link.set(state));
    }

    pub fn heal_all(&self) {
        self.links.values().for_each(|link| link.set(LinkState::Open));
    }

    /// Waits until every central that runs is linked with every other one that runs.
    #[track_caller]
    pub fn wait_linked(&self, deadline: Duration) {
        let running: Vec<&Central> = self.centrals.iter().filter(|central| central.is_running()).collect();
        eventually_ok(deadline, || {
            for central in &running {
                let status = central.http.try_get("/api/p2p/status")?.ok().body;
                let connected = connected_peers(&status);
                let missing =
                    running.iter().find(|other| other.id != central.id && !connected.iter().any(|id| *id == other.id));
                if let Some(other) = missing {
                    return Err(format!("{} is linked with {}: {status}", central.id, other.id));
                }
            }
            Ok(())
        });
    }

    /// Waits until all that run say the same, and gives that history. Call it when nothing is being written.
    #[track_caller]
    pub fn wait_equal(&self, deadline: Duration) -> Snapshot {
        let running: Vec<&Central> = self.centrals.iter().filter(|central| central.is_running()).collect();
        // Equal digests promise equal rows; the rows themselves are what people see, so both are asked.
        eventually_ok(deadline, || {
            let digests: Vec<Value> = running
                .iter()
                .map(|central| {
                    let status = central.http.p2p_status();
                    assert!(status["digest"].is_string() != (status["plates_waiting"] != 0), "{status}");
                    serde_json::json!([status["events"], status["digest"]])
                })
                .collect();
            if digests.windows(2).any(|pair| pair[0] != pair[1]) || digests[0][1].is_null() {
                return Err(format!("equal digests: {digests:?}"));
            }
            let mut histories = running.iter().map(|central| (central.id.as_str(), central.http.whole_history()));
            let first = histories.next().expect("at least one runs");
            for other in histories {
                if let Some(difference) = difference((first.0, &first.1), (other.0, &other.1)) {
                    return Err(difference);
                }
            }
            Ok(first.1)
        })
    }
}

/// The ids of the peers a status shows as connected.
fn connected_peers(status: &Value) -> Vec<&str> {
    let peers = status["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
    peers.iter().filter(|peer| peer["connected"] == true).filter_map(|peer| peer["peer_id"].as_str()).collect()
}
