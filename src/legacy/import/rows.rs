//! Rows of an old history become what its central said: an entry, and an exit if there was one. Its tariff and subscriptions arrive
//! with the lowest clock there is: whatever a person set, here or at another central that is heard of later, counts against a file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::Path;

use serde_json::{Map, Value};

use super::{ImportError, ImportOutcome, Importer, Refusals, Remarks};
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::event::{Body, Draft, Entry, Exit};
use crate::domain::ids::Hlc;
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId, check_view};
use crate::domain::problem::FieldProblem;
use crate::domain::subscription::{self, Subscription};
use crate::domain::tariff::Tariff;
use crate::domain::time::SiteZone;
use crate::ledger::job::{Answer, Hearing, Job, Refusal, Told, VoidStay};
use crate::legacy::dialect::hear::{another_clock, clock_gap_min, first_plate, hours_text, not_seen_at_a_gate};
use crate::legacy::import::database::{ForeignError, ForeignRow, NotRemoved, Predecessor, Removed};
use crate::maintenance::{Progress, RebuildFor};

/// What is said in one transaction.
const BATCH: usize = 1_000;
/// Longest name of an edge and longest event id taken over, in characters.
const MAX_NAME_CHARS: usize = 100;
const MAX_EVENT_ID_CHARS: usize = 200;
/// A time later than this after now is none, in ms.
const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1_000;

/// When the exit of a row happened.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ExitAt {
    at_ms: i64,
    row: i64,
}

/// What came of the sayings of one row.
#[derive(Debug, Default)]
struct RowOutcome {
    new: u64,
    known: u64,
    refused: Option<String>,
}

pub(super) fn import(
    importer: &mut Importer,
    old: &Predecessor,
    path: &Path,
    zone: Option<&SiteZone>,
    refusals: Refusals<'_>,
    remarks: Remarks<'_>,
    progress: Progress<'_>,
) -> Result<ImportOutcome, ImportError> {
    let zone = zone.cloned().unwrap_or_else(|| importer.site.zone.clone());
    check_clock(old, path, &zone)?;
    let total = old.count()?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let site = RebuildFor { zone, ..importer.site.clone() };
    let latest_ms = importer.now_ms.saturating_add(MAX_AHEAD_MS);
    let mut importing = Importing {
        importer,
        from: format!("import:{file}"),
        exits: BinaryHeap::new(),
        drafts: BTreeMap::new(),
        batch: Vec::new(),
        rows: BTreeMap::new(),
        outcome: ImportOutcome::default(),
    };
    let mut ids = NewIds::default();
    let mut done = 0;
    let mut lost = Vec::new();
    let mut uncertain = Uncertain::default();
    let taken = old.each_row::<ImportError>(
        |row| {
            done += 1;
            match said(&row, &site, &mut ids).and_then(|said| not_of_the_future(said, latest_ms)) {
                Ok((entry, exit)) => {
                    uncertain.look_at(&row, &site.zone);
                    importing.take(row.id, entry, exit, refusals)?;
                }
                Err(reason) => {
                    importing.outcome.refused += 1;
                    refusals(&name_of(&row), &reason);
                }
            }
            progress(done, total.max(done));
            Ok(())
        },
        &mut |rows| lost.push(rows.clone()),
    );
    taken?;
    uncertain.said().for_each(|said| remarks(&said));
    importing.take_exits_before(i64::MAX, refusals)?;
    importing.flush(refusals)?;
    for rows in lost {
        importing.outcome.refused += 1;
        let before = rows.before.map_or_else(|| "the end".to_owned(), |row| format!("row {row}"));
        refusals(&format!("what lies between row {} and {before}", rows.after), "that part of the file is damaged");
    }
    for removed in old.removed()? {
        match removed {
            Ok(removed) => importing.remove(&removed, &site, refusals)?,
            Err(NotRemoved { row, reason }) => importing.refuse_removal(row, &reason, refusals),
        }
    }
    Ok(importing.outcome)
}

struct Importing<'a> {
    importer: &'a mut Importer,
    from: String,
    /// Exits that come after the entry just read. Said in the order of time, nearly everything is one plain step.
    exits: BinaryHeap<Reverse<ExitAt>>,
    drafts: BTreeMap<i64, (Draft, String)>,
    batch: Vec<(i64, Told)>,
    rows: BTreeMap<i64, RowOutcome>,
    outcome: ImportOutcome,
}

