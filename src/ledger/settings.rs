//! Tariff, subscriptions and the standing of centrals as held: of all events about one id the one with the latest (clock, fact id) counts.
//!
//! What saving a whole list of subscriptions comes to is worked out here ([`SharedSettings::difference`]), from any copy of the settings and
//! so not in the writer's time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::domain::event::{Body, Event, PriceList, SubscriptionUpdate, TariffUpdate};
use crate::domain::ids::{CentralId, FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::standing::{CentralStanding, Decision, Standing};
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;

use super::digest::Digest;
use super::storage::{EventRef, Setting, SettingKind};

/// The one tariff there is. Its id leaves room for more.
pub const SITE_TARIFF: &str = "site";
/// So many of the tariffs that were set last are kept, for exits that are told late: at most a week late, and years of tariffs at any
/// site. What is older than the oldest kept is of nobody's interest but a peer's who wants memory filled. So many of those that were
/// announced, too, for any moment.
pub const MOST_TARIFFS: usize = 1_000;
/// So many moments at most of which one central said something are kept of it, those of which it said it last: none takes the places
/// of others. Years of them at any site.
pub const MOST_ANNOUNCED_BY_ONE: usize = 250;
/// Most certificates of which the admissions of one central are kept, and as many expulsions. A site has some ten centrals; what is kept is gone through
/// whenever something is decided.
pub const MOST_DECIDED_BY_ONE: usize = 1_000;
/// Hex digits of the version of the list of subscriptions.
const SUBSCRIPTIONS_VERSION_CHARS: usize = 32;

/// The clock and place of the event that set a value: later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetBy {
    pub hlc: Hlc,
    pub at: EventRef,
}

impl SetBy {
    /// The version of the value: the id of the fact that set it.
    pub fn version(&self) -> String {
        FactId::Authored { log: self.at.log.clone(), seq: self.at.seq }.to_string()
    }
}

#[derive(Debug, Clone, PartialEq)]
struct HeldSubscription {
    set_by: SetBy,
    /// When it became known here, Unix ms; after a start, when it was set.
    known_ms: i64,
    /// `None`: removed.
    value: Option<Arc<Subscription>>,
}

/// What a whole list of subscriptions has other than is held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListDifference {
    /// In the list and not held.
    pub added: Vec<Arc<Subscription>>,
    /// In the list, and held as something else.
    pub changed: Vec<Arc<Subscription>>,
    /// Held and not in the list.
    pub removed: Vec<Arc<Subscription>>,
}

/// A change of one subscription: its id, and what it is from then on; `None`: removed.
pub type SubscriptionChange = (String, Option<Subscription>);

impl ListDifference {
    /// The changes that make the list of what is held. What goes comes last: whoever is stopped halfway, by a full disk or a power cut,
    /// has left nobody without the subscription that takes the place of an old one.
    pub fn changes(&self) -> Vec<SubscriptionChange> {
        let removed = self.removed.iter().map(|held| (held.id.clone(), None));
        let set = self.added.iter().chain(&self.changed).map(|new| (new.id.clone(), Some(Subscription::clone(new))));
        set.chain(removed).collect()
    }
}

/// What was decided about one certificate: of each author's admissions and expulsions the latest. Two centrals that hold the same
/// events keep the same, in whatever order they came.
#[derive(Debug, Clone, PartialEq, Default)]
struct Decisions(BTreeMap<(CentralId, Standing), (SetBy, CentralStanding)>);

impl Decisions {
    /// Whether the certificate was thrown out as that of `central`.
    fn was_expelled_as(&self, central: &CentralId) -> bool {
        self.0.values().any(|(_, decided)| decided.standing == Standing::Expelled && decided.central == *central)
    }
}

/// A tariff as it is kept: as JSON, for what a peer makes of little text is large in memory.
type TariffJson = Arc<str>;

/// What a central said of a moment: the tariff that counts from then on; `None`: none does.
#[derive(Debug, Clone, PartialEq)]
struct Announced {
    set_by: SetBy,
    tariff: Option<TariffJson>,
    /// The id of its row: programs of before kept one of each moment, by that alone.
    row: String,
}

/// What keeping something about a moment comes to.
#[derive(Debug)]
pub struct AnnouncedChange {
    pub kept: Setting,
    /// The ids of rows that are kept no more.
    pub dropped: Vec<String>,
    /// What counted of the moments it concerns, and what counts now.
    pub before: Vec<Setting>,
    pub after: Vec<Setting>,
}

