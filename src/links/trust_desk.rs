//! What this central knows of the certificates of others: asked before a socket becomes a peer, and shown to people.
//!
//! The pins are settings. One that was learned just now is in force from that moment, and saved in the background: nobody
//! else can make the first contact meanwhile. Lives on the main thread and outlives the registry.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use log::{error, info, warn};
use serde_json::json;
use tokio::sync::watch;

use super::known_authors::{Keys, KnownAuthors};
use super::mesh::MeshClock;
use super::status::{AdmittedShown, Expulsion, MeshStatus, PeerTrust, PendingShown, RefusedCertificate};
use crate::config::change::Edit;
use crate::config::model::{Config, Host, P2pMode, PeerCentral, PeopleMode};
use crate::domain::audit::{Act, By, Kind};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::domain::standing::{CentralStanding, Decision, Standing, Trusted, in_force};
use crate::ledger::settings::SetBy;
use crate::ops::offences::SaidOnce;
use crate::tls::credentials::Credentials;
use crate::tls::key_file;
use crate::tls::peers::Client;
use crate::trust::judge::{Believed, Distrust, KnownPeer, Reached, judge};
use crate::trust::strangers::{Stranger, Strangers};
use crate::wire::frame::Hello;

/// A refused certificate is shown at its peer for this long after it was seen last.
const SHOWN_MS: i64 = 60 * 60 * 1_000;
/// Most centrals shown that others let in and that were not met here; and named in a line of the log.
const MOST_ADMITTED: usize = 32;
/// A pin that could not be saved is saved again after this.
const PIN_RETRY: Duration = Duration::from_secs(10);

/// Writes down the certificate of a first contact; whether that is settled.
pub type SavePin = Box<dyn Fn(CentralId, Fingerprint) -> LocalBoxFuture<'static, bool>>;

/// What the desk is built on.
pub struct TrustParts {
    pub config: watch::Receiver<Arc<Config>>,
    pub save_pin: SavePin,
    pub credentials: Credentials,
    pub clock: MeshClock,
    /// Tells the audit of a certificate that was refused.
    pub note_refusal: Box<dyn Fn(Act)>,
    /// Tells the audit of a central that another one let in.
    pub note_admission: Box<dyn Fn(Act)>,
    /// Told of every key that is learned here: the writer asks it whose logs to believe.
    pub authors: KnownAuthors,
    /// The credentials are forgotten again: they are shown to nobody.
    pub is_off: bool,
    /// Where the key is.
    pub data_dir: PathBuf,
}

/// Cheap to clone; clones are the same desk.
#[derive(Clone)]
pub struct TrustDesk(Rc<Desk>);

struct Desk {
    parts: TrustParts,
    /// Pinned, and not yet in the settings.
    fresh: RefCell<BTreeMap<CentralId, Fingerprint>>,
    /// What was last shown in a peer's name and refused.
    refused: RefCell<BTreeMap<CentralId, RefusedCertificate>>,
    pending: RefCell<Strangers>,
    /// All that was decided; `None`: nothing was heard yet.
    decisions: RefCell<Option<Vec<Decision<SetBy>>>>,
    /// What of that counts.
    standings: RefCell<BTreeMap<Fingerprint, Stands>>,
    said: RefCell<SaidOnce>,
}

/// What is in force of one certificate.
#[derive(Debug, Clone, PartialEq)]
struct Stands {
    said: CentralStanding,
    author: CentralId,
    /// `false`: it was let in by somebody whose word counts no more.
    counts: bool,
}

impl Stands {
    fn is_admitted(&self) -> bool {
        self.counts && self.said.standing == Standing::Admitted
    }

    fn is_expelled(&self) -> bool {
        self.said.standing == Standing::Expelled
    }
}

impl TrustDesk {
    pub fn new(parts: TrustParts) -> Self {
        let (fresh, refused, pending, decisions, standings, said) = Default::default();
        let desk = Self(Rc::new(Desk { parts, fresh, refused, pending, decisions, standings, said }));
        desk.tell_authors();
        desk
    }