impl Importing<'_> {
    /// What a person removed there is written down and removed again, so that it stays removed where another central tells it.
    fn remove(&mut self, removed: &Removed, site: &RebuildFor, refusals: Refusals<'_>) -> Result<(), ImportError> {
        let row = removed.row.id;
        let (entry, exit) = match said(&removed.row, site, &mut NewIds::default()) {
            Ok(said) => said,
            Err(reason) => {
                self.refuse_removal(row, &reason, refusals);
                return Ok(());
            }
        };
        let stay_id = entry.0.event_id.clone().unwrap_or_default();
        let told = [Some(entry), exit].into_iter().flatten();
        let told = told.map(|(draft, source_central)| Told { draft, source_central, from: self.from.clone() });
        let heard = self.importer.hear(told.collect())?;
        let reason = format!("đã xóa ở chương trình cũ / removed in the old program, {} UTC", removed.at);
        let void = VoidStay { stay_id, reason };
        match self.importer.decide_or_refuse(Job::Void(void).by(Doer::new(DoerKind::Command, "import")))? {
            Ok(_) => {
                self.outcome.taken += 1;
                self.outcome.events += 1 + heard.iter().filter(|hearing| **hearing == Hearing::New).count() as u64;
            }
            Err(Refusal::AlreadyVoid) => self.outcome.known += 1,
            Err(refusal) => self.refuse_removal(row, &refusal.to_string(), refusals),
        }
        Ok(())
    }

    fn refuse_removal(&mut self, row: i64, reason: &str, refusals: Refusals<'_>) {
        self.outcome.refused += 1;
        refusals(&format!("the removal of row {row}"), reason);
    }

    fn take(
        &mut self,
        row: i64,
        entry: (Draft, String),
        exit: Option<(Draft, String)>,
        refusals: Refusals<'_>,
    ) -> Result<(), ImportError> {
        self.take_exits_before(entry.0.timestamp_ms, refusals)?;
        // Known before the entry is said: the row is counted when both are.
        if let Some(exit) = exit {
            self.exits.push(Reverse(ExitAt { at_ms: exit.0.timestamp_ms, row }));
            self.drafts.insert(row, exit);
        }
        self.say(row, entry, refusals)
    }

    fn take_exits_before(&mut self, at_ms: i64, refusals: Refusals<'_>) -> Result<(), ImportError> {
        while self.exits.peek().is_some_and(|Reverse(saying)| saying.at_ms < at_ms) {
            let Some(Reverse(ExitAt { row, .. })) = self.exits.pop() else { break };
            if let Some(exit) = self.drafts.remove(&row) {
                self.say(row, exit, refusals)?;
            }
        }
        Ok(())
    }

    fn say(
        &mut self,
        row: i64,
        (draft, source_central): (Draft, String),
        refusals: Refusals<'_>,
    ) -> Result<(), ImportError> {
        self.batch.push((row, Told { draft, source_central, from: self.from.clone() }));
        if self.batch.len() >= BATCH { self.flush(refusals) } else { Ok(()) }
    }

    fn flush(&mut self, refusals: Refusals<'_>) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (rows, told): (Vec<i64>, Vec<Told>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let hearings = self.importer.hear(told)?;
        for (row, hearing) in rows.into_iter().zip(hearings) {
            let outcome = self.rows.entry(row).or_default();
            match hearing {
                Hearing::New => outcome.new += 1,
                Hearing::Known => outcome.known += 1,
                Hearing::Refused(reason) => outcome.refused = Some(reason),
            }
        }
        // A row whose exit is still to be said is counted with it.
        let settled = std::mem::take(&mut self.rows).into_iter();
        let (waiting, settled): (BTreeMap<_, _>, BTreeMap<_, _>) =
            settled.partition(|(row, _)| self.drafts.contains_key(row));
        self.rows = waiting;
        for (row, outcome) in settled {
            self.outcome.events += outcome.new;
            match outcome.refused {
                Some(reason) => {
                    self.outcome.refused += 1;
                    refusals(&format!("row {row}"), &reason);
                }
                None if outcome.new > 0 => self.outcome.taken += 1,
                None => self.outcome.known += 1,
            }
        }
        Ok(())
    }
}

