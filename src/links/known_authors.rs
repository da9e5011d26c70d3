//! Which keys stand for which centrals, as the writer asks when a log begins: who signed it, and may he write under that name.
//!
//! Shared between the main thread, which learns of keys, and the writer's. Rules and what they do not prevent: docs/decisions/043.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::domain::authorship::OpenedBy;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, LogId};
use crate::ledger::authorship::{Distrusted, Judge};
use crate::ledger::runs::MAX_LOGS_OF_ONE;
use crate::tls::credentials;

/// For so long after it was linked with half of its peers, or after more of it came, a central with a new key or database takes back what an
/// earlier one in its place wrote: as long as peers have more to give, however slowly.
pub const TAKES_BACK: Duration = Duration::from_secs(10 * 60);
/// Most centrals, and keys of each, that are known by hearsay, or told.
const MOST_CENTRALS: usize = 256;
const MOST_KEYS: usize = 64;
/// Most keys that a central says it had. Fewer, so that those who believe it tell of all.
const MOST_EARLIER_KEYS: usize = 16;

pub type Keys = BTreeMap<CentralId, BTreeSet<Fingerprint>>;

/// Cheap to clone; clones know the same.
#[derive(Clone)]
pub struct KnownAuthors(Arc<RwLock<KnownKeys>>);

struct KnownKeys {
    /// Centrals prove nothing to each other: whoever is linked is believed.
    is_open: bool,
    own: CentralId,
    own_key: Fingerprint,
    /// Its key was not linked with others for long yet, or its database was made by this process.
    is_fresh: bool,
    /// How many peers the settings name, those that were thrown out not counted.
    peers: usize,
    /// Those that were linked so far.
    linked: BTreeSet<CentralId>,
    /// When that became half of them, or more of this central's logs came last.
    taking_back: Option<Instant>,
    /// Peers that announced a log in this central's name: who never met it, or begins anew as well, says nothing.
    witnesses: BTreeSet<CentralId>,
    /// Which keys each linked peer says this central had.
    told_of_own: BTreeMap<CentralId, BTreeSet<Fingerprint>>,
    /// Those logs that most of them hold.
    held_by_others: BTreeSet<LogId>,
    /// Pinned in the settings, each the one of a peer.
    pinned: Keys,
    /// What members of the mesh decided: whose keys they are is the word of who decided.
    decided: Keys,
    /// Thrown out, and nobody is in their place.
    expelled: BTreeSet<CentralId>,
    /// With these keys logs were begun that were taken.
    begun: Keys,
    /// Who proved its present key says which ones it had before.
    said_of_itself: Keys,
    /// Centrals that were linked and said that their logs begin with their signature.
    signing: BTreeSet<CentralId>,
    /// What linked peers say of centrals that are not known here otherwise.
    vouched: BTreeMap<CentralId, Keys>,
}

impl KnownAuthors {
    pub fn new(own: CentralId, own_key: Fingerprint, is_fresh: bool, is_open: bool) -> Self {
        let (pinned, decided, expelled, begun, said_of_itself, signing, vouched) = Default::default();
        let (linked, witnesses, told_of_own, held_by_others) = Default::default();
        Self(Arc::new(RwLock::new(KnownKeys {
            is_open,
            own,
            own_key,
            is_fresh,
            peers: 0,
            linked,
            taking_back: None,
            witnesses,
            told_of_own,
            held_by_others,
            pinned,
            decided,
            expelled,
            begun,
            said_of_itself,
            signing,
            vouched,
        })))
    }

    /// What the settings and the members of the mesh say now.
    pub fn learn(
        &self,
        own: &CentralId,
        is_open: bool,
        (pinned, decided): (Keys, Keys),
        expelled: BTreeSet<CentralId>,
    ) {
        let mut known = self.write();
        let KnownKeys { pinned: before, said_of_itself, vouched, .. } = &mut *known;
        // What it said was the word of who had the key that is pinned no more.
        said_of_itself.retain(|central, _| before.get(central) == pinned.get(central));
        vouched.retain(|peer, _| before.get(peer) == pinned.get(peer));
        (known.own, known.is_open) = (own.clone(), is_open);
        (known.pinned, known.decided, known.expelled) = (pinned, decided, expelled);
    }