/// The tariff that was read last, nearly always the one in force. A copy reads its own.
#[derive(Debug, Default)]
struct LastRead(Mutex<Option<(SetBy, Arc<Tariff>)>>);

impl Clone for LastRead {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for LastRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl LastRead {
    fn read(&self, set_by: &SetBy, json: &str) -> Arc<Tariff> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref().filter(|(last, _)| last == set_by) {
            Some((_, tariff)) => tariff.clone(),
            None => {
                let tariff: Arc<Tariff> = Arc::new(serde_json::from_str(json).unwrap_or_default());
                *last = Some((set_by.clone(), tariff.clone()));
                tariff
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SharedSettings {
    /// The last [`MOST_TARIFFS`] that were set, by when: the last one is in force. Which those are does not depend on the order in
    /// which they are heard.
    tariffs: BTreeMap<SetBy, TariffJson>,
    /// By the moment from which it counts, Unix ms, what each central said last of it: the last of those counts. Of each central
    /// [`MOST_ANNOUNCED_BY_ONE`], those that it said last, and of all as many as of `tariffs`, likewise.
    announced: BTreeMap<i64, BTreeMap<CentralId, Announced>>,
    last_read: LastRead,
    subscriptions: BTreeMap<String, HeldSubscription>,
    /// The sum of the hashes of all that was ever said of subscriptions: the version of the list.
    subscriptions_digest: Digest,
    /// By fingerprint, as text: of each author and kind [`MOST_DECIDED_BY_ONE`], those that it decided last.
    centrals: BTreeMap<String, Decisions>,
    /// Their fingerprints by when each author decided them.
    decided: BTreeMap<(CentralId, Standing), BTreeMap<SetBy, String>>,
    /// What the site and its gates are called.
    names: BTreeMap<String, (SetBy, String)>,
    /// The ids of the subscriptions of a plate.
    by_plate: HashMap<PlateId, BTreeSet<String>>,
}

impl SharedSettings {
    /// Rebuilds from what the storage kept. A value that no longer parses is treated as not there.
    pub fn of_stored(stored: Vec<Setting>) -> Self {
        let mut settings = Self::default();
        for Setting { kind, id, hlc, at, value } in stored {
            let set_by = SetBy { hlc, at };
            match kind {
                SettingKind::Tariff => {
                    if let Some(tariff) = value.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
                        // Programs of before kept one, as "site".
                        settings.set_tariff(set_by, &tariff);
                    }
                }
                SettingKind::Announced => {
                    // All that was kept is, also where a program of before kept more of one central.
                    let moment: Option<i64> = id.split(' ').next().and_then(|moment| moment.parse().ok());
                    let held = |moment: &i64| settings.announced.get(moment)?.get(&set_by.at.log.central);
                    let is_last = |moment: &i64| held(moment).is_none_or(|held| held.set_by < set_by);
                    if let Some(valid_from_ms) = moment.filter(is_last) {
                        let tariff: Option<Tariff> = value.as_deref().and_then(|json| serde_json::from_str(json).ok());
                        let tariff = tariff.as_ref().map(json_of);
                        let author = set_by.at.log.central.clone();
                        let said = Announced { set_by, tariff, row: id };
                        settings.announced.entry(valid_from_ms).or_default().insert(author, said);
                    }
                }
                SettingKind::Subscription => {
                    let value = value.as_deref().and_then(|json| serde_json::from_str(json).ok());
                    let known_ms = set_by.hlc.ms();
                    settings.set_subscription(set_by, id, value, known_ms);
                }
                SettingKind::Name => settings.set_name(set_by, id, value.unwrap_or_default()),
                SettingKind::Central => {
                    let standing = value.as_deref().and_then(|json| serde_json::from_str(json).ok());
                    if let Some(standing) = standing.filter(|standing| settings.is_newer_standing(&set_by, standing)) {
                        // All that was kept is, also where a program of before kept more of one central.
                        settings.decide(set_by, standing);
                    }
                }
            }
        }
        settings
    }

    /// The tariff in force at a time and its version: the last that was announced for that time or before, unless another was set
    /// since it counts, by somebody who knew of it.
    pub fn tariff_at(&self, at_ms: i64) -> (Arc<Tariff>, Option<String>) {
        self.tariff_with(at_ms, self.tariffs.last_key_value())
    }

    /// As [`Self::tariff_at`], of a time gone by: what was set after it, and before now, does not count. Before anything was set the
    /// built-in one did, but if so much was set that not all is kept: then the first that is. What has a clock ahead of now was set by a
    /// wrong one, nobody knows when.
    pub fn tariff_then(&self, at_ms: i64, now_ms: i64) -> (Arc<Tariff>, Option<String>) {
        let counts = |set_by: &SetBy| set_by.hlc.ms() <= at_ms || set_by.hlc.ms() > now_ms;
        let until = self.tariffs.iter().rfind(|(set_by, _)| counts(set_by));
        let first = || self.tariffs.first_key_value().filter(|_| self.tariffs.len() >= MOST_TARIFFS);
        self.tariff_with(at_ms, until.or_else(first))
    }

    /// `set`: the tariff that was set last.
    fn tariff_with(&self, at_ms: i64, set: Option<(&SetBy, &TariffJson)>) -> (Arc<Tariff>, Option<String>) {
        let announced = self.counting(..=at_ms, set).next_back().map(|(_, set_by, json)| (set_by, json));
        self.read_or_built_in(announced.or(set))
    }

    /// What is announced for these moments and counts, in order, where `set` was set last: what that does not override, for it was set before
    /// the moment, or was known to who announced, whatever its clock says of a moment by which that was ahead.
    fn counting<'a>(
        &'a self,
        moments: impl RangeBounds<i64>,
        set: Option<(&'a SetBy, &TariffJson)>,
    ) -> impl DoubleEndedIterator<Item = (i64, &'a SetBy, &'a TariffJson)> {
        let set_by = set.map(|(set_by, _)| set_by);
        self.announced.range(moments).filter_map(move |(from_ms, said)| {
            let Announced { set_by: announced_by, tariff, .. } = last_said(said)?;
            let counts = set_by.is_none_or(|set_by| set_by.hlc.ms() < *from_ms || set_by < announced_by);
            Some((*from_ms, announced_by, tariff.as_ref().filter(|_| counts)?))
        })
    }

    /// The moment and the clock of what was announced and is in force at a time.
    pub fn announced_in_force(&self, at_ms: i64) -> Option<(i64, Hlc)> {
        let last = self.counting(..=at_ms, self.tariffs.last_key_value()).next_back();
        last.map(|(from_ms, set_by, _)| (from_ms, set_by.hlc))
    }

    fn read_or_built_in(&self, kept: Option<(&SetBy, &TariffJson)>) -> (Arc<Tariff>, Option<String>) {
        match kept {
            Some((set_by, json)) => (self.last_read.read(set_by, json), Some(set_by.version())),
            None => (Arc::default(), None),
        }
    }

    /// The tariff that was set last and its version, whatever was announced; the built-in one has none.
    pub fn tariff(&self) -> (Arc<Tariff>, Option<String>) {
        self.read_or_built_in(self.tariffs.last_key_value())
    }

    /// The tariffs that count from a moment after `after_ms` on, in order: that moment, the tariff, its version.
    pub fn announced(&self, after_ms: i64) -> impl Iterator<Item = (i64, Tariff, String)> {
        let ahead = self.counting(after_ms.saturating_add(1).., self.tariffs.last_key_value());
        let read = |json: &TariffJson| serde_json::from_str(json).ok();
        ahead.filter_map(move |(from_ms, set_by, json)| Some((from_ms, read(json)?, set_by.version())))
    }

    /// For how many moments after `after_ms` a central announced the tariff that counts.
    pub fn announced_by(&self, author: &CentralId, after_ms: i64) -> usize {
        let ahead = self.counting(after_ms.saturating_add(1).., self.tariffs.last_key_value());
        ahead.filter(|(_, set_by, _)| set_by.at.log.central == *author).count()
    }

    /// Whether what was said of a moment at `set_by` is later than what is held of it by that central, and one to be kept.
    pub fn is_new_announced(&self, set_by: &SetBy, valid_from_ms: i64) -> bool {
        let author = &set_by.at.log.central;
        if let Some(held) = self.announced.get(&valid_from_ms).and_then(|said| said.get(author)) {
            return held.set_by < *set_by;
        }
        let of_it = || self.all_announced().filter(|(_, of, _)| *of == author);
        if of_it().count() >= MOST_ANNOUNCED_BY_ONE {
            return of_it().any(|(.., held)| held.set_by < *set_by);
        }
        self.all_announced().count() < MOST_TARIFFS || self.all_announced().any(|(.., held)| held.set_by < *set_by)
    }

    fn all_announced(&self) -> impl Iterator<Item = (i64, &CentralId, &Announced)> {
        let all = self.announced.iter();
        all.flat_map(|(from_ms, said)| said.iter().map(|(author, said)| (*from_ms, author, said)))
    }

    /// Keeps what was said of a moment, as [`Self::is_new_announced`] allows, and no more what its central said first, if that is one too
    /// many of it, or anybody, if it is one too many of all. What comes of that later is older still, so that no order of hearing matters.
    pub fn announce(&mut self, set_by: SetBy, valid_from_ms: i64, tariff: Option<&Tariff>) -> AnnouncedChange {
        let author = set_by.at.log.central.clone();
        let row = format!("{valid_from_ms} {author}");
        let said = Announced { set_by, tariff: tariff.map(json_of), row: row.clone() };
        let kept = stored_announced(&said);
        let mut before: Vec<Setting> =
            self.stored(SettingKind::Announced, &valid_from_ms.to_string()).into_iter().collect();
        let replaced = self.announced.entry(valid_from_ms).or_default().insert(author.clone(), said);
        let mut dropped: Vec<String> = replaced.map(|old| old.row).filter(|old| *old != row).into_iter().collect();
        let of_it = || self.all_announced().filter(|(_, of, _)| **of == author);
        let first = if of_it().count() > MOST_ANNOUNCED_BY_ONE {
            of_it().min_by(|(.., one), (.., other)| one.set_by.cmp(&other.set_by))
        } else if self.all_announced().count() > MOST_TARIFFS {
            self.all_announced().min_by(|(.., one), (.., other)| one.set_by.cmp(&other.set_by))
        } else {
            None
        };
        let first = first.map(|(from_ms, author, _)| (from_ms, author.clone()));
        let mut moments = vec![valid_from_ms];
        if let Some((from_ms, author)) = first {
            if from_ms != valid_from_ms {
                before.extend(self.stored(SettingKind::Announced, &from_ms.to_string()));
                moments.push(from_ms);
            }
            if let Some(said) = self.announced.get_mut(&from_ms) {
                dropped.extend(said.remove(&author).map(|said| said.row));
                if said.is_empty() {
                    self.announced.remove(&from_ms);
                }
            }
        }
        let after = moments.iter().filter_map(|from_ms| self.stored(SettingKind::Announced, &from_ms.to_string()));
        AnnouncedChange { kept, dropped, before, after: after.collect() }
    }

    /// The list as it stands, by id.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values().filter_map(|held| held.value.as_deref())
    }

    /// All that was decided about centrals; what of it counts says [`in_force`](crate::domain::standing::in_force).
    pub fn decisions(&self) -> impl Iterator<Item = Decision<SetBy>> {
        let all = self.centrals.values().flat_map(|decisions| decisions.0.values());
        all.map(|(set_by, said)| Decision {
            author: set_by.at.log.central.clone(),
            order: set_by.clone(),
            said: said.clone(),
        })
    }

    /// What was said last of a certificate, whether it counts or not, and by what.
    pub fn said_last(&self, fingerprint: &str) -> Option<(&CentralStanding, &SetBy)> {
        let said = self.centrals.get(fingerprint)?.0.values().max_by(|(one, _), (other, _)| one.cmp(other));
        said.map(|(set_by, standing)| (standing, set_by))
    }

    /// Whether a certificate was expelled as that of `central`, whose admissions of it count no more.
    pub fn was_expelled_as(&self, fingerprint: &str, central: &CentralId) -> bool {
        self.centrals.get(fingerprint).is_some_and(|decisions| decisions.was_expelled_as(central))
    }

    /// Whether a decision is later than what is held of the same kind by the same author, and one to be kept.
    pub fn is_newer_standing(&self, set_by: &SetBy, standing: &CentralStanding) -> bool {
        let author = &set_by.at.log.central;
        match self.decision(author, standing) {
            Some((held, _)) => held < set_by,
            None => {
                let decided = self.decided.get(&(author.clone(), standing.standing));
                decided.is_none_or(|held| held.len() < MOST_DECIDED_BY_ONE || held.keys().next() < Some(set_by))
            }
        }
    }

    /// Who decided so much of one kind that what he decided first is kept no more.
    pub fn decided_too_much(&self) -> impl Iterator<Item = &CentralId> {
        self.decided.iter().filter(|(_, held)| held.len() >= MOST_DECIDED_BY_ONE).map(|((author, _), _)| author)
    }

    fn decision(&self, author: &CentralId, like: &CentralStanding) -> Option<&(SetBy, CentralStanding)> {
        self.centrals.get(&like.fingerprint.to_string())?.0.get(&(author.clone(), like.standing))
    }

    /// The decision of this author that is of the same kind, as stored and hashed.
    pub fn stored_standing(&self, author: &CentralId, like: &CentralStanding) -> Option<Setting> {
        self.decision(author, like).map(stored_decision)
    }

    pub fn has_no_subscriptions(&self) -> bool {
        self.by_plate.is_empty()
    }

    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(id).and_then(|held| held.value.as_deref())
    }