/// Ids for rows that have none: the same again at every import, since rows come in the same order.
#[derive(Debug, Default)]
struct NewIds {
    at_ms: i64,
    given: BTreeSet<String>,
}

impl NewIds {
    fn next(&mut self, central: &str, entry_ms: i64, plate: &PlateId) -> String {
        if self.at_ms != entry_ms {
            self.at_ms = entry_ms;
            self.given.clear();
        }
        let mut stamp_ms = entry_ms;
        loop {
            let id = format!("{central}_{stamp_ms}_{plate}");
            if self.given.insert(id.clone()) {
                return id;
            }
            stamp_ms += 1;
        }
    }
}

type Said = (Draft, String);

/// What a row says, or why it says nothing.
fn said(row: &ForeignRow, site: &RebuildFor, ids: &mut NewIds) -> Result<(Said, Option<Said>), String> {
    let texts = [row.plate_id.as_deref(), row.plate_view.as_deref()];
    let plate = first_plate(texts.into_iter().flatten(), row.exit_time.is_none())?;
    let entry_text = row.entry_time.as_deref().ok_or("it has no entry time")?;
    let entry_ms = local_ms(&site.zone, entry_text).ok_or_else(|| format!("{entry_text:?} is no time"))?;
    let source_central = row.source_central.clone().unwrap_or_else(|| site.central.to_string());
    let event_id = match &row.event_id {
        Some(id) if id.chars().count() > MAX_EVENT_ID_CHARS => return Err("its event id is too long".to_owned()),
        Some(id) => id.clone(),
        // Under the id it had before its plate was edited.
        None => {
            let read = row.plate_read.as_deref().and_then(|text| PlateId::parse(text).ok());
            ids.next(&source_central, entry_ms, read.as_ref().unwrap_or(&plate))
        }
    };
    let plate_view = row.plate_view.as_deref().and_then(|view| check_view(view).ok().flatten());
    let edge = row.edge_id.as_deref().or(row.entry_camera.as_deref().map(|name| split(name).1));
    let entry = Entry {
        plate_view: plate_view.map_or_else(|| plate::view(&plate), ToOwned::to_owned),
        entry_time: entry_text.to_owned(),
        confidence: row.entry_confidence.filter(|value| (0.0..=1.0).contains(value)),
        doubts: (row.is_anomaly || off_min(row, &site.zone).is_some()).then(not_seen_at_a_gate).into_iter().collect(),
        ..Entry::of(plate.clone(), short(edge.unwrap_or_default()))
    };
    let exit = match (row.status.as_deref(), row.exit_time.as_deref()) {
        (Some("IN"), None) => None,
        (Some("IN" | "OUT"), Some(exit_text)) => Some(exit_of(row, &plate, exit_text, site)?),
        (Some("OUT"), None) => return Err("it is OUT and has no exit time".to_owned()),
        (status, _) => return Err(format!("its status is {:?}", status.unwrap_or_default())),
    };
    let exit = match exit {
        None => None,
        Some((exit_ms, body)) => {
            let source = body.exit_central.clone();
            Some((draft(exit_ms, &event_id, Body::Exit(body))?, source))
        }
    };
    Ok(((draft(entry_ms, &event_id, Body::Entry(entry))?, source_central), exit))
}

fn exit_of(row: &ForeignRow, plate: &PlateId, exit_text: &str, site: &RebuildFor) -> Result<(i64, Exit), String> {
    let exit_ms = local_ms(&site.zone, exit_text).ok_or_else(|| format!("{exit_text:?} is no time"))?;
    let fee = match &row.fee {
        None => Vnd(0),
        Some(Ok(fee)) if Vnd(*fee).is_fee() => Vnd(*fee),
        Some(Ok(fee)) => return Err(format!("{fee} is no fee")),
        Some(Err(text)) => return Err(format!("{text:?} is no fee")),
    };
    let camera = row.exit_camera.as_deref().unwrap_or_default();
    // What was heard from another central is named with it; what happened at this one is not.
    let (central, edge) = match split(camera) {
        (Some(central), edge)
            if central == site.central.as_str()
                || row.exit_source.as_deref().is_some_and(|source| source.contains("sync")) =>
        {
            (central, edge)
        }
        _ => (site.central.as_str(), camera),
    };
    let exit = Exit {
        exit_time: exit_text.to_owned(),
        duration: short(row.duration.as_deref().unwrap_or_default()),
        confidence: row.exit_confidence.filter(|value| (0.0..=1.0).contains(value)),
        ..Exit::of(Some(plate.clone()), short(central), short(edge), fee)
    };
    Ok((exit_ms, exit))
}