    /// A log of that central, begun with this signature, is held here: whoever signed may continue to begin others.
    pub fn held(&self, central: &CentralId, by: &OpenedBy) {
        if let Some(key) = credentials::key_of(by) {
            add(&mut self.write().begun, central, [key]);
        }
    }

    /// What a linked peer says: of itself it is believed; of others where nobody here has pinned them and half of the peers agree.
    pub fn hear(&self, peer: &CentralId, told: &BTreeMap<CentralId, Vec<Fingerprint>>) {
        let mut known = self.write();
        let mut of_others = Keys::new();
        for (central, keys) in told {
            let keys = keys.iter().copied();
            if central == peer {
                add(&mut known.said_of_itself, central, keys.take(MOST_EARLIER_KEYS));
            } else if *central == known.own {
                known.told_of_own.insert(peer.clone(), keys.take(MOST_KEYS).collect());
            } else {
                add(&mut of_others, central, keys);
            }
        }
        known.vouched.insert(peer.clone(), of_others);
    }

    /// So many peers are there to be asked.
    pub fn expect(&self, peers: usize) {
        self.write().peers = peers;
    }

    /// A peer is linked. Whether half of them were by now, and not before, and this central has a new key: it takes back what it wrote
    /// before, until [`TAKES_BACK`] after the last of it came.
    pub fn linked(&self, peer: &CentralId) -> bool {
        let mut known = self.write();
        known.linked.insert(peer.clone());
        if known.taking_back.is_some() || 2 * known.linked.len() < known.peers {
            return false;
        }
        known.taking_back = Some(Instant::now());
        known.is_fresh
    }

    /// For how long this central takes back what it wrote before, if nothing more of it comes; `None`: it is over.
    pub fn takes_back_for(&self) -> Option<Duration> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).takes_back_for()
    }

    /// A run of a log came. Of one in this central's own name it is noted whether most of those who hold any such hold it. `announcing`: the
    /// linked peers that announced that log, and those that announced any of its central.
    pub fn announced(&self, log: &LogId, announcing: impl FnOnce() -> (BTreeSet<CentralId>, BTreeSet<CentralId>)) {
        let is_asked = |known: &KnownKeys| known.is_fresh && log.central == known.own;
        if !is_asked(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let (it, any) = announcing();
        let mut known = self.write();
        // What they gave is held since, and announced no more.
        known.witnesses.extend(any);
        if 2 * it.len() > known.witnesses.len() && known.held_by_others.len() < MAX_LOGS_OF_ONE {
            known.held_by_others.insert(log.clone());
        }
    }

    /// The logs of this central begin with its signature.
    pub fn signs(&self, central: &CentralId) {
        self.write().signing.insert(central.clone());
    }

    /// What this central tells its peers, its own keys included.
    pub fn to_tell(&self) -> BTreeMap<CentralId, Vec<Fingerprint>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_open {
            return BTreeMap::new();
        }
        // Its own first: of what is told a part may be left out.
        let mut told: Keys = [(known.own.clone(), [known.own_key].into())].into();
        let of_all = known.decided.keys().map(|central| (central.clone(), known.decided_of(central).collect()));
        let decided: Keys = of_all.filter(|(_, keys): &(_, BTreeSet<_>)| !keys.is_empty()).collect();
        for keys in [&known.pinned, &known.begun, &known.said_of_itself, &decided, &known.believed()] {
            for (central, keys) in keys {
                add(&mut told, central, keys.iter().copied());
            }
        }
        told.into_iter().map(|(central, keys)| (central, keys.into_iter().collect())).collect()
    }

    fn write(&self) -> RwLockWriteGuard<'_, KnownKeys> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(to: &mut Keys, central: &CentralId, keys: impl IntoIterator<Item = Fingerprint>) {
    if to.len() >= MOST_CENTRALS && !to.contains_key(central) {
        return;
    }
    let held = to.entry(central.clone()).or_default();
    held.extend(keys.into_iter().take(MOST_KEYS.saturating_sub(held.len())));
}

