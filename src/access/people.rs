//! The people of a site as one set that every central holds: who may log in, and who was removed. Pure.
//!
//! - Of two records of one name the later counts, by the clock of who changed it, and of equal ones always the same: what a set becomes
//!   does not depend on the order in which centrals hear of each other.
//! - A change is later than what it replaces, whatever the clock shows; and says what it knew of other centrals, so that one that was
//!   made without knowing another is found out, and told where the other one was made.
//! - A removal is a record too, or who was away would bring the person back.
//! - Who has an administrator is never left without: the last one that would go is said anew, and told.
//! - Tokens are no part of it: they are good at one central, and end with who made them, wherever that was removed.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::accounts::{Accounts, MAX_PEOPLE, Person, checked_name, folded};
use super::right::{Role, Who};
use crate::domain::ids::{CentralId, Hlc, hex};

/// Most removals that are remembered; of more the oldest are forgotten. With [`MAX_PEOPLE`] and the bounds below a set fits into one frame
/// between centrals, and into the file.
const MAX_REMOVED: usize = 500;
/// Clocks of a site differ by less, in ms.
const AHEAD_MS: i64 = 24 * 60 * 60 * 1_000;
const MAX_BY_CHARS: usize = 80;
const MAX_HASH_BYTES: usize = 256;

/// Who an administrator is kept by, where others removed each other.
const LAST_ADMINISTRATOR: &str = "mesh:last-administrator";

/// Who said last what holds of a name, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Unix ms by the clock of that central, and later than what it replaced.
    pub at_ms: i64,
    /// Where; `None`: before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub central: Option<CentralId>,
    /// As the audit names who acts.
    #[serde(default)]
    pub by: String,
    /// The `at_ms` of the last change of another central that was known; 0: of none.
    #[serde(default)]
    pub after_ms: i64,
}

/// Somebody who was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPerson {
    pub name: String,
    pub changed: Changed,
}

/// What holds of one name, as centrals tell it to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonRecord {
    Person(Person),
    Removed(RemovedPerson),
}

/// A change that did not count, as another was made elsewhere without knowing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    pub name: String,
    pub counts: Changed,
    pub lost: Changed,
}

/// What became of a set with that of another central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPeople {
    pub accounts: Accounts,
    pub overruled: Vec<Overruled>,
    /// Who stays an administrator although it was said otherwise elsewhere: there would be none.
    pub kept: Option<String>,
    /// How many records were not taken, as no central of ours would write them.
    pub unfit: usize,
}

/// By [`folded`] name.
type Records = BTreeMap<String, PersonRecord>;

impl Person {
    /// Who said so; of what an older version wrote only the time of the password is known.
    fn changed(&self) -> Changed {
        let unknown = || Changed { at_ms: self.set_ms, central: None, by: String::new(), after_ms: 0 };
        self.changed.clone().unwrap_or_else(unknown)
    }

    /// Whether it can do the same, by whoever it was said.
    fn is_as_good_as(&self, other: &Self) -> bool {
        Self { changed: None, ..self.clone() } == Self { changed: None, ..other.clone() }
    }
}

impl PersonRecord {
    pub fn name(&self) -> &str {
        match self {
            Self::Person(person) => &person.name,
            Self::Removed(removed) => &removed.name,
        }
    }

    fn changed(&self) -> Changed {
        match self {
            Self::Person(person) => person.changed(),
            Self::Removed(removed) => removed.changed.clone(),
        }
    }

    fn is_administrator(&self) -> bool {
        matches!(self, Self::Person(person) if person.role == Role::Administrator)
    }