    /// The version of the list: equal at two centrals that heard the same of it, and other after every change.
    pub fn subscriptions_version(&self) -> String {
        let mut digest = self.subscriptions_digest.to_string();
        digest.truncate(SUBSCRIPTIONS_VERSION_CHARS);
        digest
    }

    /// What `list`, in which no id stands twice, has other than is held.
    pub fn difference(&self, list: &[Subscription]) -> ListDifference {
        let mut difference = ListDifference::default();
        for wanted in list {
            match self.subscription(&wanted.id) {
                None => difference.added.push(Arc::new(wanted.clone())),
                Some(held) if held != wanted => difference.changed.push(Arc::new(wanted.clone())),
                Some(_) => {}
            }
        }
        let wanted: HashSet<&str> = list.iter().map(|wanted| wanted.id.as_str()).collect();
        let held = self.subscriptions.values().filter_map(|held| held.value.as_ref());
        difference.removed.extend(held.filter(|held| !wanted.contains(held.id.as_str())).cloned());
        difference
    }

    /// Whether somebody set what is held of this subscription at or after `since_ms` (Unix ms), or it became known here since then.
    /// What was taken from a file is nobody's.
    pub fn is_set_since(&self, id: &str, since_ms: i64) -> bool {
        let is_set_since = |held: &HeldSubscription| {
            held.set_by.hlc != Hlc::default() && held.known_ms.max(held.set_by.hlc.ms()) >= since_ms
        };
        self.subscriptions.get(id).is_some_and(is_set_since)
    }

