//! Which keys stand for which centrals, as the writer asks when a log begins: who signed it, and may he write under that name.
//!
//! Shared between the main thread, which learns of keys, and the writer's. Rules and what they do not prevent: docs/decisions/043.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::domain::authorship::OpenedBy;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::ledger::authorship::{Distrusted, Judge};
use crate::tls::openings;

/// For so long after its first link a central with a new key or database takes back what an earlier one in its place wrote.
const TAKES_BACK: Duration = Duration::from_secs(10 * 60);
/// Most centrals, and keys of each, that are known by hearsay.
const MOST_CENTRALS: usize = 256;
const MOST_KEYS: usize = 8;

pub type Keys = BTreeMap<CentralId, BTreeSet<Fingerprint>>;

/// Cheap to clone; clones know the same.
#[derive(Clone)]
pub struct KnownAuthors(Arc<RwLock<Known>>);

struct Known {
    /// Centrals prove nothing to each other: whoever is linked is believed.
    is_open: bool,
    own: CentralId,
    own_key: Fingerprint,
    /// Its key or its database was made by this process.
    is_fresh: bool,
    /// When the first peer was linked.
    linked_since: Option<Instant>,
    /// Pinned in the settings, or decided by members of the mesh.
    keys: Keys,
    /// Centrals that were linked and said that their logs begin with their signature.
    signing: BTreeSet<CentralId>,
    /// What linked peers say of centrals that are not known here otherwise.
    vouched: Keys,
}

impl KnownAuthors {
    #[must_use]
    pub fn new(own: CentralId, own_key: Fingerprint, is_fresh: bool, is_open: bool) -> Self {
        let (keys, signing, vouched) = Default::default();
        Self(Arc::new(RwLock::new(Known {
            is_open,
            own,
            own_key,
            is_fresh,
            linked_since: None,
            keys,
            signing,
            vouched,
        })))
    }

    /// What the settings and the members of the mesh say now.
    pub fn learn(&self, own: &CentralId, is_open: bool, keys: Keys) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        (known.own, known.is_open, known.keys) = (own.clone(), is_open, keys);
    }

    /// What a linked peer says: it counts for centrals that nobody here has pinned.
    pub fn hear(&self, vouched: &BTreeMap<CentralId, Vec<Fingerprint>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (central, keys) in vouched {
            let is_new = !known.vouched.contains_key(central);
            if *central == known.own
                || known.keys.contains_key(central)
                || is_new && known.vouched.len() >= MOST_CENTRALS
            {
                continue;
            }
            let held = known.vouched.entry(central.clone()).or_default();
            held.extend(keys.iter().copied().take(MOST_KEYS.saturating_sub(held.len())));
        }
    }

    /// A peer is linked.
    pub fn linked(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).linked_since.get_or_insert_with(Instant::now);
    }

    /// The logs of this central begin with its signature.
    pub fn signs(&self, central: &CentralId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).signing.insert(central.clone());
    }

    /// What this central tells its peers, its own key included.
    #[must_use]
    pub fn to_tell(&self) -> BTreeMap<CentralId, Vec<Fingerprint>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_open {
            return BTreeMap::new();
        }
        let mut told: BTreeMap<CentralId, Vec<Fingerprint>> = BTreeMap::new();
        for (central, keys) in known.vouched.iter().chain(&known.keys).take(MOST_CENTRALS) {
            told.insert(central.clone(), keys.iter().copied().take(MOST_KEYS).collect());
        }
        told.insert(known.own.clone(), vec![known.own_key]);
        told
    }
}

impl Known {
    /// Whether logs of this central that it does not know may come back: it has lost its directory or database, or never had one.
    fn takes_back(&self) -> bool {
        self.is_fresh && self.linked_since.is_none_or(|since| since.elapsed() < TAKES_BACK)
    }

    fn keys_of(&self, central: &CentralId) -> Option<&BTreeSet<Fingerprint>> {
        self.keys.get(central).or_else(|| self.vouched.get(central))
    }
}

impl Judge for KnownAuthors {
    fn opened(&self, log: &LogId, message: &[u8], by: &OpenedBy) -> Result<(), Distrusted> {
        let signer = openings::signed_by(message, by).map_err(|error| Distrusted::Forged(error.to_string()))?;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let central = &log.central;
        if known.is_open || *central == known.own && (signer == known.own_key || known.takes_back()) {
            return Ok(());
        }
        match known.keys_of(central) {
            Some(keys) if keys.contains(&signer) => Ok(()),
            Some(_) => Err(Distrusted::Forged(format!("it was begun with {signer}, which is no key of {central}"))),
            None if *central == known.own => {
                Err(Distrusted::Forged(format!("this central did not begin it: {signer} did")))
            }
            None => Err(Distrusted::Unknown(format!("no key is known here that stands for {central}"))),
        }
    }

