//! A row of the history: what `resolve` makes of the facts about one stay.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;

use sha2::{Digest, Sha256};

use super::anomaly::Anomaly;
use super::ids::{FactId, Hlc};
use super::money::Vnd;
use super::named::named;
use super::plate::PlateId;

named! {
    /// Where a stay stands. `Void` rows stay in the history as what they are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum StayStatus {
        In = "IN",
        Out = "OUT",
        LeftUnseen = "LEFT_UNSEEN",
        Superseded = "SUPERSEDED",
        Void = "VOID",
    }
}

/// How a stay ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitPart {
    pub fact: FactId,
    pub central: String,
    pub edge_id: String,
    /// As stamped: see [`StayRow::shown_exit_ms`].
    pub exit_ms: i64,
    /// What was taken at the exit.
    pub fee: Vnd,
    /// The duration as shown, `1 giờ 31 phút`.
    pub duration: String,
    pub confidence: Option<f64>,
    pub manual: bool,
    /// The fee was taken by a gate that did not know this entry (an exit with `stay: null`). `fee` and `duration` are as that
    /// gate stated them; what would have been due is the fee rule over `entry_ms..exit_ms`, and whoever shows the row works
    /// it out, for the rules of stays know no tariff.
    pub entry_unknown: bool,
    /// The tariff version (a fact id in text) the fee was computed with; `None`: none was applied.
    pub tariff_version: Option<String>,
    /// The subscription that made the fee 0.
    pub subscription_id: Option<String>,
}

/// One stay, or one exit whose entry nobody saw.
#[derive(Debug, Clone, PartialEq)]
pub struct StayRow {
    /// `{central}_{unix ms}_{plate}`; `~<8 hex>` appended if the id was already another stay's.
    pub stay_id: String,
    /// The central the entry was made at (of an exit without entry: the exit).
    pub source_central: String,
    pub edge_id: String,
    /// The effective plate: as recorded, or as corrected.
    pub plate_id: PlateId,
    pub plate_view: String,
    pub camera_type: String,
    /// Time of the entry, Unix ms. Of an exit without entry: the time of the exit.
    pub entry_ms: i64,
    pub entry_confidence: Option<f64>,
    /// The entry was forced by a person.
    pub entry_manual: bool,
    pub confirmed_ms: Option<i64>,
    pub exit: Option<ExitPart>,
    pub status: StayStatus,
    /// The stay that superseded this one, if any.
    pub superseded_by: Option<String>,
    /// All that was collected for this stay, double exits included. Of a void stay: nothing.
    pub collected: Vnd,
    pub anomalies: BTreeSet<Anomaly>,
    /// The ENTRY (of an exit without entry: the EXIT).
    pub entry_fact: FactId,
    /// The clock of that fact, by which the rows of a plate are in order.
    pub entry_hlc: Hlc,
    pub confirm_fact: Option<FactId>,
    /// The greatest clock of the facts that made this row.
    pub last_hlc: Hlc,
}

impl StayRow {
    /// When it left, as it is shown: no stay ends before it begins, whatever the clocks said.
    pub fn shown_exit_ms(&self) -> Option<i64> {
        self.exit.as_ref().map(|exit| exit.exit_ms.max(self.entry_ms))
    }

    /// Whether all that an entry says is the same.
    pub fn begins_as(&self, other: &Self) -> bool {
        let numbers =
            |row: &Self| (row.entry_hlc, row.entry_ms, row.entry_manual, row.entry_confidence.map(float_bits));
        numbers(self) == numbers(other)
            && self.stay_id == other.stay_id
            && self.entry_fact == other.entry_fact
            && self.source_central == other.source_central
            && self.edge_id == other.edge_id
            && self.plate_id == other.plate_id
            && self.plate_view == other.plate_view
            && self.camera_type == other.camera_type
    }

