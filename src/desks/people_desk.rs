//! The people of the site, told from central to central: who is asked, who is told, and who has not heard yet.
//!
//! - Nothing of it goes to, or is taken from, whoever a person here has not confirmed, or while either side keeps its people to itself
//!   ([`PeopleMode`]): with the hash of a password goes the right to log in.
//! - Each says the digest of its set, and all of it to who says another one. Sets only grow together, so that what is said twice, late or
//!   never changes nothing but how long it takes; once a minute it is said again.
//! - One set of each peer waits at most, and one is taken up at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::doorkeeper::Doorkeeper;
use crate::access::people::PersonRecord;
use crate::config::model::{Config, P2pMode, PeopleMode};
use crate::domain::ids::CentralId;
use crate::domain::named::named;
use crate::wire::frame::PeopleSaid;

/// How often it is said again what was said.
const AGAIN: Duration = Duration::from_secs(60);
/// Between one set that is taken up and the next: each may cost a file and an entry of the audit.
const APART: Duration = Duration::from_millis(100);

/// See the module.
pub struct PeopleDesk {
    door: Arc<Doorkeeper>,
    config: watch::Receiver<Arc<Config>>,
    heard: Mutex<HeardOfPeople>,
    news: Notify,
}

#[derive(Debug, Default)]
struct HeardOfPeople {
    /// The digest each said last.
    digests: BTreeMap<CentralId, String>,
    /// What came and is not taken up yet.
    waiting: BTreeMap<CentralId, PeopleSaid>,
    /// What each was told last: the digest, and of which set all.
    told: BTreeMap<CentralId, String>,
    told_all: BTreeMap<CentralId, String>,
}

named! {
    /// Why a central may not know the people of this one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum WhyNotKnown {
        /// A person here has not confirmed its fingerprint.
        Unconfirmed = "unconfirmed",
        /// It is not linked, or keeps its people to itself, or has not confirmed this one, or is of an older version.
        Silent = "silent",
        /// What changed last is on its way.
        Behind = "behind",
    }
}

impl PeopleDesk {
    pub fn new(door: Arc<Doorkeeper>, config: watch::Receiver<Arc<Config>>) -> Self {
        Self { door, config, heard: Mutex::default(), news: Notify::new() }
    }

    /// A peer is linked: what it knows it says now.
    pub fn linked(&self, peer: &CentralId) {
        let mut heard = self.memory();
        heard.digests.remove(peer);
        heard.told.remove(peer);
        heard.told_all.remove(peer);
        self.news.notify_one();
    }

    /// A linked peer says what it knows of people.
    pub fn heard(&self, peer: &CentralId, mut said: PeopleSaid) {
        if !is_asked(&self.config.borrow(), peer) {
            return;
        }
        let mut heard = self.memory();
        // Of two sets of one central the later holds all of the earlier.
        let before = heard.waiting.remove(peer).and_then(|before| before.people);
        said.people = said.people.or(before);
        heard.waiting.insert(peer.clone(), said);
        self.news.notify_one();
    }

    /// The centrals that do not know all that is known here of people, as far as is known, and why; none while they are kept here.
    pub fn not_known_at(&self) -> Vec<(CentralId, WhyNotKnown)> {
        let config = self.config.borrow().clone();
        if config.security.people == PeopleMode::Local {
            return Vec::new();
        }
        let (own, heard) = (self.digest(), self.memory());
        let why = |peer: &CentralId| match heard.digests.get(peer) {
            _ if !is_asked(&config, peer) => Some(WhyNotKnown::Unconfirmed),
            None => Some(WhyNotKnown::Silent),
            Some(digest) => (*digest != own).then_some(WhyNotKnown::Behind),
        };
        config.peer_centrals.iter().filter_map(|peer| Some((peer.id.clone(), why(&peer.id)?))).collect()
    }

    /// Tells and takes up what is told, for ever. `tell`: says something to a peer, if it is linked.
    pub async fn keep(&self, tell: impl Fn(CentralId, PeopleSaid)) {
        let mut config = self.config.clone();
        let mut again = tokio::time::interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some((peer, said)) = self.next_heard() {
                self.take_up(peer, said).await;
                tokio::time::sleep(APART).await;
            }
            let asked: BTreeSet<CentralId> = {
                let config = config.borrow_and_update();
                let peers = config.peer_centrals.iter().map(|peer| peer.id.clone());
                peers.filter(|peer| is_asked(&config, peer)).collect()
            };
            for (peer, said) in self.due(asked) {
                tell(peer, said);
            }
            tokio::select! {
                () = self.news.notified() => {}
                () = self.door.people_changed() => {}
                changed = config.changed() => if changed.is_err() { return },
                _ = again.tick() => {
                    let mut heard = self.memory();
                    heard.told.clear();
                    heard.told_all.clear();
                }
            }
        }
    }

    fn digest(&self) -> String {
        self.door.accounts().people_digest()
    }

    fn next_heard(&self) -> Option<(CentralId, PeopleSaid)> {
        self.memory().waiting.pop_first()
    }

    async fn take_up(&self, peer: CentralId, said: PeopleSaid) {
        // It may have been thrown out since it came.
        if !is_asked(&self.config.borrow(), &peer) {
            return;
        }
        self.memory().digests.insert(peer.clone(), said.digest);
        let Some(people) = said.people else { return };
        let read = |record: Value| serde_json::from_value::<PersonRecord>(record).ok();
        let count = people.len();
        let records: Vec<PersonRecord> = people.into_iter().filter_map(read).collect();
        if records.len() < count {
            // Of a newer version: whoever understands them passes them on.
            warn!(event = "people_not_taken", peer = peer.as_str(), records = count - records.len(); "a central says of people what this version does not understand");
        }
        let door = self.door.clone();
        let merged = tokio::task::spawn_blocking(move || door.merge_people(&peer, records)).await;
        if !matches!(merged, Ok(Ok(()))) {
            warn!(event = "people_not_merged"; "what another central says of people could not be kept: it is asked for again");
        }
    }

    /// What is to be said now: all to who was heard to know something else, the digest to whom it is news.
    fn due(&self, asked: BTreeSet<CentralId>) -> Vec<(CentralId, PeopleSaid)> {
        let accounts = self.door.accounts();
        let digest = accounts.people_digest();
        let mut heard = self.memory();
        let mut due = Vec::new();
        for peer in asked {
            let knows_other = heard.digests.get(&peer).is_some_and(|theirs| *theirs != digest);
            let all = knows_other && heard.told_all.get(&peer) != Some(&digest);
            if !all && heard.told.get(&peer) == Some(&digest) {
                continue;
            }
            heard.told.insert(peer.clone(), digest.clone());
            let people = all.then(|| {
                heard.told_all.insert(peer.clone(), digest.clone());
                accounts.records().iter().filter_map(|record| serde_json::to_value(record).ok()).collect()
            });
            due.push((peer, PeopleSaid { digest: digest.clone(), people }));
        }
        due
    }

    fn memory(&self) -> MutexGuard<'_, HeardOfPeople> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a peer is told of people, and believed: it proves who it is, and a person here has said that it is that.
fn is_asked(config: &Config, peer: &CentralId) -> bool {
    let security = &config.security;
    let known = config.peer(peer).is_some_and(|peer| peer.fingerprint.is_some() && !peer.unconfirmed && !peer.legacy);
    security.p2p == P2pMode::Tls && security.people == PeopleMode::Site && known
}
