//! The mesh as this central sees it and shows it: at `/api/p2p/status`, in the feed of dashboards, and to its own actors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::replication::coordinator::allowance::TakenOf;
use crate::trust::site::SiteMark;
use crate::trust::strangers::Stranger;

/// How a tariff that nobody has set yet is named between centrals.
pub const BUILT_IN_TARIFF: &str = "built-in";

/// The mesh as this central sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeshStatus {
    /// Whether links can be made at all: the P2P port is bound.
    pub listening: Option<String>,
    /// Why not, if not.
    pub listen_error: Option<String>,
    /// Frames since the start.
    pub messages_sent: u64,
    pub messages_received: u64,
    /// The event that set the tariff in force here, or [`BUILT_IN_TARIFF`].
    pub tariff_version: String,
    pub peers: Vec<PeerShown>,
    /// Who knocked and waits for a person's yes, who came first first.
    pub pending: Vec<PendingShown>,
    /// Whom another central let in and who was not met here yet, at most 32.
    pub admitted: Vec<AdmittedShown>,
    pub nearby: NearbyShown,
    /// Of this central's certificate; `None`: the mesh does not answer.
    pub fingerprint: Option<Fingerprint>,
    /// The site this central belongs to; `None`: the mesh does not answer.
    pub site: Option<SiteMark>,
    pub logs: Vec<LogShown>,
    /// Logs that were announced and wait for their turn, beside those.
    pub more_logs: usize,
}

/// One peer of the settings and the link to it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PeerShown {
    #[serde(skip)]
    pub id: CentralId,
    pub ip: String,
    pub port: u16,
    pub connected: bool,
    #[schema(pattern = "^(connected|connecting|disconnected)$")]
    pub state: String,
    /// In that state since, Unix ms.
    pub since_ms: i64,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// The next dial, Unix ms, while there is no link.
    pub next_attempt_ms: Option<i64>,
    /// The last frame or pong, Unix ms.
    pub last_heard_ms: Option<i64>,
    pub round_trip_ms: Option<f64>,
    /// Its clock minus ours.
    pub clock_offset_ms: Option<i64>,
    pub unacked_bytes: u64,
    /// Linked, and nothing that is to be carried waits for a minute, in neither direction. Connected, in sync, fresh and moving
    /// are four things.
    pub moving: bool,
    /// What has waited longest for it to say that it holds it: what was sent, or this central wrote and it does not ask for; null: nothing.
    pub oldest_unacked: Option<OldestUnacked>,
    /// Events it announced that are not held here; null: unknown.
    pub we_lack_events: Option<u64>,
    /// Events held here that it has not said it holds; null: unknown.
    pub it_lacks_events: Option<u64>,
    /// What was taken of its own logs since this process started. Not told to dashboards: it changes all the time.
    #[serde(skip)]
    pub taken: TakenOf,
    /// What it has said otherwise than this central for so long that it is no news on its way: names of digests.
    #[serde(skip)]
    pub differs: Vec<&'static str>,
    /// What it said of itself in its last HEARTBEAT, at most 30 s old; null before the first.
    pub says: Option<PeerSays>,
    #[serde(flatten)]
    pub trust: PeerTrust,
}

/// Events that were sent to a peer and that it has not said it committed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OldestUnacked {
    #[schema(value_type = String)]
    pub log: LogId,
    /// The number of the last of them.
    pub to: u64,
    /// Sent then, Unix ms.
    pub since_ms: i64,
    /// How long ago that is.
    pub age_ms: u64,
}

/// How a peer is known to be who it says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct PeerTrust {
    /// Of the certificate it has to show; null: it was never met.
    #[schema(value_type = Option<String>)]
    pub fingerprint: Option<Fingerprint>,
    /// No person has compared it yet.
    pub unconfirmed: bool,
    /// It was let in on the word of this central alone; null: a person here set it up or confirmed it.
    #[schema(value_type = Option<String>)]
    pub let_in_by: Option<CentralId>,
    /// A person expelled it from the mesh, here or elsewhere.
    pub expelled: bool,
    /// Why and by whom it was; null: it was not.
    pub expulsion: Option<Expulsion>,
    /// Another certificate was shown in its name within the last hour, and refused.
    pub certificate_refused: Option<RefusedCertificate>,
}

