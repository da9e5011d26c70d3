//! Tariff, subscriptions and the standing of centrals as held: of all events about one id the one with the latest (clock, fact id) counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};

use crate::domain::ids::{FactId, Hlc};
use crate::domain::plate::PlateId;
use crate::domain::standing::CentralStanding;
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;

use super::storage::{EventRef, Setting, SettingKind};

/// The one tariff there is. Its id leaves room for more.
pub const SITE_TARIFF: &str = "site";

/// The clock and place of the event that set a value: later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetBy {
    pub hlc: Hlc,
    pub at: EventRef,
}

impl SetBy {
    /// The version of the value: the id of the fact that set it.
    #[must_use]
    pub fn version(&self) -> String {
        FactId::Authored { log: self.at.log.clone(), seq: self.at.seq }.to_string()
    }
}

#[derive(Debug, Clone, PartialEq)]
struct HeldSubscription {
    set_by: SetBy,
    /// `None`: removed.
    value: Option<Subscription>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    tariff: Option<(SetBy, Tariff)>,
    subscriptions: BTreeMap<String, HeldSubscription>,
    /// By fingerprint, as text.
    centrals: BTreeMap<String, (SetBy, CentralStanding)>,
    /// The ids of the subscriptions of a plate.
    by_plate: HashMap<PlateId, BTreeSet<String>>,
}

impl Settings {
    /// Rebuilds from what the storage kept. A value that no longer parses is treated as not there.
    #[must_use]
    pub fn of_stored(stored: Vec<Setting>) -> Self {
        let mut settings = Self::default();
        for Setting { kind, id, hlc, at, value } in stored {
            let set_by = SetBy { hlc, at };
            match kind {
                SettingKind::Tariff => {
                    if let Some(tariff) = value.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
                        settings.tariff = Some((set_by, tariff));
                    }
                }
                SettingKind::Subscription => {
                    let value = value.as_deref().and_then(|json| serde_json::from_str(json).ok());
                    settings.set_subscription(set_by, id, value);
                }
                SettingKind::Central => {
                    if let Some(standing) = value.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
                        settings.set_standing(set_by, standing);
                    }
                }
            }
        }
        settings
    }

    /// The tariff in force and its version; the built-in one has none.
    #[must_use]
    pub fn tariff(&self) -> (std::borrow::Cow<'_, Tariff>, Option<String>) {
        match &self.tariff {
            Some((set_by, tariff)) => (std::borrow::Cow::Borrowed(tariff), Some(set_by.version())),
            None => (std::borrow::Cow::Owned(Tariff::default()), None),
        }
    }

    /// The list as it stands, by id.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values().filter_map(|held| held.value.as_ref())
    }

    /// Every central whose standing was decided, the latest decision each.
    pub fn centrals(&self) -> impl Iterator<Item = &CentralStanding> {
        self.centrals.values().map(|(_, standing)| standing)
    }

    /// The standing held of a certificate, and the version of that decision.
    #[must_use]
    pub fn standing(&self, fingerprint: &str) -> Option<(&CentralStanding, String)> {
        self.centrals.get(fingerprint).map(|(set_by, standing)| (standing, set_by.version()))
    }

    #[must_use]
    pub fn has_no_subscriptions(&self) -> bool {
        self.by_plate.is_empty()
    }

    #[must_use]
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(id).and_then(|held| held.value.as_ref())
    }

    /// Whether anything was ever said of this id, a removal included.
    #[must_use]
    pub fn is_known_subscription(&self, id: &str) -> bool {
        self.subscriptions.contains_key(id)
    }

    /// The id of a subscription that makes a stay of this plate free on `day` (`YYYY-MM-DD`).
    #[must_use]
    pub fn active_subscription(&self, plate: &PlateId, day: &str) -> Option<&str> {
        let ids = self.by_plate.get(plate)?;
        let active = |id: &&String| self.subscription(id).is_some_and(|held| held.active_for(plate, day));
        ids.iter().find(active).map(String::as_str)
    }

    /// The clock of what is held about an id: a new event about it must be later.
    #[must_use]
    pub fn clock_of(&self, kind: SettingKind, id: &str) -> Option<Hlc> {
        self.set_by(kind, id).map(|set_by| set_by.hlc)
    }

    fn set_by(&self, kind: SettingKind, id: &str) -> Option<&SetBy> {
        match kind {
            SettingKind::Tariff => self.tariff.as_ref().map(|(set_by, _)| set_by),
            SettingKind::Subscription => self.subscriptions.get(id).map(|held| &held.set_by),
            SettingKind::Central => self.centrals.get(id).map(|(set_by, _)| set_by),
        }
    }

    /// The setting as stored and hashed; `None` if nothing is held about the id.
    #[must_use]
    pub fn stored(&self, kind: SettingKind, id: &str) -> Option<Setting> {
        let set_by = self.set_by(kind, id)?.clone();
        let value = match kind {
            SettingKind::Tariff => self.tariff.as_ref().and_then(|(_, tariff)| serde_json::to_string(tariff).ok()),
            SettingKind::Subscription => {
                self.subscription(id).and_then(|subscription| serde_json::to_string(subscription).ok())
            }
            SettingKind::Central => self.standing(id).and_then(|(standing, _)| serde_json::to_string(standing).ok()),
        };
        Some(Setting { kind, id: id.to_owned(), hlc: set_by.hlc, at: set_by.at, value })
    }

    /// The parts of all settings in the digest.
    pub fn hashes(&self) -> impl Iterator<Item = [u8; 32]> {
        let tariff = self.stored(SettingKind::Tariff, SITE_TARIFF);
        let subscriptions = self.subscriptions.keys().filter_map(|id| self.stored(SettingKind::Subscription, id));
        let centrals = self.centrals.keys().filter_map(|id| self.stored(SettingKind::Central, id));
        tariff.into_iter().chain(subscriptions).chain(centrals).map(|setting| setting_hash(&setting))
    }

    /// Whether an event set at `set_by` counts against what is held.
    #[must_use]
    pub fn is_newer(&self, kind: SettingKind, id: &str, set_by: &SetBy) -> bool {
        self.set_by(kind, id).is_none_or(|held| held < set_by)
    }

    pub fn set_tariff(&mut self, set_by: SetBy, tariff: Tariff) {
        self.tariff = Some((set_by, tariff));
    }

    pub fn set_standing(&mut self, set_by: SetBy, standing: CentralStanding) {
        self.centrals.insert(standing.fingerprint.to_string(), (set_by, standing));
    }

    pub fn set_subscription(&mut self, set_by: SetBy, id: String, value: Option<Subscription>) {
        let plate_of = |value: &Option<Subscription>| PlateId::parse(&value.as_ref()?.plate_number).ok();
        let new_plate = plate_of(&value);
        let old = self.subscriptions.insert(id.clone(), HeldSubscription { set_by, value });
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

/// The part of one setting in the digest.
#[must_use]
pub fn setting_hash(setting: &Setting) -> [u8; 32] {
    let kind = match setting.kind {
        SettingKind::Tariff => "tariff",
        SettingKind::Subscription => "subscription",
        SettingKind::Central => "central",
    };
    let set_by = SetBy { hlc: setting.hlc, at: setting.at.clone() };
    let mut hasher = Sha256::new();
    for part in [kind, &setting.id, &set_by.version(), setting.value.as_deref().unwrap_or("removed")] {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(setting.hlc.ms().to_le_bytes());
    hasher.finalize().into()
}
