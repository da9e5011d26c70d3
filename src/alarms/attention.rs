//! What needs somebody's hand now: the one list that the pages show and the alarms are made of.
//!
//! Its texts are `common.notice_{code}` and `common.todo_{code}` of static/i18n.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::reasons;
use crate::domain::explain::Text;

/// A restart, or a cable moved to another socket, is over before somebody is called.
const PEER_PATIENCE_MS: i64 = 30_000;
/// An invoice program is away for so long before somebody is called.
const INVOICE_PATIENCE_MS: i64 = 10 * 60_000;
/// Clocks further apart than this are wrong.
const MOST_SKEW_MS: u64 = 60_500;

/// One thing that needs a hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// What it is; stable.
    pub code: &'static str,
    /// What it is about, where there may be several: a central, a camera, a log.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub member: String,
    /// For the blanks of its text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<&'static str, String>,
    /// What the program says of it, in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in Vietnamese, where somebody foresaw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_vi: Option<String>,
    /// Since when, Unix ms, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// The other centrals that see it too and tell of it; `None`: it is this central's own matter.
    #[serde(skip)]
    pub seen_by: Option<Vec<String>>,
}

impl Attention {
    fn own(code: &'static str) -> Self {
        Self {
            code,
            member: String::new(),
            values: BTreeMap::new(),
            reason: None,
            reason_vi: None,
            since_ms: None,
            seen_by: None,
        }
    }

    fn about(code: &'static str, blank: &'static str, member: &str) -> Self {
        Self { member: member.to_owned(), values: BTreeMap::from([(blank, member.to_owned())]), ..Self::own(code) }
    }

    /// Its name among all there are.
    pub fn key(&self) -> String {
        if self.member.is_empty() { self.code.to_owned() } else { format!("{}:{}", self.code, self.member) }
    }

    /// Of those who see it the one of the lowest name tells of it.
    pub fn is_told_by(&self, own: &str) -> bool {
        self.seen_by.as_ref().is_none_or(|others| others.iter().all(|other| own < other.as_str()))
    }
}

/// What a central knows of itself and of the others at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Situation {
    pub now_ms: i64,
    pub started_ms: i64,
    pub can_commit: bool,
    /// Bytes left on the disk, where they are few.
    pub little_disk: Option<u64>,
    pub clock_behind: bool,
    pub broken_config: Option<Text>,
    pub listen_error: Option<String>,
    /// What was found at the start and what parts of the program say, with its reason.
    pub notices: Vec<(&'static str, String)>,
    pub edges: Vec<EdgeSeen>,
    pub peers: Vec<PeerSeen>,
    pub logs: Vec<LogSeen>,
    pub invoices: InvoicesSeen,
    /// Who knocked and waits for a yes: its id, its fingerprint, since when.
    pub pending: Vec<(String, String, i64)>,
}

/// A camera or another program at a gate that says that it lives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EdgeSeen {
    pub id: String,
    pub name: String,
    pub online: bool,
    /// When it said anything last, and when that it lives, Unix ms.
    pub last_ms: i64,
    pub lived_ms: i64,
}

/// A peer of the settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeerSeen {
    pub id: String,
    pub connected: bool,
    pub expelled: bool,
    pub last_heard_ms: Option<i64>,
    pub clock_offset_ms: Option<i64>,
    /// What of the site it says otherwise, after it had the time to say the same: `tariff`, `time_zone`.
    pub differs: Vec<&'static str>,
    /// When another certificate was shown in its name last.
    pub certificate_refused_ms: Option<i64>,
    /// With whom it is linked, as it says.
    pub links: Vec<String>,
    /// It has somebody to tell.
    pub tells: bool,
}

/// Exits that the invoice program is still to be told of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InvoicesSeen {
    pub waiting: usize,
    pub since_ms: Option<i64>,
    /// How many of them it refused.
    pub refused: usize,
    /// Why the last attempt came to nothing.
    pub failed: Option<String>,
}

/// A log that waits for something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogSeen {
    pub log: String,
    pub waits_for: String,
    pub since_ms: Option<i64>,
}