    /// Which keys a central may begin logs with: the pinned one; where none is, any it was ever let in or thrown out with, for what
    /// it wrote before stays.
    fn tell_authors(&self) {
        let config = self.0.parts.config.borrow().clone();
        let (mut pinned, mut decided) = (Keys::new(), Keys::new());
        for peer in &config.peer_centrals {
            // Of one that was thrown out the others say who is in its place.
            if let Some(pin) = self.pin(&peer.id).filter(|pin| !self.is_expelled(*pin)) {
                pinned.entry(peer.id.clone()).or_default().insert(pin);
            }
        }
        let mut expelled = BTreeSet::new();
        for (fingerprint, stands) in self.0.standings.borrow().iter() {
            let central = &stands.said.central;
            decided.entry(central.clone()).or_default().insert(*fingerprint);
            if stands.is_expelled() && !pinned.contains_key(central) {
                expelled.insert(central.clone());
            }
        }
        let is_open = config.security.p2p == P2pMode::Open;
        let is_asked = |peer: &CentralId| !self.pin(peer).is_some_and(|pin| self.is_expelled(pin));
        let peers = config.peer_centrals.iter().filter(|peer| !peer.legacy && is_asked(&peer.id));
        self.0.parts.authors.expect(peers.count());
        self.0.parts.authors.learn(&config.this_central.id, is_open, (pinned, decided), expelled);
    }

    /// A linked peer says which keys stand for which centrals.
    pub fn hear_keys(&self, peer: &CentralId, keys: &BTreeMap<CentralId, Vec<Fingerprint>>) {
        self.0.parts.authors.hear(peer, keys);
    }

    /// A peer is linked.
    pub fn linked(&self, peer: &CentralId) {
        if !self.0.parts.authors.linked(peer) {
            return;
        }
        let (data_dir, authors) = (self.0.parts.data_dir.clone(), self.0.parts.authors.clone());
        actix::spawn(async move {
            while let Some(rest) = authors.takes_back_for() {
                actix::clock::sleep(rest).await;
            }
            if let Err(error) = key_file::settle(&data_dir) {
                warn!(event = "key_stays_new", file:% = data_dir.join(key_file::NEW_FILE).display(), error:% = error; "cannot be removed: after the next start others are believed again about this central's earlier logs");
            }
        });
    }

    /// A linked peer's logs begin with its signature: one without is not its own.
    pub fn signs_logs(&self, peer: &CentralId) {
        self.0.parts.authors.signs(peer);
    }

    /// What is told to peers of that.
    pub fn keys_to_tell(&self) -> BTreeMap<CentralId, Vec<Fingerprint>> {
        self.0.parts.authors.to_tell()
    }

    /// This central's own fingerprint.
    pub fn own(&self) -> Fingerprint {
        self.0.parts.credentials.fingerprint()
    }

    /// Whether anybody is believed to be who he says: no TLS is spoken.
    pub fn is_open(&self) -> bool {
        self.0.parts.config.borrow().security.p2p == P2pMode::Open
    }

    /// The fingerprint a peer has to show; `None`: it was never met.
    pub fn pin(&self, peer: &CentralId) -> Option<Fingerprint> {
        let saved = self.0.parts.config.borrow().peer(peer).and_then(|peer| peer.fingerprint);
        saved.or_else(|| self.0.fresh.borrow().get(peer).copied())
    }

    /// The TLS to dial a peer with; `None`: without.
    ///
    /// # Errors
    /// Why this build cannot speak it.
    pub fn client(&self, peer: &CentralId) -> Result<Option<Client>, String> {
        if self.is_open() {
            return Ok(None);
        }
        let pin = self.pin(peer);
        if let Some(distrust) = self.turned_away(peer) {
            return Err(distrust.to_string());
        }
        Client::new(&self.0.parts.credentials, pin).map(Some).map_err(|error| error.to_string())
    }

    /// What the members of the mesh have decided of certificates; the peers that are turned away since.
    pub fn hear_decisions(&self, decided: Vec<Decision<SetBy>>) -> BTreeSet<CentralId> {
        let away = || -> BTreeSet<CentralId> {
            let config = self.0.parts.config.borrow().clone();
            let ids = config.peer_centrals.iter().map(|peer| peer.id.clone());
            ids.filter(|id| self.turned_away(id).is_some()).collect()
        };
        let (away_before, before) = (away(), self.0.standings.borrow().clone());
        let is_first = self.0.decisions.replace(Some(decided)).is_none();
        self.judge_decisions();
        if !is_first {
            self.tell_admissions(&before);
        }
        self.tell_authors();
        &away() - &away_before
    }