    /// Whether anything was ever said of this id, a removal included.
    pub fn is_known_subscription(&self, id: &str) -> bool {
        self.subscriptions.contains_key(id)
    }

    pub fn has_subscription(&self, plate: &PlateId) -> bool {
        self.by_plate.contains_key(plate)
    }

    /// The id of a subscription that makes a stay of this plate free on `day` (`YYYY-MM-DD`).
    pub fn active_subscription(&self, plate: &PlateId, day: &str) -> Option<&str> {
        let ids = self.by_plate.get(plate)?;
        let active = |id: &&String| self.subscription(id).is_some_and(|held| held.active_for(plate, day));
        ids.iter().find(active).map(String::as_str)
    }

    /// The clock of what is held about an id: a new event about it must be later. Who announces a tariff knows the one that was set last,
    /// too.
    pub fn clock_of(&self, kind: SettingKind, id: &str) -> Option<Hlc> {
        let set_last = self.tariffs.last_key_value().filter(|_| kind == SettingKind::Announced);
        let known = self.set_by(kind, id).into_iter().chain(set_last.map(|(set_by, _)| set_by));
        known.map(|set_by| set_by.hlc).max()
    }

    fn set_by(&self, kind: SettingKind, id: &str) -> Option<&SetBy> {
        match kind {
            SettingKind::Tariff => self.tariffs.last_key_value().map(|(set_by, _)| set_by),
            SettingKind::Announced => last_said(self.announced.get(&id.parse().ok()?)?).map(|said| &said.set_by),
            SettingKind::Subscription => self.subscriptions.get(id).map(|held| &held.set_by),
            SettingKind::Central => self.centrals.get(id)?.0.values().map(|(set_by, _)| set_by).max(),
            SettingKind::Name => self.names.get(id).map(|(set_by, _)| set_by),
        }
    }

