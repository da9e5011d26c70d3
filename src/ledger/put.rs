//! Changing the settings that are replicated: tariff, subscriptions, the standing of centrals, names.

use std::collections::BTreeSet;

use crate::domain::event::{Body, Draft, PriceList, SubscriptionUpdate, TariffUpdate};
use crate::domain::ids::Hlc;
use crate::domain::naming::Naming;
use crate::domain::standing::{CentralStanding, Standing};
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;

use super::job::{Answer, IfVersion, Refusal};
use super::settings::{SITE_TARIFF, SubscriptionChange};
use super::storage::{SettingKind, Storage};
use super::transaction::{Stop, Transaction};

/// Most tariffs that one central announced and that wait for their moment: a few years of them, and bounded in memory.
const MAX_ANNOUNCED: usize = 16;
/// Clocks of centrals that are no further apart than this, in ms, are right.
const MOST_APART_MS: i64 = 60 * 1_000;

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn put_tariff(&mut self, tariff: Tariff) -> Result<Answer, Stop<S::Error>> {
        // Where this clock is behind those of the others: what is in force for them is overridden as well.
        let theirs_ms = self.now.wall_ms.saturating_sub(self.now.skew_ms.unwrap_or(0));
        let now_ms = self.now.wall_ms.max(theirs_ms);
        let (held, version) = self.settings().tariff_at(now_ms);
        if let (true, Some(version)) = (*held == tariff, version) {
            return Ok(Answer::TariffSet { version });
        }
        let body = if tariff.is_more_than_hourly() {
            Body::PriceList(PriceList { valid_from_ms: None, tariff: Some(tariff) })
        } else {
            Body::Tariff(TariffUpdate { tariff })
        };
        let draft = self.setting_draft(SettingKind::Tariff, SITE_TARIFF, body);
        let in_force = self.settings().announced_in_force(now_ms);
        let hlc = in_force.map_or(draft.hlc, |(from_ms, hlc)| draft.hlc.max(Hlc::next(from_ms, Some(hlc))));
        // Where this clock is ahead of those of the others, what it takes for gone by is still to come.
        let is_ahead = now_ms.saturating_sub(theirs_ms) > MOST_APART_MS;
        let after_ms = if is_ahead { theirs_ms } else { now_ms };
        let waiting: Vec<_> =
            self.settings().announced(after_ms).filter(|(from_ms, ..)| *from_ms <= hlc.ms()).collect();
        let fact = self.author(Draft { hlc, ..draft })?;
        // This clock, or the one it goes on from, is ahead of these moments: they are announced again, or this would override them before they come.
        for (from_ms, tariff, _) in waiting {
            let list = PriceList { valid_from_ms: Some(from_ms), tariff: Some(tariff) };
            self.author(self.setting_draft(SettingKind::Announced, &from_ms.to_string(), Body::PriceList(list)))?;
        }
        Ok(Answer::TariffSet { version: fact.id.to_string() })
    }

    /// Announces a tariff for a moment that lies ahead, or withdraws the one that was announced for it.
    pub(super) fn announce_tariff(&mut self, list: PriceList) -> Result<Answer, Stop<S::Error>> {
        let Some(from_ms) = list.valid_from_ms.filter(|from_ms| *from_ms > self.now.wall_ms) else {
            let problem = "must lie ahead; without it the tariff is in force at once".to_owned();
            return Err(Stop::Refused(Refusal::Field { field: "valid_from", problem }));
        };
        let ahead: Vec<_> = self.settings().announced(self.now.wall_ms).collect();
        let held = ahead.into_iter().find(|(held_ms, ..)| *held_ms == from_ms);
        let held = held.map(|(_, tariff, version)| (tariff, version));
        match (&held, &list.tariff) {
            (Some((held, version)), Some(tariff)) if held == tariff => {
                return Ok(Answer::TariffSet { version: version.clone() });
            }
            (None, None) => {
                let problem = "no tariff is announced for this moment".to_owned();
                return Err(Stop::Refused(Refusal::Field { field: "valid_from", problem }));
            }
            // What other centrals announce takes no places here.
            (None, Some(_))
                if self.settings().announced_by(&self.context.central, self.now.wall_ms) >= MAX_ANNOUNCED =>
            {
                let problem = format!("at most {MAX_ANNOUNCED} tariffs are announced at a time");
                return Err(Stop::Refused(Refusal::Field { field: "valid_from", problem }));
            }
            _ => {}
        }
        let draft = self.setting_draft(SettingKind::Announced, &from_ms.to_string(), Body::PriceList(list));
        let fact = self.author(draft)?;
        Ok(Answer::TariffSet { version: fact.id.to_string() })
    }

    /// Lets a central in or throws it out.
    pub(super) fn put_standing(&mut self, standing: CentralStanding) -> Result<Answer, Stop<S::Error>> {
        let id = standing.fingerprint.to_string();
        let own = &self.context.central;
        // What another said of it may count no more one day; what is said here does not depend on that.
        if let Some((said, by)) = self.settings().said_last(&id)
            && *said == standing
            && by.at.log.central == *own
        {
            return Ok(Answer::StandingSet { version: by.version() });
        }
        if standing.standing == Standing::Admitted && self.settings().was_expelled_as(&id, own) {
            let reason = format!(
                "this certificate was expelled as that of {own}, which cannot let it in again: do it at another central, \
                 or give this one a new key"
            );
            return Err(Stop::Refused(Refusal::Invalid(reason)));
        }
        let draft = self.setting_draft(SettingKind::Central, &id, Body::Central(standing));
        let fact = self.author(draft)?;
        Ok(Answer::StandingSet { version: fact.id.to_string() })
    }

    /// An event for each name that differs from what is held.
    pub(super) fn put_names(&mut self, names: Vec<Naming>) -> Result<Answer, Stop<S::Error>> {
        let differs = |naming: &Naming| self.settings().name(&naming.id).unwrap_or_default() != naming.name;
        let draft = |naming: Naming| self.setting_draft(SettingKind::Name, &naming.id.clone(), Body::Naming(naming));
        let drafts: Vec<Draft> = names.into_iter().filter(differs).map(draft).collect();
        self.author_all(drafts)?;
        Ok(Answer::Noted)
    }

    /// Makes this list of what is held, whatever that is.
    pub(super) fn put_subscriptions(&mut self, list: Vec<Subscription>) -> Result<Answer, Stop<S::Error>> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = list.iter().find(|subscription| !ids.insert(subscription.id.as_str())) {
            let reason = format!("subscription id {:?} stands in the list twice", twice.id);
            return Err(Stop::Refused(Refusal::Invalid(reason)));
        }
        let changes = self.settings().difference(&list).changes();
        self.change_subscriptions(changes)
    }

    /// One event per id that differs from what is held. All of them, or none if one is refused.
    pub(super) fn change_subscriptions(&mut self, changes: Vec<SubscriptionChange>) -> Result<Answer, Stop<S::Error>> {
        let changes = changes.into_iter().filter(|(id, value)| self.settings().subscription(id) != value.as_ref());
        let draft = |(id, subscription): SubscriptionChange| {
            let body = Body::Subscription(SubscriptionUpdate { id: id.clone(), subscription });
            self.setting_draft(SettingKind::Subscription, &id, body)
        };
        let drafts: Vec<Draft> = changes.map(draft).collect();
        let changed = drafts.len();
        self.author_all(drafts)?;
        Ok(self.subscriptions_set(changed))
    }

    fn subscriptions_set(&self, changed: usize) -> Answer {
        Answer::SubscriptionsSet { changed, version: self.settings().subscriptions_version() }
    }

    /// Does it if what it changes still has the version it was read at.
    pub(super) fn if_version(&mut self, guarded: IfVersion) -> Result<Answer, Stop<S::Error>> {
        let settings = self.settings();
        let held = match guarded.of {
            SettingKind::Tariff | SettingKind::Announced => settings.tariff_at(self.now.wall_ms).1,
            SettingKind::Subscription => Some(settings.subscriptions_version()),
            SettingKind::Central | SettingKind::Name => None,
        };
        if held != guarded.version {
            return Err(Stop::Refused(Refusal::StaleVersion));
        }
        self.decide(guarded.job)
    }

    /// With the lowest clock there is, so that whatever a person has set anywhere counts against it.
    pub(super) fn import_tariff(&mut self, tariff: Tariff) -> Result<Answer, Stop<S::Error>> {
        let draft = self.setting_draft(SettingKind::Tariff, SITE_TARIFF, Body::Tariff(TariffUpdate { tariff }));
        let fact = self.author(Draft { hlc: Hlc::default(), ..draft })?;
        Ok(Answer::TariffSet { version: fact.id.to_string() })
    }

    pub(super) fn import_subscriptions(&mut self, list: Vec<Subscription>) -> Result<Answer, Stop<S::Error>> {
        let drafts: Vec<Draft> = list
            .into_iter()
            .map(|subscription| {
                let id = subscription.id.clone();
                let body = SubscriptionUpdate { id: id.clone(), subscription: Some(subscription) };
                let draft = self.setting_draft(SettingKind::Subscription, &id, Body::Subscription(body));
                Draft { hlc: Hlc::default(), ..draft }
            })
            .collect();
        let changed = drafts.len();
        self.author_all(drafts)?;
        Ok(self.subscriptions_set(changed))
    }

    fn setting_draft(&self, kind: SettingKind, id: &str, body: Body) -> Draft {
        Draft {
            hlc: Hlc::next(self.now.wall_ms, self.settings().clock_of(kind, id)),
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: None,
            body,
            by: None,
        }
    }
}