impl KnownKeys {
    fn takes_back_for(&self) -> Option<Duration> {
        let since = self.taking_back.map_or(Duration::ZERO, |since| since.elapsed());
        TAKES_BACK.checked_sub(since).filter(|rest| self.is_fresh && !rest.is_zero())
    }

    /// Whether a log in this central's own name that it does not know comes back: it has lost its directory or database, and most of
    /// those who would have taken that log from it hold it.
    fn takes_back(&self, log: &LogId) -> Result<(), Distrusted> {
        if self.takes_back_for().is_none() {
            return Err(Distrusted::Forged("this central did not begin it".into()));
        }
        // Before half of them are linked too few can have spoken.
        if self.taking_back.is_some() && self.held_by_others.contains(log) {
            return Ok(());
        }
        // Others may be linked yet, or hold it yet.
        Err(Distrusted::Unsigned(
            "it is in this central's name, which has a new key, and most of those who hold anything of its name do not hold it".into(),
        ))
    }

    /// Whether most of those who hold logs of this central say that it had this key.
    fn is_told_by_most(&self, key: Fingerprint) -> bool {
        let tells = |peer: &&CentralId| self.told_of_own.get(*peer).is_some_and(|keys| keys.contains(&key));
        2 * self.witnesses.iter().filter(tells).count() > self.witnesses.len()
    }

    /// Whether this key stands for that central; `None`: no key is known that does.
    ///
    /// Of a central that is pinned nobody else says which keys it has: else any member could write in its name by letting in a key.
    fn is_key_of(&self, central: &CentralId, key: Fingerprint) -> Option<bool> {
        let (decided, believed) = (self.decided_of(central), self.believed());
        let of_it = |keys: &'_ Keys| keys.get(central).cloned().unwrap_or_default();
        let mut known = of_it(&self.begun);
        known.extend(of_it(&self.said_of_itself));
        if self.pinned.contains_key(central) {
            known.extend(of_it(&self.pinned));
        } else {
            known.extend(decided.chain(of_it(&believed)));
        }
        (!known.is_empty()).then(|| known.contains(&key))
    }

    fn knows(&self, central: &CentralId) -> bool {
        [&self.pinned, &self.begun, &self.believed()].iter().any(|keys| keys.contains_key(central))
            || self.decided_of(central).next().is_some()
    }

    /// What members of the mesh decided to be its keys, but for what they say of a key that is another central's: nobody becomes a second
    /// central by saying so.
    fn decided_of(&self, central: &CentralId) -> impl Iterator<Item = Fingerprint> {
        let said = self.decided.get(central).into_iter().flatten().copied();
        said.filter(move |key| {
            let begins = |(of, begun): (&CentralId, &BTreeSet<Fingerprint>)| of != central && begun.contains(key);
            self.pinned_as_another(central, *key).is_none() && !self.begun.iter().any(begins)
        })
    }

    /// The other central that this key is known of here: this one, or the peer it is pinned for.
    fn pinned_as_another(&self, central: &CentralId, key: Fingerprint) -> Option<&CentralId> {
        let mut pinned = self.pinned.iter().filter(|(_, keys)| keys.contains(&key)).map(|(of, _)| of);
        let own = (key == self.own_key).then_some(&self.own);
        own.into_iter().chain(&mut pinned).find(|of| *of != central)
    }