    /// What of a kind only the latest of an id counts, as stored and hashed; `None` if nothing is held about the id.
    pub fn stored(&self, kind: SettingKind, id: &str) -> Option<Setting> {
        let set_by = self.set_by(kind, id)?.clone();
        let value = match kind {
            SettingKind::Announced => return last_said(self.announced.get(&id.parse().ok()?)?).map(stored_announced),
            SettingKind::Subscription => {
                self.subscription(id).and_then(|subscription| serde_json::to_string(subscription).ok())
            }
            SettingKind::Name => self.names.get(id).map(|(_, name)| name.clone()),
            SettingKind::Tariff | SettingKind::Central => return None,
        };
        Some(Setting { kind, id: id.to_owned(), hlc: set_by.hlc, at: set_by.at, value })
    }

    /// The parts of all settings in the digest.
    pub fn hashes(&self) -> impl Iterator<Item = [u8; 32]> {
        let tariffs = self.tariffs.iter().map(stored_tariff);
        let announced = self.announced.values().filter_map(last_said).map(stored_announced);
        let subscriptions = self.subscriptions.keys().filter_map(|id| self.stored(SettingKind::Subscription, id));
        let centrals = self.centrals.values().flat_map(|decisions| decisions.0.values()).map(stored_decision);
        let names = self.names.keys().filter_map(|id| self.stored(SettingKind::Name, id));
        let all = tariffs.chain(announced).chain(subscriptions).chain(centrals).chain(names);
        all.map(|setting| setting_hash(&setting))
    }