    fn unopened(&self, log: &LogId, author_opens: bool, from_author: bool) -> Result<(), Distrusted> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let central = &log.central;
        if known.is_open || from_author {
            return Ok(());
        }
        if *central == known.own {
            let why = || Distrusted::Forged("this central signs the beginning of its logs, and not of this one".into());
            return if known.takes_back() { Ok(()) } else { Err(why()) };
        }
        if author_opens || known.signing.contains(central) {
            let why =
                format!("{central} signs the beginning of its logs, and not of this one: only itself may give it");
            return Err(Distrusted::Forged(why));
        }
        // A central whose program shows nothing yet.
        let why = || Distrusted::Unknown(format!("no key is known here that stands for {central}"));
        known.keys_of(central).map(|_| ()).ok_or_else(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorship::{Opener, opening_message};
    use crate::tls::credentials::Credentials;
    use crate::tls::key_file;

    fn credentials() -> Credentials {
        let directory = tempfile::tempdir().unwrap();
        key_file::open_or_make(directory.path()).unwrap().credentials
    }

    fn id(text: &str) -> CentralId {
        text.parse().unwrap()
    }

    #[test]
    fn a_log_is_begun_by_a_key_of_its_central_or_not_believed() {
        let (own, one, former, other) = (credentials(), credentials(), credentials(), credentials());
        let known = |is_open, is_fresh| {
            let known = KnownAuthors::new(id("c0"), own.fingerprint(), is_fresh, is_open);
            let keys = [one.fingerprint(), former.fingerprint()].into();
            known.learn(&id("c0"), is_open, [(id("c1"), keys)].into());
            known.hear(&[(id("c2"), vec![other.fingerprint()]), (id("c1"), vec![other.fingerprint()])].into());
            known.hear(&[(id("c0"), vec![other.fingerprint()])].into());
            known
        };
        let anchor = "00000000000000000000000000000001".parse().unwrap();
        let opened = |known: &KnownAuthors, log: &str, by: &Credentials| {
            let log = log.parse().unwrap();
            let message = opening_message(&log, anchor);
            known.opened(&log, &message, &by.open(&message).unwrap())
        };
        let (here, fresh, open) = (known(false, false), known(false, true), known(true, false));
        for (log, by, expected) in [
            ("c1/00000000000000aa", &one, None),
            ("c1/00000000000000aa", &former, None),
            ("c1/00000000000000aa", &other, Some(true)),
            ("c2/00000000000000aa", &other, None),
            ("c2/00000000000000aa", &one, Some(true)),
            ("c77/00000000000000aa", &other, Some(false)),
            ("c0/00000000000000aa", &own, None),
            ("c0/00000000000000aa", &one, Some(true)),
        ] {
            let forged = opened(&here, log, by).err().map(|why| matches!(why, Distrusted::Forged(_)));
            assert_eq!(forged, expected, "{log}");
            assert_eq!(opened(&open, log, by), Ok(()), "{log}, where nobody proves anything");
        }
        assert_eq!(opened(&fresh, "c0/00000000000000aa", &one), Ok(()), "what an earlier key of ours began comes back");
        assert!(opened(&fresh, "c1/00000000000000aa", &other).is_err());
    }

    #[test]
    fn a_log_without_a_signature_is_believed_of_who_never_signs_and_of_itself() {
        let known = KnownAuthors::new(id("c0"), credentials().fingerprint(), false, false);
        known.learn(&id("c0"), false, [(id("c1"), BTreeSet::new())].into());
        let log = |text: &str| -> LogId { text.parse().unwrap() };
        let signing = KnownAuthors::new(id("c0"), credentials().fingerprint(), false, false);
        signing.learn(&id("c0"), false, [(id("c1"), BTreeSet::new())].into());
        signing.signs(&id("c1"));
        assert!(signing.unopened(&log("c1/00000000000000aa"), false, false).is_err(), "it said that it signs");
        for (name, author_opens, from_author, good) in [
            ("c1/00000000000000aa", false, false, true),
            ("c1/00000000000000aa", true, false, false),
            ("c1/00000000000000aa", true, true, true),
            ("c77/00000000000000aa", false, false, false),
            ("c0/00000000000000aa", false, false, false),
        ] {
            assert_eq!(known.unopened(&log(name), author_opens, from_author).is_ok(), good, "{name}");
        }
    }
}