    /// What at least half of the peers say of others, those that say nothing counted: one alone invents nobody where there are more
    /// than two. Half, and not more, so that in a ring what only one of two neighbours can know goes round.
    fn believed(&self) -> Keys {
        let mut count: BTreeMap<(&CentralId, Fingerprint), usize> = BTreeMap::new();
        for (central, keys) in self.vouched.values().flatten() {
            for key in keys {
                *count.entry((central, *key)).or_default() += 1;
            }
        }
        let mut believed = Keys::new();
        let is_said_by_half = |count: usize| 2 * count >= self.pinned.len();
        for ((central, key), _) in count.into_iter().filter(|(_, count)| is_said_by_half(*count)) {
            if self.pinned_as_another(central, key).is_some() {
                continue;
            }
            believed.entry(central.clone()).or_default().insert(key);
        }
        believed
    }

    fn opened(&self, log: &LogId, signer: Fingerprint) -> Result<(), Distrusted> {
        let central = &log.central;
        if self.is_open {
            return Ok(());
        }
        if *central == self.own {
            let began_before = || self.begun.get(central).is_some_and(|keys| keys.contains(&signer));
            let is_anothers = || self.pinned.values().any(|keys| keys.contains(&signer));
            return if signer == self.own_key || began_before() {
                Ok(())
            } else if is_anothers() {
                Err(Distrusted::Forged(format!("this central did not begin it: {signer} did")))
            } else {
                // A name alone says nothing of what is given under it.
                self.takes_back(log)?;
                let unknown = || format!("most of those who hold logs of this central know nothing of {signer}");
                if self.is_told_by_most(signer) { Ok(()) } else { Err(Distrusted::Unsigned(unknown())) }
            };
        }
        match self.is_key_of(central, signer) {
            Some(true) => Ok(()),
            // It may be told yet, or be in its place by then.
            known => {
                let unknown = || match known {
                    Some(_) => format!("it was begun with {signer}, which is no key of {central}"),
                    None => format!("no key is known here that stands for {central}"),
                };
                let of_another = self.pinned_as_another(central, signer);
                let why = of_another.map(|of| format!("it was begun with {signer}, the key of {of}, not of {central}"));
                Err(Distrusted::Unknown(why.unwrap_or_else(unknown)))
            }
        }
    }
}

impl Judge for KnownAuthors {
    fn opened(&self, log: &LogId, message: &[u8], by: &OpenedBy) -> Result<(), Distrusted> {
        let signer = credentials::signed_by(message, by).map_err(|error| Distrusted::Forged(error.to_string()))?;
        let mut known = self.write();
        known.opened(log, signer)?;
        let is_own = log.central == known.own && signer == known.own_key;
        if !known.is_open && !is_own {
            add(&mut known.begun, &log.central, [signer]);
        }
        Ok(())
    }