    /// Whether an event set at `set_by` counts against what is held.
    pub fn is_newer(&self, kind: SettingKind, id: &str, set_by: &SetBy) -> bool {
        self.set_by(kind, id).is_none_or(|held| held < set_by)
    }

    /// What the site ([`SITE`](crate::domain::naming::SITE)) or a gate, `central/edge`, is called; `None`: nobody said, or it has no name
    /// any more.
    pub fn name(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(|(_, name)| name.as_str()).filter(|name| !name.is_empty())
    }

    /// Every name that was given, by what has it.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(id, (_, name))| (id.as_str(), name.as_str())).filter(|(_, name)| !name.is_empty())
    }

    /// Whether anybody ever said what it is called, that it has no name included.
    pub fn is_told_name(&self, id: &str) -> bool {
        self.names.contains_key(id)
    }

    pub fn set_name(&mut self, set_by: SetBy, id: String, name: String) {
        self.names.insert(id, (set_by, name));
    }

    /// Whether a tariff set at `set_by` is one to be kept and is not held: each counts for its time.
    pub fn is_new_tariff(&self, set_by: &SetBy) -> bool {
        let is_late_enough = || self.tariffs.first_key_value().is_none_or(|(oldest, _)| oldest < set_by);
        !self.tariffs.contains_key(set_by) && (self.tariffs.len() < MOST_TARIFFS || is_late_enough())
    }

    /// Keeps a tariff, as [`Self::is_new_tariff`] allows. Returns its row, and that of the one that is not kept any more for it.
    pub fn set_tariff(&mut self, set_by: SetBy, tariff: &Tariff) -> (Setting, Option<Setting>) {
        let json = json_of(tariff);
        let kept = stored_tariff((&set_by, &json));
        self.tariffs.insert(set_by, json);
        let oldest = if self.tariffs.len() > MOST_TARIFFS { self.tariffs.pop_first() } else { None };
        (kept, oldest.map(|(set_by, json)| stored_tariff((&set_by, &json))))
    }

    /// Keeps a decision, as [`Self::is_newer_standing`] allows; what its author decided first is kept no more if that is one too many. What comes of
    /// that later is older still, so that no order of hearing matters.
    pub fn set_standing(&mut self, set_by: SetBy, standing: CentralStanding) -> Option<Setting> {
        let key = self.decide(set_by, standing);
        let decided = self.decided.get_mut(&key).filter(|decided| decided.len() > MOST_DECIDED_BY_ONE)?;
        let (_, fingerprint) = decided.pop_first()?;
        let decisions = self.centrals.get_mut(&fingerprint)?;
        let first = decisions.0.remove(&key)?;
        if decisions.0.is_empty() {
            self.centrals.remove(&fingerprint);
        }
        Some(stored_decision(&first))
    }

