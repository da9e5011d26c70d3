//! The open stay of a plate: what a gate needs to know at once, and all that an exit needs to write its row.
//!
//! There is one for every car inside, so it is kept small: what repeats is shared ([`EntryPlace`]), what follows from the
//! plate and the time is worked out, and what is rare is left on disk.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::domain::ids::{FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId};
use crate::domain::row::{StayRow, StayStatus};

/// Places are forgotten beyond this many, which only costs sharing.
const MAX_SHARED: usize = 4096;

/// Where and how cars come in: one per log, gate and kind of vehicle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryPlace {
    pub central: String,
    pub edge_id: String,
    pub camera_type: String,
    /// The log the entry lies in; `None`: it was heard from a predecessor.
    log: Option<LogId>,
}

/// Shares the places over all open stays.
#[derive(Debug, Default)]
pub struct Places(HashSet<Arc<EntryPlace>>);

impl Places {
    fn share(&mut self, place: EntryPlace) -> Arc<EntryPlace> {
        if let Some(known) = self.0.get(&place) {
            return known.clone();
        }
        if self.0.len() >= MAX_SHARED {
            self.0.clear();
        }
        let shared = Arc::new(place);
        self.0.insert(shared.clone());
        shared
    }
}

/// What differs from what nearly every stay has.
#[derive(Debug, Clone)]
struct Peculiar {
    /// Other than `{central}_{entry ms}_{plate}`.
    stay_id: Option<Box<str>>,
    /// Other than what is made of the plate.
    plate_view: Option<Box<str>>,
}

/// A car inside.
#[derive(Debug, Clone)]
pub struct OpenStay {
    pub row_id: i64,
    pub place: Arc<EntryPlace>,
    pub entry_ms: i64,
    /// When the entry was committed here, wall clock, Unix ms.
    pub committed_ms: i64,
    /// The clock of its entry.
    entry_hlc: Hlc,
    /// The greatest clock of the facts of this row.
    pub last_hlc: Hlc,
    /// The greatest clock of all facts of the plate; `None`: look it up.
    pub plate_hlc: Option<Hlc>,
    peculiar: Option<Box<Peculiar>>,
    entry_confidence: Option<f64>,
    /// The places of entry and confirmation in the log of [`EntryPlace`]; 0: not confirmed.
    entry_seq: u64,
    confirm_seq: u64,
    confirmed_ms: i64,
    /// The row says more than is known here.
    on_disk_only: bool,
}

impl OpenStay {
    pub fn of_row(row_id: i64, row: &StayRow, committed_ms: i64, plate_hlc: Option<Hlc>, places: &mut Places) -> Self {
        let (log, entry_seq) = match &row.entry_fact {
            FactId::Authored { log, seq } => (Some(log.clone()), *seq),
            FactId::Heard(_) => (None, 0),
        };
        let confirm_seq = match &row.confirm_fact {
            None => Some(0),
            Some(FactId::Authored { log: confirming, seq }) if Some(confirming) == log.as_ref() => Some(*seq),
            Some(_) => None,
        };
        let stay_id =
            Some(&row.stay_id).filter(|id| **id != usual_stay_id(&row.source_central, row.entry_ms, &row.plate_id));
        let plate_view = Some(&row.plate_view).filter(|view| **view != plate::view(&row.plate_id));
        let peculiar = (stay_id.is_some() || plate_view.is_some()).then(|| {
            let boxed = |text: &String| text.as_str().into();
            Box::new(Peculiar { stay_id: stay_id.map(boxed), plate_view: plate_view.map(boxed) })
        });
        let plain = row.status == StayStatus::In
            && row.exit.is_none()
            && row.superseded_by.is_none()
            && row.collected == Vnd(0)
            && row.anomalies.is_empty()
            && !row.entry_manual
            && row.confirmed_ms.is_some() == row.confirm_fact.is_some();
        let place = EntryPlace {
            central: row.source_central.clone(),
            edge_id: row.edge_id.clone(),
            camera_type: row.camera_type.clone(),
            log,
        };
        Self {
            row_id,
            entry_ms: row.entry_ms,
            committed_ms,
            entry_hlc: row.entry_hlc,
            last_hlc: row.last_hlc,
            plate_hlc,
            peculiar,
            entry_confidence: row.entry_confidence,
            entry_seq,
            confirm_seq: confirm_seq.unwrap_or_default(),
            confirmed_ms: row.confirmed_ms.unwrap_or_default(),
            on_disk_only: !plain || place.log.is_none() || confirm_seq.is_none(),
            place: places.share(place),
        }
    }