    /// Works out what counts of what was decided, by whom a person here trusts now.
    fn judge_decisions(&self) {
        let config = self.0.parts.config.borrow().clone();
        let by_hand = config.peer_centrals.iter().filter(|peer| !peer.introduced);
        let peers = by_hand.filter_map(|peer| Some((peer.id.clone(), self.pin(&peer.id)?))).collect();
        let trusted = Trusted { own: config.this_central.id.clone(), peers };
        let decisions = self.0.decisions.borrow();
        let counts = in_force(decisions.as_deref().unwrap_or_default(), &trusted);
        let owned = counts.into_iter().map(|(fingerprint, it)| {
            (fingerprint, Stands { said: it.said.clone(), author: it.author.clone(), counts: it.counts })
        });
        let owned = owned.collect();
        *self.0.standings.borrow_mut() = owned;
    }

    /// Says whom another central let in since: it becomes a peer here when it knocks.
    fn tell_admissions(&self, before: &BTreeMap<Fingerprint, Stands>) {
        let own = self.0.parts.config.borrow().this_central.id.clone();
        let mut let_in: BTreeMap<CentralId, Vec<CentralId>> = BTreeMap::new();
        for (fingerprint, stands) in self.0.standings.borrow().iter() {
            let was_in = before.get(fingerprint).is_some_and(Stands::is_admitted);
            if stands.is_admitted() && !was_in && stands.author != own {
                let_in.entry(stands.author.clone()).or_default().push(stands.said.central.clone());
            }
        }
        for (author, centrals) in let_in {
            let by = By::new(format!("central:{author}"), "");
            for central in centrals.iter().take(MOST_ADMITTED) {
                (self.0.parts.note_admission)(Act::new(Kind::Peer, by.clone(), central));
            }
            let names: Vec<&str> = centrals.iter().take(MOST_ADMITTED).map(CentralId::as_str).collect();
            if self.0.said.borrow_mut().is_news(author.as_str(), &names.join(" "), Instant::now()) {
                warn!(
                    event = "central_admitted", central:% = names.join(" "), by = author.as_str(), count = centrals.len();
                    "another central let these in: each becomes a peer when it knocks here; expel whom nobody knows"
                );
            }
        }
    }

    /// Why a peer of the settings is not linked, whatever it shows.
    fn turned_away(&self, peer: &CentralId) -> Option<Distrust> {
        self.is_expelled(self.pin(peer)?).then(|| Distrust::Expelled(peer.clone()))
    }

    fn is_expelled(&self, fingerprint: Fingerprint) -> bool {
        self.0.standings.borrow().get(&fingerprint).is_some_and(Stands::is_expelled)
    }

    fn expulsion(&self, fingerprint: Fingerprint) -> Option<Expulsion> {
        let standings = self.0.standings.borrow();
        let Stands { said, .. } = standings.get(&fingerprint).filter(|stands| stands.is_expelled())?;
        Some(Expulsion { reason: said.reason.clone(), by: said.by.clone() })
    }

    /// How the settings have to change for somebody who knocks, unknown here, but let in by a member of the mesh.
    pub fn introduction(&self, hello: &Hello, shown: Fingerprint, from: SocketAddr) -> Option<Edit> {
        let judged = self.judge(&hello.central, shown, Reached::From(from.ip()));
        let standings = self.0.standings.borrow();
        let admitted = &standings.get(&shown).filter(|stands| stands.is_admitted())?.said;
        if admitted.central != hello.central {
            return None;
        }
        // Whoever is confirmed may say who logs in, where people are the site's: that a person here decides.
        let unconfirmed = self.0.parts.config.borrow().security.people == PeopleMode::Site;
        let pin = json!({"fingerprint": shown, "unconfirmed": unconfirmed, "introduced": true});
        match judged {
            Err(Distrust::Unknown(id)) => {
                let ip = admitted.ip.clone().unwrap_or_else(|| from.ip().to_string());
                let address = json!({"id": id, "ip": ip, "p2p_port": admitted.p2p_port, "fingerprint": shown, "unconfirmed": unconfirmed, "introduced": true});
                Some(Edit::AddPeer(address))
            }
            Err(Distrust::Elsewhere(id)) => Some(Edit::ChangePeer(id, pin)),
            // Its machine was replaced: the old key was thrown out, the new one let in.
            Err(Distrust::Changed { claimed, pinned }) if self.is_expelled(pinned) => {
                Some(Edit::ChangePeer(claimed, pin))
            }
            _ => None,
        }
    }