    fn decide(&mut self, set_by: SetBy, standing: CentralStanding) -> (CentralId, Standing) {
        let (key, fingerprint) = ((set_by.at.log.central.clone(), standing.standing), standing.fingerprint.to_string());
        let of_author = self.decided.entry(key.clone()).or_default();
        let decisions = &mut self.centrals.entry(fingerprint.clone()).or_default().0;
        if let Some((replaced, _)) = decisions.insert(key.clone(), (set_by.clone(), standing)) {
            of_author.remove(&replaced);
        }
        of_author.insert(set_by, fingerprint);
        key
    }

    /// `known_ms`: now, Unix ms.
    pub fn set_subscription(&mut self, set_by: SetBy, id: String, value: Option<Subscription>, known_ms: i64) {
        let plate_of = |value: &Option<Arc<Subscription>>| PlateId::parse(&value.as_ref()?.plate_number).ok();
        let value = value.map(Arc::new);
        let new_plate = plate_of(&value);
        if let Some(held) = self.stored(SettingKind::Subscription, &id) {
            self.subscriptions_digest.subtract(setting_hash(&held));
        }
        let old = self.subscriptions.insert(id.clone(), HeldSubscription { set_by, known_ms, value });
        if let Some(held) = self.stored(SettingKind::Subscription, &id) {
            self.subscriptions_digest.add(setting_hash(&held));
        }
        if let Some(plate) = old.and_then(|old| plate_of(&old.value))
            && let Some(ids) = self.by_plate.get_mut(&plate)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_plate.remove(&plate);
            }
        }
        if let Some(plate) = new_plate {
            self.by_plate.entry(plate).or_default().insert(id);
        }
    }
}

fn json_of(tariff: &Tariff) -> TariffJson {
    serde_json::to_string(tariff).unwrap_or_default().into()
}

/// What counts of a moment.
fn last_said(said: &BTreeMap<CentralId, Announced>) -> Option<&Announced> {
    said.values().max_by(|one, other| one.set_by.cmp(&other.set_by))
}

/// A row for each moment and central.
fn stored_announced(said: &Announced) -> Setting {
    let SetBy { hlc, at } = said.set_by.clone();
    let value = said.tariff.as_ref().map(ToString::to_string);
    Setting { kind: SettingKind::Announced, id: said.row.clone(), hlc, at, value }
}

/// A row for each, by its version.
fn stored_tariff((set_by, json): (&SetBy, &TariffJson)) -> Setting {
    let SetBy { hlc, at } = set_by.clone();
    Setting { kind: SettingKind::Tariff, id: set_by.version(), hlc, at, value: Some(json.to_string()) }
}

/// A row for each author and kind of decision; that of an older version, with the fingerprint alone, is one of them.
fn stored_decision((set_by, standing): &(SetBy, CentralStanding)) -> Setting {
    Setting {
        kind: SettingKind::Central,
        id: format!("{} {:?} {}", standing.fingerprint, standing.standing, set_by.at.log.central),
        hlc: set_by.hlc,
        at: set_by.at.clone(),
        value: serde_json::to_string(standing).ok(),
    }
}

/// A kept value in the one way it is written today; `None`: it cannot be read as what it is. Inside `None`: what it was of was removed.
#[must_use]
pub fn as_kept(kind: SettingKind, value: Option<&str>) -> Option<Option<String>> {
    fn anew<T: Serialize + DeserializeOwned>(json: &str) -> Option<String> {
        serde_json::to_string(&serde_json::from_str::<T>(json).ok()?).ok()
    }
    match (kind, value) {
        (SettingKind::Name, name) => Some(Some(name.unwrap_or_default().to_owned())),
        (SettingKind::Announced | SettingKind::Subscription, None) => Some(None),
        (SettingKind::Tariff | SettingKind::Central, None) => None,
        (SettingKind::Tariff | SettingKind::Announced, Some(json)) => anew::<Tariff>(json).map(Some),
        (SettingKind::Subscription, Some(json)) => anew::<Subscription>(json).map(Some),
        (SettingKind::Central, Some(json)) => anew::<CentralStanding>(json).map(Some),
    }
}