impl Situation {
    /// All that needs a hand, the worst first.
    pub fn needs(&self) -> Vec<Attention> {
        let mut found = Vec::new();
        if !self.can_commit {
            found.push(Attention::own("no_commit"));
        }
        for (code, reason) in &self.notices {
            found.push(Attention { reason: Some(reason.clone()), ..Attention::own(code) });
        }
        if let Some(free) = self.little_disk {
            let values = BTreeMap::from([("mb", (free / 1_000_000).to_string())]);
            found.push(Attention { values, ..Attention::own("disk_low") });
        }
        found.extend(self.peers.iter().filter(|peer| self.is_gone(peer)).map(|peer| self.gone(peer)));
        for edge in self.edges.iter().filter(|edge| !edge.online) {
            let name = if edge.name.is_empty() { &edge.id } else { &edge.name };
            let values = BTreeMap::from([("id", name.clone())]);
            let since_ms = Some(edge.last_ms);
            found.push(Attention { values, since_ms, ..Attention::about("camera", "id", &edge.id) });
        }
        for log in self.logs.iter().filter(|log| log.waits_for == "forked") {
            let forked = Attention::about("forked", "log", &log.log);
            found.push(Attention { since_ms: log.since_ms, seen_by: Some(self.tellers()), ..forked });
        }
        let too_much = self.logs.iter().filter(|log| log.waits_for == "too_much");
        let writers: BTreeSet<&str> = too_much.filter_map(|log| log.log.split('/').next()).collect();
        for writer in writers {
            found.push(Attention { seen_by: Some(self.tellers()), ..Attention::about("too_much", "id", writer) });
        }
        found.extend(self.uninvoiced());
        found.extend(self.skew());
        if self.clock_behind {
            found.push(Attention::own("clock_behind"));
        }
        found.extend(self.broken_config.clone().map(|Text { vi, en }| Attention {
            reason: Some(en),
            reason_vi: Some(vi),
            ..Attention::own("broken_config")
        }));
        let unheard = self.listen_error.clone();
        found.extend(unheard.map(|reason| Attention { reason: Some(reason), ..Attention::own("p2p_port") }));
        found.extend(self.differing("zone", "time_zone"));
        found.extend(self.differing("tariff", "tariff"));
        for peer in &self.peers {
            let refused = peer
                .certificate_refused_ms
                .map(|at_ms| Attention { since_ms: Some(at_ms), ..Attention::about("certificate", "id", &peer.id) });
            found.extend(refused);
        }
        for (id, fingerprint, since_ms) in &self.pending {
            let member = fingerprint.clone();
            found.push(Attention { since_ms: Some(*since_ms), member, ..Attention::about("pending", "id", id) });
        }
        for need in found.iter_mut().filter(|need| need.reason_vi.is_none()) {
            need.reason_vi = need.reason.as_deref().and_then(reasons::vietnamese);
        }
        found
    }

    /// Whether it would be seen if this were over: a peer that is not linked yet since the start, or an edge that was not heard
    /// since, may be as it was.
    pub fn knows(&self, code: &str, member: &str) -> bool {
        match code {
            "peer" => self.peers.iter().all(|peer| peer.id != member || peer.connected || peer.expelled),
            "camera" => self.edges.iter().any(|edge| edge.id == member),
            _ => true,
        }
    }

    /// The linked centrals that have somebody to tell.
    pub fn tellers(&self) -> Vec<String> {
        let linked = self.peers.iter().filter(|peer| peer.connected && peer.tells);
        linked.map(|peer| peer.id.clone()).collect()
    }

    fn is_gone(&self, peer: &PeerSeen) -> bool {
        // Its state changes with each attempt; what counts is how long nothing was heard.
        let since_ms = peer.last_heard_ms.unwrap_or(self.started_ms);
        !peer.connected && !peer.expelled && self.now_ms.saturating_sub(since_ms) > PEER_PATIENCE_MS
    }