    /// Whom others let in and who is no peer here yet.
    fn admitted(&self, config: &Config) -> Vec<AdmittedShown> {
        let is_known = |fingerprint: &Fingerprint| {
            *fingerprint == self.own()
                || config.peer_centrals.iter().any(|peer| self.pin(&peer.id) == Some(*fingerprint))
                || config.refused_centrals.iter().any(|refused| refused.fingerprint == *fingerprint)
        };
        let standings = self.0.standings.borrow();
        let admitted = standings.iter().filter(|(fingerprint, stands)| stands.is_admitted() && !is_known(fingerprint));
        admitted
            .take(MOST_ADMITTED)
            .map(|(fingerprint, Stands { said, author, .. })| AdmittedShown {
                central: said.central.clone(),
                fingerprint: *fingerprint,
                by: author.clone(),
                ip: said.ip.clone(),
                p2p_port: said.p2p_port,
            })
            .collect()
    }

    /// Whether whoever showed this certificate may speak as `claimed`.
    ///
    /// # Errors
    /// [`Distrust`]
    pub fn judge(&self, claimed: &CentralId, shown: Fingerprint, reached: Reached) -> Result<Believed, Distrust> {
        let config = self.0.parts.config.borrow().clone();
        if shown == self.own() {
            return Err(Distrust::OwnCertificate { claimed: claimed.clone(), own: config.this_central.id.clone() });
        }
        if self.is_expelled(shown) {
            return Err(Distrust::Expelled(claimed.clone()));
        }
        let pinned = config.peer_centrals.iter().any(|peer| peer.fingerprint == Some(shown));
        if !pinned && config.refused_centrals.iter().any(|refused| refused.fingerprint == shown) {
            return Err(Distrust::Refused(claimed.clone()));
        }
        let known = config.peer_centrals.iter().map(|peer| KnownPeer {
            id: peer.id.clone(),
            pin: self.pin(&peer.id),
            ip: peer.ip.ip(),
        });
        let believed = judge(&config.this_central.id, claimed, shown, reached, known)?;
        self.turned_away(claimed).map_or(Ok(believed), Err)
    }

    /// From now on `peer` is who has this certificate, until a person says otherwise.
    pub fn learn(&self, peer: &CentralId, shown: Fingerprint) {
        if self.pin(peer).is_some() {
            return;
        }
        self.0.fresh.borrow_mut().insert(peer.clone(), shown);
        self.judge_decisions();
        self.tell_authors();
        info!(
            event = "peer_pinned", peer = peer.as_str(), fingerprint:% = shown;
            "first contact: from now on only this certificate is that peer; compare it there and confirm it"
        );
        let (desk, peer, mut is_news) = (self.clone(), peer.clone(), true);
        actix::spawn(async move {
            loop {
                if (desk.0.parts.save_pin)(peer.clone(), shown).await {
                    desk.0.fresh.borrow_mut().remove(&peer);
                    return;
                }
                // It is in force meanwhile.
                if std::mem::take(&mut is_news) {
                    warn!(event = "pin_not_saved", peer = peer.as_str(); "the pinned certificate of a peer could not be saved; it is tried again");
                }
                tokio::time::sleep(PIN_RETRY).await;
            }
        });
    }

    /// Another certificate than the pinned one was shown in the name of a peer.
    pub fn note_refused(&self, peer: &CentralId, shown: Fingerprint, from: &str) {
        let at_ms = self.0.parts.clock.now().wall_ms;
        let refused = RefusedCertificate { fingerprint: shown, from: from.to_owned(), at_ms };
        self.0.refused.borrow_mut().insert(peer.clone(), refused);
        let act = Act::new(Kind::Refusal, By::new("", from), format!("certificate of {peer}"));
        (self.0.parts.note_refusal)(act);
        let pinned = self.pin(peer).map(|pinned| pinned.to_string()).unwrap_or_default();
        if self.0.said.borrow_mut().is_news(peer.as_str(), from, Instant::now()) {
            error!(
                event = "certificate_refused", peer = peer.as_str(), remote = from, shown:% = shown, pinned = pinned.as_str();
                "somebody else speaks in the name of a peer, or it has a new key: refused until a person accepts the new certificate"
            );
        }
    }