    /// SHA-256 over every field above, in order, but for `entry_hlc`, which `entry_fact` says. Equal rows have equal hashes on every central; the local row number,
    /// `sync_status` and the times of local writing are not part of a row.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = RowHasher(Vec::with_capacity(HASHED_BYTES));
        hasher.text(&self.stay_id);
        hasher.text(&self.source_central);
        hasher.text(&self.edge_id);
        hasher.text(self.plate_id.as_str());
        hasher.text(&self.plate_view);
        hasher.text(&self.camera_type);
        hasher.number(self.entry_ms);
        hasher.optional_number(self.entry_confidence.map(float_bits));
        hasher.number(i64::from(self.entry_manual));
        hasher.optional_number(self.confirmed_ms);
        match &self.exit {
            None => hasher.number(0),
            Some(exit) => {
                hasher.number(1);
                hasher.shown(&exit.fact);
                hasher.text(&exit.central);
                hasher.text(&exit.edge_id);
                hasher.number(exit.exit_ms);
                hasher.number(exit.fee.0);
                hasher.text(&exit.duration);
                hasher.optional_number(exit.confidence.map(float_bits));
                hasher.number(i64::from(exit.manual));
                hasher.number(i64::from(exit.entry_unknown));
                hasher.optional_text(exit.tariff_version.as_deref());
                hasher.optional_text(exit.subscription_id.as_deref());
            }
        }
        hasher.text(self.status.name());
        hasher.optional_text(self.superseded_by.as_deref());
        hasher.number(self.collected.0);
        hasher.number(i64::try_from(self.anomalies.len()).unwrap_or(i64::MAX));
        for anomaly in &self.anomalies {
            hasher.text(anomaly.name());
        }
        hasher.shown(&self.entry_fact);
        match &self.confirm_fact {
            None => hasher.optional_text(None),
            Some(fact) => {
                hasher.number(1);
                hasher.shown(fact);
            }
        }
        hasher.number(self.last_hlc.ms());
        Sha256::digest(&hasher.0).into()
    }
}

/// The bits of a float as read from JSON: equal texts give equal bits.
fn float_bits(value: f64) -> i64 {
    i64::from_ne_bytes(value.to_bits().to_ne_bytes())
}

/// More than most rows come to.
const HASHED_BYTES: usize = 1024;

/// What is hashed: each field with its length, so that no two field lists share one byte stream.
struct RowHasher(Vec<u8>);

impl RowHasher {
    fn text(&mut self, text: &str) {
        self.number(i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    /// As [`Self::text`] of what it is shown as, without a string of it.
    fn shown(&mut self, value: &impl fmt::Display) {
        let at = self.0.len();
        self.number(0);
        // Writing to a vector cannot fail.
        let _ = write!(self.0, "{value}");
        let length = self.0.len() - at - size_of::<i64>();
        if let Some(place) = self.0.get_mut(at..at + size_of::<i64>()) {
            place.copy_from_slice(&i64::try_from(length).unwrap_or(i64::MAX).to_le_bytes());
        }
    }

    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn optional_text(&mut self, text: Option<&str>) {
        self.number(i64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn optional_number(&mut self, number: Option<i64>) {
        self.number(i64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }
}

#[cfg(test)]
impl StayRow {
    /// For tests: a car that came in at central-1 with nothing special about it, and is inside.
    pub(crate) fn entered(entry_fact: FactId, entry_ms: i64, plate: &str) -> Self {
        let plate_id = PlateId::parse(plate).unwrap();
        Self {
            stay_id: format!("central-1_{entry_ms}_{plate}"),
            source_central: "central-1".into(),
            edge_id: "edge-1".into(),
            plate_view: super::plate::view(&plate_id),
            plate_id,
            camera_type: "car".into(),
            entry_ms,
            entry_confidence: Some(0.95),
            entry_manual: false,
            confirmed_ms: None,
            exit: None,
            status: StayStatus::In,
            superseded_by: None,
            collected: Vnd(0),
            anomalies: BTreeSet::new(),
            entry_fact,
            entry_hlc: Hlc::new(entry_ms).unwrap(),
            confirm_fact: None,
            last_hlc: Hlc::new(entry_ms).unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CentralId, Epoch, LogId};

    /// The digest of a history is kept in its file: an update of the program must not change what a row hashes to.
    #[test]
    fn a_row_hashes_to_what_it_always_did() {
        let fact = |seq| {
            let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(0x0f86_d081_884c_7d65) };
            FactId::Authored { log, seq }
        };
        let mut row =
            StayRow { entry_confidence: Some(0.97), ..StayRow::entered(fact(5), 1_733_140_800_000, "29A12345") };
        let hex = |row: &StayRow| row.hash().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&row), "d1ac59252273e09559a6bee80ce5b5643a4dce2a6b9513815e375f1d794453f0");
        row.confirmed_ms = Some(1_733_140_809_000);
        row.confirm_fact = Some(fact(6));
        row.status = StayStatus::Out;
        row.collected = Vnd(25_000);
        row.anomalies = BTreeSet::from([Anomaly::ClockSkew]);
        row.exit = Some(ExitPart {
            fact: FactId::Heard([0xab; 32]),
            central: "central-2".into(),
            edge_id: "edge-9".into(),
            exit_ms: 1_733_150_000_000,
            fee: Vnd(25_000),
            duration: "2 giờ 33 phút".into(),
            confidence: None,
            manual: true,
            entry_unknown: false,
            tariff_version: Some("v1".into()),
            subscription_id: None,
        });
        assert_eq!(hex(&row), "5678a1e4c46b83eef4f365a7311c7d43cbc764a02755da93de2d53b97d514508");
    }
}