fn draft(at_ms: i64, event_id: &str, body: Body) -> Result<Draft, String> {
    let hlc = Hlc::new(at_ms).map_err(|_| "its time is before 1970".to_owned())?;
    Ok(Draft { hlc, timestamp_ms: at_ms, skew_ms: None, event_id: Some(event_id.to_owned()), body, by: None })
}

/// A time far ahead would be the newest there is for years: every event after it would be dated after it.
fn not_of_the_future((entry, exit): (Said, Option<Said>), latest_ms: i64) -> Result<(Said, Option<Said>), String> {
    let is_ahead = |(draft, _): &Said| draft.timestamp_ms > latest_ms;
    if is_ahead(&entry) || exit.as_ref().is_some_and(is_ahead) {
        return Err("its time lies in the future".to_owned());
    }
    Ok((entry, exit))
}

/// Refuses a database whose times were written by the clock of another zone.
fn check_clock(old: &Predecessor, path: &Path, zone: &SiteZone) -> Result<(), ForeignError> {
    let Ok(utc) = SiteZone::named("UTC") else { return Ok(()) };
    let times = old.clock()?;
    let gaps =
        times.iter().filter_map(|(entry, written)| clock_gap_min(local_ms(zone, entry)?, local_ms(&utc, written)?));
    match another_clock(gaps) {
        Some(Some(gap_min)) => Err(ForeignError::AnotherClock {
            path: path.to_owned(),
            off: hours_text(gap_min),
            zone: zone.name().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// How far the clock that wrote a row was off the zone it is read in, as the row itself shows.
fn off_min(row: &ForeignRow, zone: &SiteZone) -> Option<i64> {
    let entry_ms = local_ms(zone, row.entry_time.as_deref()?)?;
    let written_ms = local_ms(&SiteZone::named("UTC").ok()?, row.written_at.as_deref()?)?;
    clock_gap_min(entry_ms, written_ms).filter(|gap_min| *gap_min != 0)
}

/// Rows whose times are to be looked at, counted by what is the matter with them.
#[derive(Debug, Default)]
struct Uncertain(BTreeMap<String, (i64, i64, u64)>);

impl Uncertain {
    fn look_at(&mut self, row: &ForeignRow, zone: &SiteZone) {
        let seen =
            row.is_anomaly.then(|| "of cars that a camera in the car park saw and no gate (is_anomaly)".to_owned());
        let clock = off_min(row, zone).map(|gap_min| {
            let (off, zone) = (hours_text(gap_min), zone.name());
            format!("written by a clock that was {off} off that of {zone}, where the most are not; or so long after the entry")
        });
        for why in [seen, clock].into_iter().flatten() {
            let (first, last, count) = self.0.entry(why).or_insert((row.id, row.id, 0));
            (*first, *last, *count) = ((*first).min(row.id), (*last).max(row.id), *count + 1);
        }
    }

    fn said(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(why, (first, last, count))| {
            format!(
                "{count} rows, from row {first} to row {last}, are {why}: their times are taken as they stand, and are marked as to be \
                 checked (time_uncertain)"
            )
        })
    }
}

/// `YYYY-MM-DD HH:MM:SS`, also with a `T` and a fraction, as Python writes it.
fn local_ms(zone: &SiteZone, text: &str) -> Option<i64> {
    let seconds = text.get(..19)?.replacen('T', " ", 1);
    let rest_ok = text.get(19..).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    zone.parse_local_text(&seconds).ok().filter(|_| rest_ok)
}

/// `central-2/edge-3` in its parts.
fn split(camera: &str) -> (Option<&str>, &str) {
    match camera.split_once('/') {
        Some((central, edge)) => (Some(central), edge),
        None => (None, camera),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

fn name_of(row: &ForeignRow) -> String {
    format!("row {}", row.id)
}

/// The fields of a subscription that mean something; the old program's pages may have added others.
const KNOWN: [&str; 9] =
    ["id", "plate_number", "owner_name", "type", "status", "start_date", "end_date", "phone", "note"];
const KNOWN_FEES: [&str; 4] = ["fee_base", "fee_per_hour", "fee_overnight", "fee_daily_max"];

pub(super) fn tariff(
    importer: &mut Importer,
    fees: &Value,
    refusals: Refusals<'_>,
    differences: Remarks<'_>,
) -> Result<ImportOutcome, ImportError> {
    let known: Value = match fees {
        Value::Object(fields) => Value::Object(only(fields, &KNOWN_FEES)),
        other => other.clone(),
    };
    let tariff = match Tariff::from_json(&known) {
        Ok(tariff) => tariff,
        Err(problems) => {
            refusals("tariff", &in_words(&problems));
            return Ok(ImportOutcome { refused: 1, ..ImportOutcome::default() });
        }
    };
    let (held, version) = importer.ledger.settings().tariff();
    if version.is_some() {
        if *held == tariff {
            return Ok(ImportOutcome { known: 1, ..ImportOutcome::default() });
        }
        refusals("tariff", "another tariff was set here already; change it on the page if this one is right");
        return Ok(ImportOutcome { refused: 1, ..ImportOutcome::default() });
    }
    charged_otherwise(&tariff).for_each(differences);
    importer.decide(Job::ImportTariff(tariff))?;
    Ok(ImportOutcome { taken: 1, events: 1, ..ImportOutcome::default() })
}

/// What the old program made otherwise of the same prices.
fn charged_otherwise(tariff: &Tariff) -> impl Iterator<Item = &'static str> {
    let overnight = "fee_overnight, which the old program never charged, is charged for each midnight of a stay: set it to 0 on the \
        page of the tariff to charge as before";
    let cap = "fee_daily_max, which was the most for a whole stay, is the most for each 24 hours: a stay of several days costs more \
        than it did";
    let said = [(tariff.base.fee_overnight, overnight), (tariff.base.fee_daily_max, cap)];
    said.into_iter().filter(|(price, _)| *price > Vnd(0)).map(|(_, said)| said)
}

pub(super) fn subscriptions(
    importer: &mut Importer,
    list: &[Value],
    refusals: Refusals<'_>,
) -> Result<ImportOutcome, ImportError> {
    let mut outcome = ImportOutcome::default();
    let mut wanted: Vec<Subscription> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let name = |id: &str| format!("subscription {} {id:?}", index + 1);
        match read(item) {
            Ok(read) if wanted.iter().any(|known| known.id == read.id) => {
                outcome.refused += 1;
                refusals(&name(&read.id), "its id stands in the file twice");
            }
            Ok(read) => {
                if importer.ledger.settings().subscription(&read.id) == Some(&read) {
                    outcome.known += 1;
                } else if importer.ledger.settings().is_known_subscription(&read.id) {
                    outcome.refused += 1;
                    refusals(
                        &name(&read.id),
                        "it was changed or removed here already; change it on the page if this one is right",
                    );
                } else {
                    wanted.push(read);
                }
            }
            Err(problems) => {
                outcome.refused += 1;
                let id = item.get("id").map(ToString::to_string).unwrap_or_default();
                refusals(&name(&id), &in_words(&problems));
            }
        }
    }
    if let Answer::SubscriptionsSet { changed, .. } = importer.decide(Job::ImportSubscriptions(wanted))? {
        outcome.taken = changed as u64;
        outcome.events = changed as u64;
    }
    Ok(outcome)
}

/// One entry, however loosely the old pages wrote it.
fn read(item: &Value) -> Result<Subscription, Vec<FieldProblem>> {
    let loose = match item {
        Value::Object(fields) => {
            let mut fields = only(fields, &KNOWN);
            fields.retain(|_, value| !value.is_null());
            for value in fields.values_mut() {
                if value.is_number() {
                    *value = value.to_string().into();
                }
            }
            Value::Object(fields)
        }
        other => other.clone(),
    };
    let mut list = subscription::list_from_json(&Value::Array(vec![loose]))?;
    list.pop().ok_or_else(Vec::new)
}

fn only(fields: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let kept = fields.iter().filter(|(name, _)| known.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn in_words(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