    fn gone(&self, peer: &PeerSeen) -> Attention {
        let miss_it =
            self.peers.iter().filter(|other| other.connected && other.tells && !other.links.contains(&peer.id));
        Attention {
            since_ms: Some(peer.last_heard_ms.unwrap_or(self.started_ms)),
            seen_by: Some(miss_it.map(|other| other.id.clone()).collect()),
            ..Attention::about("peer", "id", &peer.id)
        }
    }

    /// Exits wait too long for their invoices, or were refused.
    fn uninvoiced(&self) -> Option<Attention> {
        let InvoicesSeen { waiting, since_ms, refused, failed } = &self.invoices;
        let is_late = since_ms.is_some_and(|since_ms| self.now_ms.saturating_sub(since_ms) > INVOICE_PATIENCE_MS);
        (is_late || *refused > 0).then(|| Attention {
            values: BTreeMap::from([("count", waiting.to_string())]),
            reason: failed.clone(),
            since_ms: *since_ms,
            ..Attention::own("invoices")
        })
    }

    fn skew(&self) -> Option<Attention> {
        let apart = |peer: &PeerSeen| {
            let ms = peer.clock_offset_ms.unwrap_or(0).unsigned_abs();
            (ms > MOST_SKEW_MS).then(|| format!("{} ({} s)", peer.id, (ms + 500) / 1_000))
        };
        let peers: Vec<String> = self.peers.iter().filter_map(apart).collect();
        let values = BTreeMap::from([("peers", peers.join(", "))]);
        (!peers.is_empty()).then(|| Attention { values, seen_by: Some(self.tellers()), ..Attention::own("skew") })
    }