    /// The stay's id; `plate` is the one this is the open stay of, here and below.
    pub fn stay_id(&self, plate: &PlateId) -> String {
        match self.peculiar.as_ref().and_then(|peculiar| peculiar.stay_id.as_deref()) {
            Some(stay_id) => stay_id.to_owned(),
            None => usual_stay_id(&self.place.central, self.entry_ms, plate),
        }
    }

    pub fn plate_view(&self, plate: &PlateId) -> String {
        match self.peculiar.as_ref().and_then(|peculiar| peculiar.plate_view.as_deref()) {
            Some(view) => view.to_owned(),
            None => plate::view(plate),
        }
    }

    pub fn is_entered_by(&self, fact: &FactId) -> bool {
        matches!(fact, FactId::Authored { log, seq } if *seq == self.entry_seq && self.place.log.as_ref() == Some(log))
    }

    fn is_confirmed(&self) -> bool {
        self.confirm_seq != 0
    }

    /// The row as it is stored; `None`: it says more than is kept here, and has to be read.
    pub fn row(&self, plate: &PlateId) -> Option<StayRow> {
        let log = self.place.log.as_ref().filter(|_| !self.on_disk_only)?;
        let fact = |seq| FactId::Authored { log: log.clone(), seq };
        Some(StayRow {
            stay_id: self.stay_id(plate),
            source_central: self.place.central.clone(),
            edge_id: self.place.edge_id.clone(),
            plate_id: plate.clone(),
            plate_view: self.plate_view(plate),
            camera_type: self.place.camera_type.clone(),
            entry_ms: self.entry_ms,
            entry_confidence: self.entry_confidence,
            entry_manual: false,
            confirmed_ms: self.is_confirmed().then_some(self.confirmed_ms),
            exit: None,
            status: StayStatus::In,
            superseded_by: None,
            collected: Vnd(0),
            anomalies: BTreeSet::new(),
            entry_fact: fact(self.entry_seq),
            entry_hlc: self.entry_hlc,
            confirm_fact: self.is_confirmed().then(|| fact(self.confirm_seq)),
            last_hlc: self.last_hlc,
        })
    }
}

/// `{central}_{unix ms}_{plate}`: what a stay is called by the central its car came in at.
pub(super) fn usual_stay_id(central: &str, stamp_ms: i64, plate: &PlateId) -> String {
    [central, "_", &stamp_ms.to_string(), "_", plate.as_str()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::anomaly::Anomaly;
    use crate::domain::ids::{CentralId, Epoch};

    fn entered() -> StayRow {
        let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(7) };
        StayRow::entered(FactId::Authored { log, seq: 5 }, 1_733_140_800_000, "29A12345")
    }

    fn confirmed(confirm_epoch: u64) -> StayRow {
        let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(confirm_epoch) };
        let confirm_fact = Some(FactId::Authored { log, seq: 6 });
        StayRow { confirmed_ms: Some(1_733_140_809_000), confirm_fact, ..entered() }
    }

    fn kept(row: &StayRow) -> Option<StayRow> {
        let open = OpenStay::of_row(1, row, 1, None, &mut Places::default());
        assert_eq!(open.stay_id(&row.plate_id), row.stay_id);
        assert_eq!(open.plate_view(&row.plate_id), row.plate_view);
        open.row(&row.plate_id)
    }

    #[test]
    fn the_row_is_given_back_as_it_was() {
        let peculiar =
            StayRow { stay_id: "central-1_5_X~01234567".into(), plate_view: "29A 12345".into(), ..entered() };
        for row in [entered(), confirmed(7), peculiar, StayRow { entry_confidence: None, ..entered() }] {
            assert_eq!(kept(&row).as_ref(), Some(&row));
        }
    }

    #[test]
    fn what_is_not_kept_has_to_be_read() {
        let skewed = StayRow { anomalies: BTreeSet::from([Anomaly::ClockSkew]), ..entered() };
        let forced = StayRow { entry_manual: true, ..entered() };
        let heard = StayRow { entry_fact: FactId::Heard([1; 32]), ..entered() };
        let collected = StayRow { collected: Vnd(5_000), ..entered() };
        let superseded = StayRow { superseded_by: Some("other".into()), ..entered() };
        for row in [skewed, forced, heard, collected, superseded, confirmed(8)] {
            assert_eq!(kept(&row), None, "{row:?}");
        }
    }
}