    /// Which of two counts. Equal clocks of one central are none of ours: any order does that is the same everywhere.
    fn rank(&self, other: &Self) -> Ordering {
        let (one, two) = (self.changed(), other.changed());
        let by_clock = (one.at_ms, one.central).cmp(&(two.at_ms, two.central));
        by_clock.then_with(|| serde_json::to_string(self).ok().cmp(&serde_json::to_string(other).ok()))
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Person(one), Self::Person(other)) => one.is_as_good_as(other),
            (Self::Removed(_), Self::Removed(_)) => true,
            _ => false,
        }
    }

    /// Whether a central of ours would write it. What would take hours to check a password against is none: `is_hash` says so.
    fn is_fit(&self, now_ms: i64, is_hash: &dyn Fn(&str) -> bool) -> bool {
        let changed = self.changed();
        let is_short = |by: &str| by.chars().count() <= MAX_BY_CHARS && !by.chars().any(char::is_control);
        let person_is_fit = match self {
            Self::Person(Person { password, made_by, .. }) => {
                password.len() <= MAX_HASH_BYTES && is_hash(password) && made_by.as_deref().is_none_or(is_short)
            }
            Self::Removed(_) => true,
        };
        let is_believed = |ms: i64| Hlc::new(ms).is_ok_and(|at| at <= Hlc::latest_believed(now_ms));
        let (set_ms, after_removal_ms) = match self {
            Self::Person(person) => (person.set_ms, person.after_removal_ms),
            Self::Removed(_) => (0, None),
        };
        let clocks = [changed.at_ms, changed.after_ms, set_ms, after_removal_ms.unwrap_or_default()];
        checked_name("name", self.name()).is_ok_and(|name| name == self.name())
            && clocks.into_iter().all(is_believed)
            && is_short(&changed.by)
            && person_is_fit
    }
}

/// Takes what was said of a name into a set; who was overruled by that, whichever of the two it is.
fn join(held: &mut Records, said: PersonRecord) -> Option<Overruled> {
    let key = folded(said.name());
    let Some(known) = held.get(&key) else {
        held.insert(key, said);
        return None;
    };
    let (counts, lost) = if said.rank(known).is_gt() { (&said, known) } else { (known, &said) };
    let (counts_at, lost_at) = (counts.changed(), lost.changed());
    let is_elsewhere = lost_at.central.is_none() || counts_at.central != lost_at.central;
    let is_overruled = is_elsewhere && !counts.says_the_same_as(lost) && counts_at.after_ms < lost_at.at_ms;
    let overruled =
        is_overruled.then(|| Overruled { name: counts.name().to_owned(), counts: counts_at, lost: lost_at });
    let counts = counts.clone();
    held.insert(key, counts);
    overruled
}

impl Accounts {
    /// All that is said of people, by name.
    pub fn records(&self) -> Vec<PersonRecord> {
        self.by_name().into_values().collect()
    }

    /// The same for all centrals that hold the same, and for no others. Tells nothing of what it is made of.
    pub fn people_digest(&self) -> String {
        let text = serde_json::to_vec(&self.records()).unwrap_or_default();
        hex(&Sha256::digest(text)).chars().take(32).collect()
    }

    fn by_name(&self) -> Records {
        let people = self.people.iter().cloned().map(PersonRecord::Person);
        let removed = self.removed.iter().cloned().map(PersonRecord::Removed);
        let mut records = Records::new();
        for record in people.chain(removed) {
            join(&mut records, record);
        }
        records
    }

    /// Notes by whom, where and when this became what it is, where it differs from `before`.
    pub fn note_changes(&mut self, before: &Self, central: &CentralId, by: &str, now_ms: i64) {
        let known = before.by_name();
        let changed = |name: &str| {
            let last = known.get(&folded(name)).map(PersonRecord::changed);
            let at_ms = Hlc::next(now_ms, last.as_ref().and_then(|last| Hlc::new(last.at_ms).ok())).ms();
            let is_own = |last: &Changed| last.central.as_ref() == Some(central);
            let after_ms = last.map_or(0, |last| if is_own(&last) { last.after_ms } else { last.at_ms });
            let by = by.chars().filter(|c| !c.is_control()).take(MAX_BY_CHARS).collect();
            Changed { at_ms, central: Some(central.clone()), by, after_ms }
        };
        for person in &mut self.people {
            if !before.people.iter().any(|was| was.is_as_good_as(person)) {
                person.changed = Some(changed(&person.name));
            }
            if let Some(PersonRecord::Removed(removed)) = known.get(&folded(&person.name)) {
                person.after_removal_ms = Some(removed.changed.at_ms);
            }
        }
        let removed =
            before.people.iter().map(|was| RemovedPerson { name: was.name.clone(), changed: changed(&was.name) });
        let mut removed: Vec<RemovedPerson> = std::mem::take(&mut self.removed).into_iter().chain(removed).collect();
        removed.retain(|removed| self.person(&removed.name).is_none());
        forget_oldest(&mut removed, now_ms);
        self.removed = removed;
    }