    /// Notes why whoever dialled us is not believed.
    pub fn note_distrust(&self, hello: &Hello, shown: Fingerprint, from: SocketAddr, distrust: &Distrust) {
        match distrust {
            Distrust::Changed { claimed, .. } => self.note_refused(claimed, shown, &from.ip().to_string()),
            Distrust::Elsewhere(_) | Distrust::Unknown(_) => {
                let now_ms = self.0.parts.clock.now().wall_ms;
                let stranger = Stranger {
                    central: hello.central.clone(),
                    from: from.ip(),
                    listens: hello.listens.as_ref().and_then(|said| {
                        let host: Host = said.ip.parse().ok()?;
                        Some((host.to_string(), said.p2p_port)).filter(|(_, port)| *port > 0)
                    }),
                    site: hello.site,
                    first_seen_ms: now_ms,
                    last_seen_ms: now_ms,
                };
                let is_new = self.0.pending.borrow_mut().spoke(shown, stranger);
                let from = from.ip().to_string();
                // A new certificate costs a stranger nothing; a new address does.
                if is_new && self.0.said.borrow_mut().is_news(&from, "pending", Instant::now()) {
                    warn!(
                        event = "peer_pending", central = hello.central.as_str(), remote = from.as_str(), fingerprint:% = shown;
                        "an unknown central wants to be linked: say yes or no on the settings page"
                    );
                }
            }
            Distrust::OwnCertificate { .. } => self.note_clone(&hello.central, &from.ip().to_string(), distrust),
            // Told as refused, with the address.
            Distrust::OwnId(_) | Distrust::OfAnother { .. } | Distrust::Refused(_) | Distrust::Expelled(_) => {}
        }
    }

    /// Somebody has this central's own key.
    pub fn note_clone(&self, claimed: &CentralId, from: &str, distrust: &Distrust) {
        let reason = distrust.to_string();
        if self.0.said.borrow_mut().is_news(claimed.as_str(), &reason, Instant::now()) {
            error!(
                event = "own_certificate_shown", peer = claimed.as_str(), remote = from, reason = reason.as_str();
                "somebody shows the certificate of this central itself: refused"
            );
        }
    }

    /// What a person decided meanwhile needs no showing any more.
    pub fn follow(&self, config: &Config) {
        self.judge_decisions();
        self.tell_authors();
        let pinned = |fingerprint: &Fingerprint| {
            let is_it = |peer: &&PeerCentral| peer.fingerprint == Some(*fingerprint);
            config.peer_centrals.iter().find(is_it).is_some_and(|peer| self.turned_away(&peer.id).is_none())
                || config.refused_centrals.iter().any(|refused| refused.fingerprint == *fingerprint)
        };
        let mut pending = self.0.pending.borrow_mut();
        for (fingerprint, _) in pending.list() {
            if pinned(&fingerprint) {
                pending.settle(&fingerprint);
            }
        }
        let mut refused = self.0.refused.borrow_mut();
        refused.retain(|peer, refused| {
            config.peer(peer).is_some_and(|peer| peer.fingerprint.is_some_and(|pin| pin != refused.fingerprint))
        });
    }

    /// Shows how each peer is known, and who waits.
    pub fn show(&self, status: &mut MeshStatus) {
        let config = self.0.parts.config.borrow().clone();
        let now_ms = self.0.parts.clock.now().wall_ms;
        let refused = self.0.refused.borrow();
        for peer in &mut status.peers {
            let known = config.peer(&peer.id);
            let fingerprint = self.pin(&peer.id);
            let expulsion = fingerprint.and_then(|pin| self.expulsion(pin));
            let let_in_by = fingerprint.filter(|_| known.is_some_and(|known| known.introduced)).and_then(|pin| {
                let standings = self.0.standings.borrow();
                standings.get(&pin).map(|stands| stands.author.clone())
            });
            peer.trust = PeerTrust {
                fingerprint,
                let_in_by,
                unconfirmed: known.is_some_and(|known| known.unconfirmed || known.fingerprint.is_none()),
                expelled: expulsion.is_some(),
                expulsion,
                certificate_refused: refused.get(&peer.id).filter(|refused| now_ms - refused.at_ms < SHOWN_MS).cloned(),
            };
        }
        status.admitted = self.admitted(&config);
        status.fingerprint = (!self.0.parts.is_off).then(|| self.own());
        let pending = self.0.pending.borrow().list();
        status.pending =
            pending.into_iter().map(|(fingerprint, stranger)| PendingShown::new(fingerprint, stranger)).collect();
    }
}
