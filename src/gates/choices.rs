//! What counts of what a gate tells under several names, field by field, and what is said of the rest: one way for all fields.

use std::collections::BTreeSet;
use std::convert::Infallible;

use serde_json::Value;

use super::request::bounded;
use crate::domain::anomaly::Anomaly;
use crate::domain::direction::Direction;
use crate::domain::explain::words::{self, Text};
use crate::domain::money::Vnd;
use crate::domain::plate::{PlateError, PlateId};
use crate::domain::stay::MAX_SKEW_MS;
use crate::domain::time::SiteZone;
use crate::domain::told::chosen::{Chosen, Saying, choose};
use crate::domain::told::moment::NoMoment;
use crate::domain::told::vehicle::ToldVehicle;
use crate::domain::told::word::folded;
use crate::domain::told::{self, Note, amount, moment, vehicle, way};

/// What programs say in place of a vehicle type: the lane of their camera, if that is no direction; folded.
const LANES: [&str; 3] = ["detection", "parkinglot", "lot"];

/// Chooses, and keeps what there is to say and to doubt.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub notes: Vec<Note>,
    /// What to doubt of a stay that is told so.
    pub doubts: BTreeSet<Anomaly>,
}

impl Choices {
    /// Two plates are noted, and are no reason to doubt what was taken.
    pub fn plate<'v>(&mut self, told: Vec<Saying<'v>>) -> Chosen<'v, PlateId> {
        let choice = choose(told, read_plate, PlateId::eq);
        self.note(&choice, |plate| alike(plate.as_str()), None);
        if let (Some(told), Some(plate)) = (choice.told, &choice.read)
            && told::text(Some(told.value)).ok().flatten().is_some_and(|text| plate.has_beside(&text))
        {
            let (vi, en) = (
                format!("còn chữ khác ngoài biển số: ghi là {plate}"),
                format!("more stands here than a plate: {plate} is recorded"),
            );
            self.notes.push(Note::new(name_of(told), "beside", vi, en));
        }
        choice
    }

    /// In or out, among all that programs say of what happened.
    pub fn way<'v>(&mut self, told: &[Saying<'v>]) -> Chosen<'v, Direction> {
        let choice = choose(told.iter().copied(), read_way, Direction::eq);
        self.note(&choice, |way| alike(way.name()), Some(Anomaly::FeeUncertain));
        choice
    }

    pub fn fee<'v>(&mut self, told: Vec<Saying<'v>>) -> Chosen<'v, Vnd> {
        let choice = choose(told, |told| amount::read(Some(told)), Vnd::eq);
        let shown = |fee: &Vnd| (format!("{} đ", fee.vi()), format!("{} VND", fee.en()));
        self.note(&choice, shown, Some(Anomaly::FeeUncertain));
        choice
    }

    /// The vehicle type. That it is not known says nothing, nor does a lane of the program's camera.
    pub fn vehicle<'v>(&mut self, told: impl IntoIterator<Item = Saying<'v>>) -> Option<String> {
        let mut choice = choose(told, read_vehicle, |one, other| vehicle::same(one, other));
        // What is no text may be the part that is about the vehicle; where no type is told, whoever meant one is told.
        if choice.read.is_some() {
            choice.unread.clear();
        } else {
            let is_lost = |told: &Saying<'_>| told::text(Some(told.value)).is_err();
            choice.unread.extend(choice.told.filter(is_lost));
        }
        let shown = |kind: &String| {
            let Text { vi, en } = words::vehicle(kind);
            (vi, en)
        };
        self.note(&choice, shown, Some(Anomaly::FeeUncertain));
        choice.read
    }

    /// A text that only adds: what is none is said not to be used.
    pub fn text<'v>(&mut self, told: Vec<Saying<'v>>) -> Option<String> {
        let mut choice = choose(told, |told: &'v Value| told::text(Some(told)), |_, _| true);
        if choice.read.is_none() {
            choice.unread.extend(choice.told);
            choice.unread.retain(|told| told::text(Some(told.value)).is_err());
        }
        self.note(&choice, |text| alike(text), None);
        choice.read
    }

    /// When it happened, Unix ms.
    pub fn time_of<'v>(
        &mut self,
        told: impl Iterator<Item = Saying<'v>>,
        zone: &SiteZone,
    ) -> Result<Option<i64>, NoMoment> {
        let read = |told: &'v Value| moment::read(Some(told), zone);
        let choice = choose(told, read, |one, other| is_one_time(*one, *other, zone));
        self.note(&choice, |ms| alike(&zone.local_text(*ms)), Some(Anomaly::TimeUncertain));
        choice.value().map_or(Ok(None), read)
    }

    /// Says of all that does not count that it does not; `doubt`: of what, where some of it means something else. What counts and cannot be
    /// read is for whoever uses it to say.
    fn note<T>(&mut self, choice: &Chosen<'_, T>, shown: impl Fn(&T) -> (String, String), doubt: Option<Anomaly>) {
        let (counts_vi, counts) = choice.read.as_ref().map(&shown).unwrap_or_default();
        self.notes.extend(choice.others.iter().map(|(told, other)| {
            let (vi, en) = shown(other);
            let vi = format!("ở đây báo khác ({vi}): ghi theo {counts_vi}");
            Note::new(name_of(*told), "differs", vi, format!("this says otherwise, {en}: {counts} counts"))
        }));
        self.notes.extend(choice.unread.iter().map(|told| {
            Note::new(name_of(*told), "not_read", "không đọc được: không dùng", "it cannot be read: it is not used")
        }));
        self.doubts.extend(doubt.filter(|_| !choice.others.is_empty()));
    }
}

/// Where something was told, for people.
pub(super) fn name_of(told: Saying<'_>) -> String {
    format!("{}{}", told.place, bounded(told.key))
}

/// A text that is the same in both languages.
fn alike(text: &str) -> (String, String) {
    (text.to_owned(), text.to_owned())
}

fn read_plate(told: &Value) -> Result<Option<PlateId>, PlateError> {
    match told::text(Some(told)).ok().flatten().map(|text| PlateId::told(&text)) {
        None | Some(Err(PlateError::None)) => Ok(None),
        Some(read) => read.map(Some),
    }
}

/// A word that is no direction calls the event otherwise.
fn read_way(told: &Value) -> Result<Option<Direction>, Infallible> {
    Ok(told::text(Some(told)).ok().flatten().as_deref().and_then(way::read))
}

fn read_vehicle(told: &Value) -> Result<Option<String>, told::NoText> {
    let is_lane = |kind: &str| way::read(kind).is_some() || LANES.contains(&folded(kind).as_str());
    let says_one = |kind: &String| match vehicle::read(kind) {
        ToldVehicle::Known(_) => true,
        ToldVehicle::Other(_) => !is_lane(kind),
        ToldVehicle::Nothing => false,
    };
    told::text(Some(told)).map(|kind| kind.filter(says_one))
}

/// Whether two times that one program told of one thing are the same: it reads its clock twice, and what databases put down by themselves
/// is in UTC.
fn is_one_time(one_ms: i64, other_ms: i64, zone: &SiteZone) -> bool {
    let apart_ms = one_ms.abs_diff(other_ms);
    let of_zone_ms = zone.ahead_of_utc_ms(one_ms).unsigned_abs();
    apart_ms <= MAX_SKEW_MS || apart_ms.abs_diff(of_zone_ms) <= MAX_SKEW_MS
}