    /// With what another central says of people. `central`: the own one. `is_hash`: whether a password can be checked against that.
    #[must_use]
    pub fn merged(
        &self,
        said: Vec<PersonRecord>,
        central: &CentralId,
        now_ms: i64,
        is_hash: &dyn Fn(&str) -> bool,
    ) -> MergedPeople {
        let mut records = self.by_name();
        let (mut overruled, mut unfit) = (Vec::new(), 0);
        let unread = said.len().saturating_sub(MAX_PEOPLE + MAX_REMOVED);
        for record in said.into_iter().take(MAX_PEOPLE + MAX_REMOVED) {
            if record.is_fit(now_ms, is_hash) && has_room(&records, &record) {
                let told = join(&mut records, record);
                // Of one name the last is enough.
                overruled.retain(|before: &Overruled| told.as_ref().is_none_or(|told| told.name != before.name));
                overruled.extend(told);
            } else {
                unfit += 1;
            }
        }
        unfit += unread;
        let kept = self.keep_one_administrator(&mut records, central);
        overruled.extend(kept.clone());
        let mut accounts = Self { people: Vec::new(), removed: Vec::new(), tokens: self.tokens.clone() };
        // Who was here keeps the place in the list.
        let here = self.people.iter().filter_map(|person| records.remove_entry(&folded(&person.name)));
        for (_, record) in here.collect::<Vec<_>>().into_iter().chain(std::mem::take(&mut records)) {
            match record {
                PersonRecord::Person(person) => accounts.people.push(person),
                PersonRecord::Removed(removed) => accounts.removed.push(removed),
            }
        }
        forget_oldest(&mut accounts.removed, now_ms);
        for before in &self.people {
            // Of who was removed and added again only the end may be heard.
            let is_another = |now: &&Person| now.after_removal_ms.is_some_and(|at_ms| before.changed().at_ms < at_ms);
            let left = accounts.person(&before.name).filter(|now| !is_another(now)).map(|person| person.role);
            let maker = Who::Person { name: before.name.clone(), role: before.role };
            if left.is_none_or(|role| role < before.role) {
                accounts.end_tokens_of(&maker, |token| left.is_none_or(|role| token.role > role));
            }
        }
        MergedPeople { accounts, overruled, kept: kept.map(|kept| kept.name), unfit }
    }

    /// Two administrators may have removed each other, each where the other was still one.
    fn keep_one_administrator(&self, records: &mut Records, central: &CentralId) -> Option<Overruled> {
        if records.values().any(PersonRecord::is_administrator) {
            return None;
        }
        let administrators = self.people.iter().filter(|person| person.role == Role::Administrator);
        let last = administrators.cloned().map(PersonRecord::Person).max_by(PersonRecord::rank)?;
        let PersonRecord::Person(mut last) = last else { return None };
        let lost = records.get(&folded(&last.name));
        let lost_at = lost?.changed();
        let after_ms = lost_at.at_ms;
        // A password that was set elsewhere counts all the same.
        if let Some(PersonRecord::Person(lost)) = lost {
            last = Person { role: last.role, ..lost.clone() };
        }
        let at_ms = Hlc::next(0, Hlc::new(after_ms).ok()).ms();
        let by = LAST_ADMINISTRATOR.to_owned();
        let counts = Changed { at_ms, central: Some(central.clone()), by, after_ms };
        last.changed = Some(counts.clone());
        let name = last.name.clone();
        records.insert(folded(&name), PersonRecord::Person(last));
        Some(Overruled { name, counts, lost: lost_at })
    }
}

/// Others fill no list: who is held here stays, and a removal of somebody here always counts.
fn has_room(held: &Records, record: &PersonRecord) -> bool {
    let known = held.get(&folded(record.name()));
    let people = held.values().filter(|held| matches!(held, PersonRecord::Person(_))).count();
    match (known, record) {
        (Some(PersonRecord::Person(_)), _) | (Some(PersonRecord::Removed(_)), PersonRecord::Removed(_)) => true,
        (_, PersonRecord::Person(_)) => people < MAX_PEOPLE,
        (None, PersonRecord::Removed(_)) => held.len() - people < MAX_REMOVED,
    }
}

/// Those first that are of days to come: a bad central could fill the list with them, and every removal from then on would be forgotten at once.
fn forget_oldest(removed: &mut Vec<RemovedPerson>, now_ms: i64) {
    let is_of_now = |removed: &RemovedPerson| removed.changed.at_ms <= now_ms.saturating_add(AHEAD_MS);
    let key = |removed: &RemovedPerson| (is_of_now(removed), removed.changed.at_ms, removed.name.clone());
    removed.sort_by_cached_key(|removed| Reverse(key(removed)));
    removed.truncate(MAX_REMOVED);
}

#[cfg(test)]
mod tests;