/// Whether the event that a kept value is of says just that.
#[must_use]
pub fn is_said_by(setting: &Setting, event: &Event) -> bool {
    fn json(value: &impl Serialize) -> Option<String> {
        serde_json::to_string(value).ok()
    }
    // What kind it sets, under which id where the rest does not say, and to what.
    let (kind, id, value) = match &event.body {
        Body::Tariff(TariffUpdate { tariff })
        | Body::PriceList(PriceList { valid_from_ms: None, tariff: Some(tariff) }) => {
            (SettingKind::Tariff, None, json(tariff))
        }
        Body::PriceList(PriceList { valid_from_ms: Some(from_ms), tariff }) => {
            (SettingKind::Announced, Some(from_ms.to_string()), tariff.as_ref().and_then(json))
        }
        Body::Subscription(SubscriptionUpdate { id, subscription }) => {
            (SettingKind::Subscription, Some(id.clone()), subscription.as_ref().and_then(json))
        }
        Body::Central(standing) => (SettingKind::Central, None, json(standing)),
        Body::Naming(naming) => (SettingKind::Name, Some(naming.id.clone()), Some(naming.name.clone())),
        _ => return false,
    };
    setting.kind == kind
        && setting.hlc == event.hlc
        && id.is_none_or(|id| id == subject(setting))
        && as_kept(kind, setting.value.as_deref()) == Some(value)
}

/// What a kept value is about. The ids of some rows name its author, too.
fn subject(setting: &Setting) -> &str {
    match setting.kind {
        SettingKind::Central | SettingKind::Announced => setting.id.split(' ').next().unwrap_or_default(),
        SettingKind::Tariff | SettingKind::Subscription | SettingKind::Name => &setting.id,
    }
}

/// The part of one setting in the digest.
pub fn setting_hash(setting: &Setting) -> [u8; 32] {
    let kind = match setting.kind {
        SettingKind::Tariff => "tariff",
        SettingKind::Announced => "announced",
        SettingKind::Subscription => "subscription",
        SettingKind::Central => "central",
        SettingKind::Name => "name",
    };
    let set_by = SetBy { hlc: setting.hlc, at: setting.at.clone() };
    let mut hasher = Sha256::new();
    for part in [kind, subject(setting), &set_by.version(), setting.value.as_deref().unwrap_or("removed")] {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(setting.hlc.ms().to_le_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::domain::ids::{CentralId, Epoch, LogId};

    use super::*;

    fn subscription(id: u8, note: u8) -> Subscription {
        let json = serde_json::json!({"id": format!("s{id:02}"), "plate_number": "29A12345", "note": note.to_string()});
        serde_json::from_value(json).unwrap()
    }

    fn list() -> impl Strategy<Value = Vec<Subscription>> {
        proptest::collection::btree_map(0..12_u8, 0..3_u8, 0..10)
            .prop_map(|list| list.into_iter().map(|(id, note)| subscription(id, note)).collect())
    }

    proptest! {
        /// The changes make the sent list of the held one, each is a change, and there is none where both are equal. However far one
        /// gets with them, what is set was set.
        #[test]
        fn a_difference_makes_the_one_list_of_the_other(held in list(), sent in list()) {
            let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(1) };
            let mut settings = SharedSettings::default();
            let mut seq = 0;
            let mut set = |settings: &mut SharedSettings, id: String, value: Option<Subscription>| {
                seq += 1;
                let set_by = SetBy { hlc: Hlc::new(i64::try_from(seq).unwrap()).unwrap(), at: EventRef { log: log.clone(), seq } };
                settings.set_subscription(set_by, id, value, 0);
            };
            for one in &held {
                set(&mut settings, one.id.clone(), Some(one.clone()));
            }
            let difference = settings.difference(&sent);
            prop_assert_eq!(difference.changes().is_empty(), held == sent);
            prop_assert!(difference.changes().is_sorted_by_key(|(_, value)| value.is_none()), "what goes comes last");
            for (id, value) in difference.changes() {
                prop_assert_ne!(settings.subscription(&id), value.as_ref());
                set(&mut settings, id, value);
            }
            prop_assert_eq!(settings.subscriptions().cloned().collect::<Vec<_>>(), sent);
        }
    }
}