    fn differing(&self, code: &'static str, of: &str) -> Option<Attention> {
        let others = self.peers.iter().filter(|peer| peer.differs.contains(&of));
        let ids: Vec<&str> = others.map(|peer| peer.id.as_str()).collect();
        let values = BTreeMap::from([("peers", ids.join(", "))]);
        (!ids.is_empty()).then(|| Attention { values, seen_by: Some(self.tellers()), ..Attention::own(code) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: &str, links: &[&str]) -> PeerSeen {
        PeerSeen {
            id: id.into(),
            connected: true,
            tells: true,
            last_heard_ms: Some(1_000_000),
            links: links.iter().map(|id| (*id).to_owned()).collect(),
            ..PeerSeen::default()
        }
    }

    fn well() -> Situation {
        let peers = vec![peer("c2", &["c1", "c3"]), peer("c3", &["c1", "c2"])];
        Situation { now_ms: 1_000_000, started_ms: 1, can_commit: true, peers, ..Situation::default() }
    }

    /// What needs a hand, by name, where `change` was made to what is well.
    fn needs(change: impl FnOnce(&mut Situation)) -> Vec<String> {
        let mut seen = well();
        change(&mut seen);
        seen.needs().iter().map(Attention::key).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_named_and_nothing_else() {
        assert_eq!(needs(|_| ()), [""; 0]);
        assert_eq!(needs(|seen| seen.can_commit = false), ["no_commit"]);
        assert_eq!(needs(|seen| seen.notices = vec![("backup", "why".into())]), ["backup"]);
        assert_eq!(needs(|seen| seen.little_disk = Some(7)), ["disk_low"]);
        assert_eq!(needs(|seen| seen.clock_behind = true), ["clock_behind"]);
        assert_eq!(needs(|seen| seen.broken_config = Some(Text::default())), ["broken_config"]);
        assert_eq!(needs(|seen| seen.listen_error = Some("why".into())), ["p2p_port"]);
        assert_eq!(needs(|seen| seen.peers[0].clock_offset_ms = Some(-61_000)), ["skew"]);
        assert_eq!(needs(|seen| seen.peers[0].clock_offset_ms = Some(60_000)), [""; 0]);
        assert_eq!(needs(|seen| seen.peers[0].differs = vec!["time_zone"]), ["zone"]);
        assert_eq!(needs(|seen| seen.peers[0].differs = vec!["tariff"]), ["tariff"]);
        assert_eq!(needs(|seen| seen.peers[1].certificate_refused_ms = Some(5)), ["certificate:c3"]);
        assert_eq!(needs(|seen| seen.pending = vec![("c9".into(), "AB".into(), 5)]), ["pending:AB"]);
        let invoices = |since_ms, refused| InvoicesSeen { waiting: 3, since_ms: Some(since_ms), refused, failed: None };
        assert_eq!(needs(|seen| seen.invoices = invoices(400_000, 0)), [""; 0]);
        assert_eq!(needs(|seen| seen.invoices = invoices(399_999, 0)), ["invoices"]);
        assert_eq!(needs(|seen| seen.invoices = invoices(1_000_000, 1)), ["invoices"]);
        let edge = |online| EdgeSeen { id: "edge-1".into(), online, last_ms: 5, ..EdgeSeen::default() };
        assert_eq!(needs(|seen| seen.edges = vec![edge(true)]), [""; 0]);
        assert_eq!(needs(|seen| seen.edges = vec![edge(false)]), ["camera:edge-1"]);
        let log = |waits: &str| LogSeen { log: "c4/01".into(), waits_for: waits.into(), since_ms: None };
        assert_eq!(needs(|seen| seen.logs = vec![log("forked")]), ["forked:c4/01"]);
        assert_eq!(needs(|seen| seen.logs = vec![log("too_much"), log("too_much")]), ["too_much:c4"]);
        assert_eq!(needs(|seen| seen.logs = vec![log("source")]), [""; 0]);
    }

    #[test]
    fn a_peer_is_gone_after_half_a_minute_and_an_expelled_one_never() {
        let gone = |heard_ms: Option<i64>, started_ms| {
            needs(|seen| {
                (seen.peers[0].connected, seen.peers[0].last_heard_ms) = (false, heard_ms);
                seen.started_ms = started_ms;
            })
        };
        assert_eq!(gone(Some(970_000), 1), [""; 0]);
        assert_eq!(gone(Some(969_999), 1), ["peer:c2"]);
        assert_eq!(gone(None, 999_000), [""; 0], "it may not have come up yet");
        assert_eq!(gone(None, 1), ["peer:c2"]);
        assert_eq!(needs(|seen| (seen.peers[0].connected, seen.peers[0].expelled) = (false, true)), [""; 0]);
    }

    /// Four centrals, one of which is off; who tells of it?
    #[test]
    fn of_those_who_miss_a_central_the_lowest_tells_of_it() {
        let at = |own: &str, others: &[(&str, &[&str], bool)]| {
            let mut seen = well();
            seen.peers =
                others.iter().map(|(id, links, tells)| PeerSeen { tells: *tells, ..peer(id, links) }).collect();
            let off = PeerSeen { connected: false, last_heard_ms: Some(1), ..peer("c0", &[]) };
            seen.peers.push(off);
            seen.needs().iter().find(|need| need.code == "peer").unwrap().is_told_by(own)
        };
        assert!(at("c1", &[("c2", &["c1"], true), ("c3", &["c1"], true)]));
        assert!(!at("c2", &[("c1", &["c2"], true), ("c3", &["c2"], true)]), "c1 tells it");
        assert!(at("c2", &[("c1", &["c2", "c0"], true)]), "c1 sees nothing amiss: only this cable is cut");
        assert!(at("c2", &[("c1", &["c2"], false)]), "c1 has nobody to tell");
        assert!(at("c2", &[]), "alone");
    }

    #[test]
    fn what_is_not_heard_yet_since_the_start_is_not_over() {
        let mut seen = well();
        seen.peers[0].connected = false;
        assert!(!seen.knows("peer", "c2") && seen.knows("peer", "c3") && seen.knows("peer", "removed"));
        assert!(!seen.knows("camera", "edge-1") && seen.knows("disk_low", ""));
        seen.edges = vec![EdgeSeen { id: "edge-1".into(), online: true, ..EdgeSeen::default() }];
        assert!(seen.knows("camera", "edge-1"));
    }
}