    fn unopened(&self, log: &LogId, author_opens: bool, from_author: bool) -> Result<(), Distrusted> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let central = &log.central;
        // What one that was thrown out gave to some of us reaches all: nobody is left who could write in its name to gain by it.
        if known.is_open || from_author || known.expelled.contains(central) {
            return Ok(());
        }
        if *central == known.own {
            known.takes_back(log)?;
            let mut told = known.told_of_own.values().flatten().copied();
            let signed_before = told.any(|key| key != known.own_key && known.is_told_by_most(key));
            let why = || {
                Distrusted::Unsigned(
                    "this central signed its logs before, and not the beginning of this one: nobody can say that it is its own. If it wrote or \
                     imported it with an older version, put back a backup of this central"
                        .into(),
                )
            };
            return if signed_before { Err(why()) } else { Ok(()) };
        }
        if author_opens || known.signing.contains(central) {
            let why =
                format!("{central} signs the beginning of its logs, and not of this one: only itself may give it");
            return Err(Distrusted::Unsigned(why));
        }
        // A central whose program shows nothing yet.
        let why = || Distrusted::Unknown(format!("no key is known here that stands for {central}"));
        if known.knows(central) { Ok(()) } else { Err(why()) }
    }

    fn more_came(&self, log: &LogId) {
        let is_taken_back = |known: &KnownKeys| log.central == known.own && known.takes_back_for().is_some();
        if is_taken_back(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            let taking_back = &mut self.write().taking_back;
            *taking_back = taking_back.map(|_| Instant::now());
        }
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

    fn keys_of(central: &str, keys: &[&Credentials]) -> Keys {
        [(id(central), keys.iter().map(|key| key.fingerprint()).collect())].into()
    }

    /// Whether a log begun so is believed; `Err(true)`: it is forged for certain.
    fn opened(known: &KnownAuthors, log: &str, by: &Credentials) -> Result<(), bool> {
        let log = log.parse().unwrap();
        let message = opening_message(&log, "00000000000000000000000000000001".parse().unwrap());
        let judged = known.opened(&log, &message, &by.open(&message).unwrap());
        judged.map_err(|why| matches!(why, Distrusted::Forged(_)))
    }

    #[test]
    fn a_log_is_begun_by_a_key_of_its_central_or_not_believed() {
        let [own, one, former, other, third] = [(); 5].map(|()| credentials());
        let known = |is_open, is_fresh| {
            let known = KnownAuthors::new(id("c0"), own.fingerprint(), is_fresh, is_open);
            // Members say whatever they like of each other.
            let mut decided = keys_of("c1", &[&other]);
            decided.extend(keys_of("c0", &[&other]));
            decided.extend(keys_of("c3", &[&third]));
            known.learn(&id("c0"), is_open, (keys_of("c1", &[&one]), decided), BTreeSet::new());
            let told = ["c0", "c1", "c2"].map(|central| (id(central), vec![other.fingerprint()]));
            known.hear(&id("c4"), &told.into());
            known.hear(&id("c1"), &[(id("c1"), vec![one.fingerprint(), former.fingerprint()])].into());
            known
        };
        let (here, fresh, open) = (known(false, false), known(false, true), known(true, false));
        for (log, by, expected) in [
            ("c1/00000000000000aa", &one, Ok(())),
            ("c1/00000000000000aa", &former, Ok(())),
            ("c1/00000000000000aa", &other, Err(false)),
            ("c2/00000000000000aa", &other, Ok(())),
            ("c2/00000000000000aa", &one, Err(false)),
            ("c3/00000000000000aa", &third, Ok(())),
            ("c77/00000000000000aa", &other, Err(false)),
            ("c0/00000000000000aa", &own, Ok(())),
            ("c0/00000000000000aa", &one, Err(true)),
            ("c0/00000000000000aa", &other, Err(true)),
        ] {
            assert_eq!(opened(&here, log, by), expected, "{log}");
            assert_eq!(opened(&open, log, by), Ok(()), "{log}, where nobody proves anything");
        }
        let lost: LogId = "c0/00000000000000aa".parse().unwrap();
        let witness = || [id("c1")].into();
        fresh.linked(&id("c1"));
        fresh.announced(&lost, || (witness(), witness()));
        fresh.hear(&id("c1"), &[(id("c0"), vec![third.fingerprint()])].into());
        assert_eq!(
            opened(&fresh, "c0/00000000000000aa", &third),
            Ok(()),
            "what an earlier key of ours began comes back"
        );
        assert_eq!(
            opened(&fresh, "c0/00000000000000aa", &one),
            Err(true),
            "the key that is pinned for another is none of ours"
        );
        assert!(opened(&fresh, "c1/00000000000000aa", &other).is_err());
    }

    #[test]
    fn a_key_stands_for_one_central_whoever_says_that_it_is_a_second_one() {
        let [own, one, two, three, guest] = [(); 5].map(|()| credentials());
        let known = KnownAuthors::new(id("c0"), own.fingerprint(), false, false);
        let pinned: Keys = [("c1", &one), ("c2", &two), ("c3", &three)]
            .into_iter()
            .flat_map(|(name, key)| keys_of(name, &[key]))
            .collect();
        // A guest that is not pinned here, as where each is linked with some only.
        let learn = |decided: Keys| known.learn(&id("c0"), false, (pinned.clone(), decided), BTreeSet::new());
        learn(keys_of("c4", &[&guest]));
        assert_eq!(opened(&known, "c4/00000000000000aa", &guest), Ok(()));
        learn(keys_of("c77", &[&own, &one, &two, &guest]));
        // Nor do all peers together make one central of two, of those known here.
        for peer in ["c1", "c2", "c3"] {
            known.hear(&id(peer), &[(id("c77"), vec![one.fingerprint(), own.fingerprint()])].into());
        }
        for key in [&own, &one, &two, &guest] {
            assert_eq!(opened(&known, "c77/00000000000000aa", key), Err(false));
        }
        assert!(known.unopened(&"c77/00000000000000aa".parse().unwrap(), false, false).is_err(), "nor unsigned");
        assert!(!known.to_tell().contains_key(&id("c77")), "nor is it told on");
        assert_eq!(opened(&known, "c4/00000000000000bb", &guest), Ok(()), "it stays who it is");
        // A person says that it has another id now.
        let mut renamed = pinned.clone();
        renamed.remove(&id("c1"));
        renamed.extend(keys_of("c77", &[&one]));
        known.learn(&id("c0"), false, (renamed, Keys::new()), BTreeSet::new());
        assert_eq!(opened(&known, "c77/00000000000000aa", &one), Ok(()));
    }

    #[test]
    fn a_central_that_nobody_here_pinned_is_what_half_of_the_peers_say_it_is() {
        let [own, key, other] = [(); 3].map(|()| credentials());
        for (peers, vouching, expected) in
            [(1, 1, Ok(())), (2, 1, Ok(())), (3, 1, Err(false)), (3, 2, Ok(())), (4, 1, Err(false)), (9, 4, Err(false))]
        {
            let known = KnownAuthors::new(id("c0"), own.fingerprint(), false, false);
            let names: Vec<CentralId> = (1..=peers).map(|number| id(&format!("c{number}"))).collect();
            let pinned: Keys = names.iter().map(|name| (name.clone(), [other.fingerprint()].into())).collect();
            known.learn(&id("c0"), false, (pinned, Keys::new()), BTreeSet::new());
            for peer in names.iter().take(vouching) {
                known.hear(peer, &[(id("c77"), vec![key.fingerprint()])].into());
            }
            assert_eq!(opened(&known, "c77/00000000000000aa", &key), expected, "{vouching} of {peers}");
            let unsigned = known.unopened(&"c77/00000000000000aa".parse().unwrap(), false, false);
            assert_eq!(unsigned.is_ok(), expected.is_ok(), "{vouching} of {peers}, without a signature");
            assert_eq!(known.to_tell().contains_key(&id("c77")), expected.is_ok(), "told on");
        }
    }

    #[test]
    fn who_was_replaced_is_known_by_its_earlier_keys_wherever_it_tells_of_them() {
        let [own, old, thief, other] = [(); 4].map(|()| credentials());
        let log = "c1/00000000000000aa";
        let replaced = KnownAuthors::new(id("c1"), own.fingerprint(), true, false);
        let witness = || [id("c2")].into();
        replaced.linked(&id("c2"));
        replaced.announced(&log.parse().unwrap(), || (witness(), witness()));
        replaced.hear(&id("c2"), &[(id("c1"), vec![own.fingerprint(), old.fingerprint()])].into());
        assert_eq!(opened(&replaced, log, &old), Ok(()), "it takes back what it wrote");
        let told = replaced.to_tell();
        assert_eq!(told[&id("c1")].len(), 2, "and says that it was that, too");
        let restarted = KnownAuthors::new(id("c1"), own.fingerprint(), false, false);
        assert_eq!(opened(&restarted, log, &old), Err(true));
        let message = opening_message(&log.parse().unwrap(), "00000000000000000000000000000001".parse().unwrap());
        restarted.held(&id("c1"), &old.open(&message).unwrap());
        assert_eq!(opened(&restarted, log, &old), Ok(()), "as a log shows that it holds");

        let newcomer = KnownAuthors::new(id("c2"), other.fingerprint(), false, false);
        newcomer.learn(&id("c2"), false, (keys_of("c1", &[&own]), Keys::new()), BTreeSet::new());
        newcomer.hear(&id("c3"), &told);
        assert_eq!(opened(&newcomer, log, &old), Err(false), "others do not say which keys it had");
        newcomer.hear(&id("c1"), &told);
        assert_eq!(opened(&newcomer, log, &old), Ok(()));
        newcomer.hear(&id("c1"), &[(id("c1"), vec![thief.fingerprint()])].into());
        newcomer.learn(&id("c2"), false, (keys_of("c1", &[&other]), Keys::new()), BTreeSet::new());
        assert_eq!(opened(&newcomer, log, &thief), Err(false), "its word ends with its key");
        assert_eq!(opened(&newcomer, log, &old), Ok(()), "what was taken stands");
    }

    #[test]
    fn a_log_in_its_own_name_comes_back_to_a_new_key_if_most_of_its_peers_hold_it() {
        let [own, key, forged] = [(); 3].map(|()| credentials());
        let log: LogId = "c0/00000000000000aa".parse().unwrap();
        let peers = |count: usize| -> BTreeSet<CentralId> { (1..=count).map(|n| id(&format!("c{n}"))).collect() };
        // Peers of the settings, those that are linked, those of them that hold any log of this central, and those that hold this one.
        for (expected, linked, witnesses, holders, comes_back) in [
            (1, 1, 1, 1, true),
            (2, 1, 1, 1, true),
            (2, 2, 2, 1, false),
            (2, 2, 2, 2, true),
            // All were lost but one: the others have nothing yet.
            (9, 9, 1, 1, true),
            (9, 4, 1, 1, false),
            (3, 1, 1, 1, false),
            (3, 3, 3, 1, false),
            (3, 3, 3, 2, true),
            (9, 9, 9, 4, false),
            (9, 9, 9, 5, true),
        ] {
            let case = format!("{holders} of {witnesses}, {linked} linked of {expected}");
            for (is_fresh, signed) in [(true, true), (true, false), (false, true), (false, false)] {
                let known = KnownAuthors::new(id("c0"), own.fingerprint(), is_fresh, false);
                known.expect(expected);
                peers(linked).iter().for_each(|peer| _ = known.linked(peer));
                let judged = |known: &KnownAuthors| {
                    if signed {
                        opened(known, "c0/00000000000000aa", &key).is_ok()
                    } else {
                        known.unopened(&log, true, false).is_ok()
                    }
                };
                assert!(!judged(&known), "nobody was heard: {case}");
                known.announced(&"c0/00000000000000bb".parse().unwrap(), || (peers(witnesses), peers(witnesses)));
                assert!(!judged(&known), "it was another: {case}");
                // What they gave already is announced no more.
                known.announced(&log, || (peers(holders), peers(holders)));
                if signed {
                    assert!(!judged(&known), "nobody says that this key was ours: {case}");
                    // One alone says so of a key of its own, and gives a chain of its own under the name that all hold.
                    known.hear(&id("c1"), &[(id("c0"), vec![forged.fingerprint()])].into());
                    let by_one = opened(&known, "c0/00000000000000aa", &forged).is_ok();
                    assert_eq!(by_one, witnesses == 1 && comes_back && is_fresh, "a forged chain: {case}");
                    let told = [(id("c0"), vec![own.fingerprint(), key.fingerprint()])].into();
                    peers(witnesses).iter().for_each(|peer| known.hear(peer, &told));
                }
                assert_eq!(judged(&known), comes_back && is_fresh, "{case}, new: {is_fresh}, signed: {signed}");
                if !signed && comes_back && is_fresh {
                    let told = [(id("c0"), vec![key.fingerprint()])].into();
                    peers(witnesses).iter().for_each(|peer| known.hear(peer, &told));
                    assert!(!judged(&known), "it signed before: {case}");
                }
            }
        }
        let known = KnownAuthors::new(id("c0"), own.fingerprint(), true, false);
        known.expect(3);
        assert!(!known.linked(&id("c1")) && !known.linked(&id("c1")), "the time does not begin with one of three");
        assert!(known.linked(&id("c2")) && !known.linked(&id("c3")), "it begins once");
    }

    #[test]
    fn what_comes_back_slowly_comes_back_whole() {
        let [own, key] = [(); 2].map(|()| credentials());
        let known = KnownAuthors::new(id("c0"), own.fingerprint(), true, false);
        let (log, late): (LogId, LogId) =
            ("c0/00000000000000aa".parse().unwrap(), "c0/00000000000000bb".parse().unwrap());
        let witness = || [id("c1")].into();
        known.expect(1);
        assert!(known.linked(&id("c1")));
        known.hear(&id("c1"), &[(id("c0"), vec![own.fingerprint(), key.fingerprint()])].into());
        known.announced(&log, || (witness(), witness()));
        known.announced(&late, || (witness(), witness()));
        let almost = TAKES_BACK - Duration::from_secs(60);
        let pass = |time: Duration| {
            let mut known = known.write();
            known.taking_back = known.taking_back.and_then(|since| since.checked_sub(time));
        };
        for _ in 0..3 {
            pass(almost);
            assert_eq!(known.0.read().unwrap().takes_back(&late), Ok(()), "it goes on as long as more comes");
            known.more_came(&"c1/00000000000000cc".parse().unwrap());
            assert!(known.takes_back_for().is_some_and(|rest| rest <= TAKES_BACK - almost), "another's is none of it");
            known.more_came(&log);
            assert!(
                known.takes_back_for().is_some_and(|rest| rest > TAKES_BACK - almost),
                "it goes on with each piece"
            );
        }
        pass(TAKES_BACK);
        known.more_came(&late);
        assert_eq!(known.takes_back_for(), None, "it is over, and nothing begins it anew");
        assert_eq!(opened(&known, "c0/00000000000000bb", &key), Err(true));
        let settled = KnownAuthors::new(id("c0"), own.fingerprint(), false, false);
        assert!(settled.takes_back_for().is_none(), "nor without a new key");
    }

    #[test]
    fn a_log_without_a_signature_is_believed_of_who_never_signs_and_of_itself() {
        let known = KnownAuthors::new(id("c0"), credentials().fingerprint(), false, false);
        let pinned = || keys_of("c1", &[]);
        known.learn(&id("c0"), false, (pinned(), Keys::new()), [id("c5")].into());
        let log = |text: &str| -> LogId { text.parse().unwrap() };
        let signing = KnownAuthors::new(id("c0"), credentials().fingerprint(), false, false);
        signing.learn(&id("c0"), false, (pinned(), Keys::new()), BTreeSet::new());
        signing.signs(&id("c1"));
        assert!(signing.unopened(&log("c1/00000000000000aa"), false, false).is_err(), "it said that it signs");
        for (name, author_opens, from_author, good) in [
            ("c1/00000000000000aa", false, false, true),
            ("c1/00000000000000aa", true, false, false),
            ("c1/00000000000000aa", true, true, true),
            ("c77/00000000000000aa", false, false, false),
            ("c5/00000000000000aa", true, false, true),
            ("c0/00000000000000aa", false, false, false),
        ] {
            assert_eq!(known.unopened(&log(name), author_opens, from_author).is_ok(), good, "{name}");
        }
    }
}