/// That a person threw a central out of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Expulsion {
    pub reason: Option<String>,
    /// Who did it.
    pub by: Option<String>,
}

/// A certificate that is not the one pinned for a peer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RefusedCertificate {
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// Where it was shown: the address of who dialled us, or that we dialled.
    pub from: String,
    /// When last, Unix ms.
    pub at_ms: i64,
}

/// What a peer says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PeerSays {
    /// The centrals it is linked with.
    #[schema(value_type = Vec<String>)]
    pub links: Vec<CentralId>,
    /// The tariff in force there: the event that set it, or `built-in`; null: it did not say.
    pub tariff_version: Option<String>,
    /// Its site's time zone; null: it did not say.
    pub time_zone: Option<String>,
    /// It has somebody to tell of alarms.
    pub alarms: bool,
    /// How it is set, by the names of `security` in the settings: modes are each machine's own. Empty: it did not say.
    pub modes: BTreeMap<String, String>,
}

/// A central that another one let in: when it knocks it becomes a peer here, unless somebody expels it, or who let it in.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AdmittedShown {
    #[schema(value_type = String)]
    pub central: CentralId,
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// The central that says so.
    #[schema(value_type = String)]
    pub by: CentralId,
    /// Where it can be dialled, as that one says; null: it does not say.
    pub ip: Option<String>,
    pub p2p_port: Option<u16>,
}

/// A central nobody configured that knocked and waits for a person's yes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PendingShown {
    /// Who it says it is.
    #[schema(value_type = String)]
    pub central: CentralId,
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// The address it knocked from.
    #[schema(value_type = String)]
    pub from: IpAddr,
    /// Where it says it can be dialled; null: it does not say.
    pub ip: Option<String>,
    pub p2p_port: Option<u16>,
    /// Which site it says it belongs to.
    #[serde(skip)]
    pub site: Option<SiteMark>,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

impl PendingShown {
    pub fn new(fingerprint: Fingerprint, stranger: Stranger) -> Self {
        let Stranger { central, from, listens, site, first_seen_ms, last_seen_ms } = stranger;
        let (ip, p2p_port) = listens.unzip();
        Self { central, fingerprint, from, ip, p2p_port, site, first_seen_ms, last_seen_ms }
    }
}

/// Centrals on this network that say that they are there, and are no peers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NearbyShown {
    /// Whether this central looks, and says that it is there itself.
    #[schema(pattern = "^(on|off|failed)$")]
    pub state: String,
    /// Why it does not; `off`: `switched_off`, `loopback` (others cannot reach it), `no_proof` (centrals prove nothing to each other, or
    /// its key cannot be used) or `not_ipv4`; `failed`: what the system said.
    pub reason: Option<String>,
    /// At most 32, each until it was silent for 150 s.
    pub found: Vec<FoundShown>,
}

impl Default for NearbyShown {
    fn default() -> Self {
        Self { state: "off".to_owned(), reason: None, found: Vec::new() }
    }
}

/// A central that says on this network that it is there. Nothing of it is proven until it is linked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FoundShown {
    #[schema(value_type = String)]
    pub central: CentralId,
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// Where it said so from.
    #[schema(value_type = String)]
    pub ip: IpAddr,
    pub p2p_port: u16,
    /// `new`: of no site yet; `same_site`; `its_site`: of a site that this central would come to. Not to be linked: `other_site`; `id_taken`: by
    /// this central or a peer.
    #[schema(pattern = "^(new|same_site|its_site|other_site|id_taken)$")]
    pub nearness: String,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

/// One log of the mesh.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogShown {
    #[schema(value_type = String)]
    pub log: LogId,
    /// Events held here.
    pub have: u64,
    /// The most anyone announced.
    pub known: u64,
    /// The peer it comes from.
    #[schema(value_type = Option<String>)]
    pub source: Option<CentralId>,
    /// What it waits for, and since when (Unix ms), if it does.
    pub waits_for: Option<String>,
    pub waits_since_ms: Option<i64>,
}
