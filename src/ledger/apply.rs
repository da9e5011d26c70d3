//! What an event does to the projection.
//!
//! Nearly every fact is the newest of its plate and of the plain kind: an entry of a car that is not inside, the
//! confirmation or the exit of the open stay. These take one step of the fold (the same code `resolve` folds with).
//! Everything else is left to [`super::refold`].

use crate::domain::event::{Body, Entry, Event};
use crate::domain::ids::Hlc;
use crate::domain::plate::PlateId;
use crate::domain::row::StayRow;
use crate::domain::stay::{Fact, links};

use super::refold::loose_key;
use super::settings::{SITE_TARIFF, SetBy, setting_hash};
use super::state::{OpenStay, TotalChange};
use super::storage::{EventRef, SettingKind, Storage};
use super::transaction::{Stop, Transaction};

impl<S: Storage> Transaction<'_, S> {
    /// Applies an appended event: at once if it is plain, else by leaving it in `pending` for the next refold.
    pub(super) fn apply(&mut self, fact: &Fact) -> Result<(), Stop<S::Error>> {
        let event = &fact.event;
        let newest_of_all = event.hlc > self.staged.max_hlc;
        self.staged.max_hlc = self.staged.max_hlc.max(event.hlc);
        let plain = match &event.body {
            Body::Entry(entry) => self.enter_plainly(fact, entry, newest_of_all)?,
            Body::Exit(_) => self.exit_plainly(fact, newest_of_all)?,
            Body::Confirmed(_) => self.confirm_plainly(fact, newest_of_all)?,
            Body::Correction(_) | Body::Void(_) => false,
            Body::Tariff(_) | Body::Subscription(_) => {
                self.apply_setting(event)?;
                true
            }
            Body::Unknown { type_name } => {
                let reason = format!("unknown type {type_name}");
                self.write()?.quarantine(&place(event), &reason).map_err(Stop::Storage)?;
                true
            }
        };
        if !plain {
            self.pending.add(fact.clone());
        }
        if let Some((edge_id, request_id)) = event.request() {
            let at = place(event);
            self.write()?.put_request(edge_id, request_id, &at, event.hlc).map_err(Stop::Storage)?;
        }
        Ok(())
    }

    fn enter_plainly(&mut self, fact: &Fact, entry: &Entry, newest_of_all: bool) -> Result<bool, Stop<S::Error>> {
        let event = &fact.event;
        let plate = &entry.plate_id;
        let Some(stay_id) = event.event_id.as_deref() else { return Ok(false) };
        if entry.replaces.is_some() || self.inside(plate).is_some() || self.is_entangled(fact)? {
            return Ok(false);
        }
        if let Some((edge_id, request_id)) = event.request()
            && !self.read()?.events_of_request(edge_id, request_id).map_err(Stop::Storage)?.is_empty()
        {
            return Ok(false);
        }
        if self.read()?.stay(stay_id).map_err(Stop::Storage)?.is_some() {
            return Ok(false);
        }
        if !newest_of_all && !self.is_newest_of_plate(plate, event.hlc)? {
            return Ok(false);
        }
        let Some(row) = StayRow::opened(fact) else { return Ok(false) };
        if row.stay_id != stay_id {
            return Ok(false);
        }
        let committed_ms = self.now.wall_ms;
        let row_id = self.insert_row(&row, committed_ms)?;
        self.count(row.entry_ms, &row.source_central, &row.edge_id, TotalChange { entries: 1, ..Default::default() });
        let open = OpenStay::of_row(row_id, &row, committed_ms, Some(event.hlc), self.texts);
        self.set_inside(plate, Some(open));
        Ok(true)
    }

    fn exit_plainly(&mut self, fact: &Fact, newest_of_all: bool) -> Result<bool, Stop<S::Error>> {
        let event = &fact.event;
        let Some((row_id, old)) = self.open_row_named(fact, event.exit_stay(), newest_of_all)? else {
            return Ok(false);
        };
        if let Some((edge_id, request_id)) = event.request()
            && !self.read()?.events_of_request(edge_id, request_id).map_err(Stop::Storage)?.is_empty()
        {
            return Ok(false);
        }
        let mut row = old.clone();
        if !row.close(fact) {
            return Ok(false);
        }
        self.replace_row(row_id, &old, &row)?;
        if let Body::Exit(exit) = &event.body {
            let change = TotalChange { exits: 1, revenue_vnd: exit.fee.0, ..Default::default() };
            self.count(event.timestamp_ms, &exit.exit_central, &exit.exit_edge, change);
        }
        self.set_inside(&row.plate_id, None);
        Ok(true)
    }

    fn confirm_plainly(&mut self, fact: &Fact, newest_of_all: bool) -> Result<bool, Stop<S::Error>> {
        let event = &fact.event;
        let Some((row_id, old)) = self.open_row_named(fact, event.event_id.as_deref(), newest_of_all)? else {
            return Ok(false);
        };
        if old.confirm_fact.is_some() {
            return Ok(false);
        }
        let mut row = old.clone();
        if !row.confirm(fact) {
            return Ok(false);
        }
        self.replace_row(row_id, &old, &row)?;
        if let Some(mut open) = self.inside(&row.plate_id).cloned() {
            open.last_hlc = row.last_hlc;
            open.plate_hlc = open.plate_hlc.max(Some(event.hlc));
            self.set_inside(&row.plate_id, Some(open));
        }
        Ok(true)
    }

    /// The open row a fact names, if the fact is plain about it: it is the newest of its plate and nothing hangs on it.
    fn open_row_named(
        &mut self,
        fact: &Fact,
        stay_id: Option<&str>,
        newest_of_all: bool,
    ) -> Result<Option<(i64, StayRow)>, Stop<S::Error>> {
        let event = &fact.event;
        let (Some(stay_id), Some(plate)) = (stay_id, event.recorded_plate()) else { return Ok(None) };
        let Some(open) = self.inside(plate) else { return Ok(None) };
        if &*open.stay_id != stay_id {
            return Ok(None);
        }
        let plate_hlc = open.plate_hlc;
        if self.is_entangled(fact)? {
            return Ok(None);
        }
        let newest = newest_of_all
            || match plate_hlc {
                Some(greatest) => event.hlc > greatest,
                None => self.is_newest_of_plate(plate, event.hlc)?,
            };
        if !newest {
            return Ok(None);
        }
        let stored = self.read()?.stay(stay_id).map_err(Stop::Storage)?;
        Ok(stored.map(|stored| (stored.row_id, stored.row)))
    }

    fn is_newest_of_plate(&mut self, plate: &PlateId, hlc: Hlc) -> Result<bool, Stop<S::Error>> {
        let greatest = self.read()?.greatest_hlc_of_plate(plate).map_err(Stop::Storage)?;
        Ok(greatest.is_none_or(|greatest| hlc > greatest))
    }

    /// Whether loose facts, or facts waiting for a refold, concern the same plate or stay.
    fn is_entangled(&mut self, fact: &Fact) -> Result<bool, Stop<S::Error>> {
        if self.staged.loose_facts == 0 && self.pending.is_empty() {
            return Ok(false);
        }
        for link in links(fact) {
            if self.pending.concerns(&link) {
                return Ok(true);
            }
            let Some(key) = loose_key(&link) else { continue };
            if self.staged.loose_facts > 0 && !self.read()?.loose_facts(&key).map_err(Stop::Storage)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn apply_setting(&mut self, event: &Event) -> Result<(), Stop<S::Error>> {
        let (kind, id) = match &event.body {
            Body::Tariff(_) => (SettingKind::Tariff, SITE_TARIFF),
            Body::Subscription(update) => (SettingKind::Subscription, update.id.as_str()),
            _ => return Ok(()),
        };
        let set_by = SetBy { hlc: event.hlc, at: place(event) };
        if !self.settings().is_newer(kind, id, &set_by) {
            return Ok(());
        }
        if let Some(old) = self.settings().stored(kind, id) {
            self.staged.digest.subtract(setting_hash(&old));
        }
        match &event.body {
            Body::Tariff(update) => self.settings_mut().set_tariff(set_by, update.tariff.clone()),
            Body::Subscription(update) => {
                self.settings_mut().set_subscription(set_by, update.id.clone(), update.subscription.clone());
            }
            _ => {}
        }
        if let Some(new) = self.settings().stored(kind, id) {
            self.staged.digest.add(setting_hash(&new));
            self.write()?.put_setting(&new).map_err(Stop::Storage)?;
        }
        Ok(())
    }
}

/// Where an event lies.
pub(super) fn place(event: &Event) -> EventRef {
    EventRef { log: event.log.clone(), seq: event.seq }
}
