//! Changing the settings that are replicated: tariff, subscriptions, the standing of centrals.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::event::{Body, Draft, SubscriptionUpdate, TariffUpdate};
use crate::domain::ids::Hlc;
use crate::domain::standing::CentralStanding;
use crate::domain::subscription::Subscription;
use crate::domain::tariff::Tariff;

use super::job::{Answer, Refusal};
use super::settings::SITE_TARIFF;
use super::storage::{SettingKind, Storage};
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn put_tariff(&mut self, tariff: Tariff) -> Result<Answer, Stop<S::Error>> {
        let (held, version) = self.settings().tariff();
        if let (true, Some(version)) = (*held == tariff, version) {
            return Ok(Answer::TariffSet { version });
        }
        let body = Body::Tariff(TariffUpdate { tariff });
        let fact = self.author(self.setting_draft(SettingKind::Tariff, SITE_TARIFF, body))?;
        Ok(Answer::TariffSet { version: fact.id.to_string() })
    }

    /// Lets a central in or throws it out.
    pub(super) fn put_standing(&mut self, standing: CentralStanding) -> Result<Answer, Stop<S::Error>> {
        let id = standing.fingerprint.to_string();
        if let Some((held, version)) = self.settings().standing(&id)
            && *held == standing
        {
            return Ok(Answer::StandingSet { version });
        }
        let draft = self.setting_draft(SettingKind::Central, &id, Body::Central(standing));
        let fact = self.author(draft)?;
        Ok(Answer::StandingSet { version: fact.id.to_string() })
    }

    /// One event per id that differs from the list held, removals included. All of them, or none if one is refused.
    pub(super) fn put_subscriptions(&mut self, list: Vec<Subscription>) -> Result<Answer, Stop<S::Error>> {
        let mut wanted = BTreeMap::new();
        for subscription in list {
            if let Some(twice) = wanted.insert(subscription.id.clone(), subscription) {
                let reason = format!("subscription id {:?} stands in the list twice", twice.id);
                return Err(Stop::Refused(Refusal::Invalid(reason)));
            }
        }
        let held: BTreeSet<String> = self.settings().subscriptions().map(|held| held.id.clone()).collect();
        let removed = held.into_iter().filter(|id| !wanted.contains_key(id)).map(|id| (id, None)).collect::<Vec<_>>();
        let changes = removed.into_iter().chain(wanted.into_iter().map(|(id, value)| (id, Some(value))));
        let changes = changes.filter(|(id, value)| self.settings().subscription(id) != value.as_ref());
        let draft = |(id, subscription): (String, Option<Subscription>)| {
            let body = Body::Subscription(SubscriptionUpdate { id: id.clone(), subscription });
            self.setting_draft(SettingKind::Subscription, &id, body)
        };
        let drafts: Vec<Draft> = changes.map(draft).collect();
        let changed = drafts.len();
        self.author_all(drafts)?;
        Ok(Answer::SubscriptionsSet { changed })
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
        Ok(Answer::SubscriptionsSet { changed })
    }

    fn setting_draft(&self, kind: SettingKind, id: &str, body: Body) -> Draft {
        Draft {
            hlc: Hlc::next(self.now.wall_ms, self.settings().clock_of(kind, id)),
            timestamp_ms: self.now.wall_ms,
            skew_ms: self.now.skew_ms,
            event_id: None,
            body,
        }
    }
}
