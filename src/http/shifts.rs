//! Shifts: opening and closing them, and their sheets. What belongs to which and what a sheet says: docs/decisions/061-shifts.md.

mod tables;

use std::collections::BTreeSet;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::error::{ApiError, Code};
use super::history::gate;
use super::input::{Sent, flag, limit, number};
use super::operation::{Answered, Operation, get, ok, post};
use super::parking::{DECIDED, Today, answer, decide};
use super::spreadsheet;
use super::state::Worker;
use super::view::GateNames;
use crate::access::right::Need;
use crate::domain::event::{Body, Event};
use crate::domain::ids::EdgeId;
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId};
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::shift::{MAX_CASH, MAX_NOTE_CHARS, MoneyChange, ShiftFigures};
use crate::domain::time::SiteZone;
use crate::ledger::job::{Answer, CloseShift, Job, OpenShift, RecountShift};
use crate::store::error::StoreError;
use crate::store::reader::{Gate, LateFacts, Reader, Recount, SaidElsewhere, Sheet, SheetExit, SheetFact};

/// Most exits on one page.
const MAX_EXITS: usize = 1_000;
/// Gates an answer names where another was meant.
const MAX_NAMED_GATES: usize = 20;
/// A gate that worked within so long is known.
const LATELY_MS: i64 = 31 * 24 * 3_600_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/shifts", Need::Look, shifts, "The shifts of a day, or those that are open.")
            .query::<ShiftsParameters>()
            .answers::<Sheets>("Their sheets, by gate and beginning")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        post("/api/shifts", Need::Login, open, "Take over a gate of this central.")
            .body::<OpeningRequest>()
            .answers::<OneSheet>("The shift is open")
            .refuses(DECIDED)
            .refuses(&[Code::ShiftOpen, Code::Busy, Code::Remaking]),
        get("/api/shifts/{id}", Need::Look, sheet, "The sheet of a shift.")
            .answers::<OneSheet>("The sheet, as it was closed and with what came later")
            .refuses(&[Code::NotFound, Code::Busy, Code::Remaking]),
        get("/api/shifts/{id}/exits", Need::Look, exits, "The exits of a shift, in their order.")
            .query::<ExitsParameters>()
            .answers::<Exits>("A page of them")
            .refuses(&[Code::InvalidField, Code::NotFound, Code::Busy, Code::Remaking]),
        get("/api/shifts.csv", Need::Look, tables::sheets_csv, "The sheets of a day as a table for spreadsheets.")
            .query::<ShiftsParameters>()
            .answers_text(&["text/csv"], "The table")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/shifts.xlsx", Need::Look, tables::sheets_book, "The sheets of a day as a workbook.")
            .query::<ShiftsParameters>()
            .answers_text(&[spreadsheet::MEDIA_TYPE], "The workbook")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get(
            "/api/shifts/{id}/exits.csv",
            Need::Look,
            tables::exits_csv,
            "The exits of a shift as a table for spreadsheets.",
        )
        .query::<TableParameters>()
        .answers_text(&["text/csv"], "The table, sent while it is read")
        .refuses(&[Code::InvalidField, Code::NotFound, Code::Busy, Code::Remaking]),
        get(
            "/api/shifts/{id}/exits.xlsx",
            Need::Look,
            tables::exits_book,
            "The sheet of a shift and its exits as a workbook.",
        )
        .query::<TableParameters>()
        .answers_text(&[spreadsheet::MEDIA_TYPE], "The workbook")
        .refuses(&[Code::InvalidField, Code::NotFound, Code::Busy, Code::Remaking]),
        post("/api/shifts/{id}/close", Need::Login, close, "End a shift with the cash that was counted.")
            .body::<ClosingRequest>()
            .answers::<OneSheet>("The sheet, which does not change any more")
            .refuses(DECIDED)
            .refuses(&[Code::NotFound, Code::ShiftClosed, Code::ShiftElsewhere, Code::Busy, Code::Remaking]),
        post("/api/shifts/{id}/recount", Need::Amend, recount, "Say what was counted after a shift was closed.")
            .body::<RecountRequest>()
            .answers::<OneSheet>("The sheet, with the count beside it")
            .refuses(DECIDED)
            .refuses(&[Code::NotFound, Code::ShiftElsewhere, Code::Busy, Code::Remaking]),
    ]
}

/// The query of `GET /api/shifts`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ShiftsParameters {
    /// Of the site, `2026-11-28`; absent: today.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    day: Option<String>,
    /// Only those that are open now, of whatever day.
    #[param(value_type = Option<bool>)]
    open: Option<String>,
    /// Of those that are open now: `central-1/edge-1`, or `central-1` for all its gates.
    #[param(max_length = 128)]
    gate: Option<String>,
    /// Of a table: the language of the heads.
    #[param(pattern = "^(vi|en)?$")]
    lang: Option<String>,
    /// Of a table.
    #[param(pattern = "^[,;]?$")]
    separator: Option<String>,
}

/// How a table is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TableParameters {
    /// The language of the heads.
    #[param(pattern = "^(vi|en)?$")]
    lang: Option<String>,
    #[param(pattern = "^[,;]?$")]
    separator: Option<String>,
}

/// The query of `GET /api/shifts/{id}/exits`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExitsParameters {
    /// At most so many; absent: 100.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// After so many.
    #[param(value_type = Option<i64>, minimum = 0)]
    offset: Option<String>,
}

/// A gate is taken over. Who does so is known by the login.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct OpeningRequest {
    /// A gate of this central: of its settings, or one that has worked here.
    #[schema(required, nullable = false, max_length = 64)]
    edge_id: Option<String>,
    /// The cash there is to give change with, in đồng; absent: 0.
    #[schema(minimum = 0, maximum = 10_000_000_000_i64)]
    opening_cash: Option<i64>,
}

/// A shift ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ClosingRequest {
    /// All the cash in the drawer, what it began with included, in đồng.
    #[schema(required, nullable = false, minimum = 0, maximum = 10_000_000_000_i64)]
    counted_cash: Option<i64>,
    #[schema(max_length = 500)]
    note: Option<String>,
}

/// The cash of a closed shift, counted anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct RecountRequest {
    /// All the cash that was in the drawer, in đồng.
    #[schema(required, nullable = false, minimum = 0, maximum = 10_000_000_000_i64)]
    counted_cash: Option<i64>,
    #[schema(required, nullable = false, pattern = "[^\\s]", max_length = 500)]
    reason: Option<String>,
}

/// Sheets of shifts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sheets {
    /// `YYYY-MM-DD`, of the site; null where those that are open were asked for.
    day: Option<String>,
    shifts: Vec<ShiftSheet>,
}

/// The sheet of one shift.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneSheet {
    shift: ShiftSheet,
    /// Exits, corrections and removals that belong to the shift and that its closing did not know; null: it is open, or its closing
    /// does not say what it counted.
    late: Option<Vec<FactOfShift>>,
    /// So many more than are listed.
    late_left_off: usize,
    /// What of the addendum comes of no fact in the list, in VND: exits that counted otherwise when it was closed, told twice or named by
    /// their plate since.
    late_otherwise: i64,
    /// What its person corrected and removed in this time, whosever exits they were: it moves no cash of this shift unless they are its own.
    made: Vec<FactOfShift>,
    /// What other centrals say of its money: exits at its gate that its central did not tell, and what they correct and remove of those it told.
    elsewhere: Vec<SaidOfShift>,
}

/// What another central says of the money of a shift.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SaidOfShift {
    /// The central whose log says so.
    told_by: String,
    /// It corrects what the gate told. `false`: an exit the gate did not tell, which is in no figure and no drawer.
    counts: bool,
    #[serde(flatten)]
    fact: FactOfShift,
}

/// What is known of a shift. Times as text are on the site's clock, amounts in VND.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShiftSheet {
    id: String,
    central: String,
    edge_id: String,
    /// The other edges of its lane: what passes there belongs to the shift, too.
    lane_edges: Vec<String>,
    /// What the gate is called.
    gate: String,
    person: String,
    from_ms: i64,
    opened_at: String,
    opening_cash: i64,
    /// Cars inside the lot when it was opened.
    inside_at_opening: u64,
    /// Null: it is open.
    until_ms: Option<i64>,
    closed_at: Option<String>,
    closed_by: Option<String>,
    inside_at_closing: Option<u64>,
    counted_cash: Option<i64>,
    note: Option<String>,
    /// As it was closed, which never changes; of an open one as of now.
    figures: SheetFigures,
    /// What should be in the drawer by these figures: what it began with and what was paid in cash.
    expected_cash: i64,
    /// What was paid beyond what was taken, by whatever way: owed to who paid it, and in no figure. Cash of it lies in the drawer until it is given back.
    excess: i64,
    /// What other centrals alone say was taken in it: in no figure, and nobody has to hand it in.
    elsewhere: i64,
    /// What was counted less what was expected.
    difference: Option<i64>,
    /// What has come of it since it was closed, by facts that came late; null: nothing.
    addendum: Option<SheetFigures>,
    /// What should have been in the drawer by all that is known now, and what was counted last less that; null: nothing came late,
    /// and nothing was counted anew.
    expected_cash_now: Option<i64>,
    difference_now: Option<i64>,
    /// What was counted after it was closed, in order: the last one counts. The closing stays as it is.
    recounts: Vec<Recounted>,
}

/// A count after the closing.
#[derive(Debug, Serialize, ToSchema)]
struct Recounted {
    fact: String,
    at_ms: i64,
    at: String,
    by: String,
    reason: String,
    counted_cash: i64,
    /// Less what should have been there by all that is known now.
    difference: i64,
}

/// What a shift comes to.
#[derive(Debug, Serialize, ToSchema)]
struct SheetFigures {
    /// Cars that came in at its gate.
    entries: i64,
    exits: i64,
    revenue: i64,
    /// They sum to `exits` and `revenue`.
    methods: Vec<OfMethod>,
    /// They sum to `exits` and `revenue`.
    takings: Vec<OfType>,
    /// Only sheets closed by the first version with shifts have any: what their person changed of exits of other shifts. It moves nothing.
    amended: Vec<AmendedAmount>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OfMethod {
    /// Empty: the gate did not say; it counts as cash.
    method: String,
    exits: i64,
    revenue: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct OfType {
    method: String,
    camera_type: String,
    exits: i64,
    revenue: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct AmendedAmount {
    method: String,
    amount: i64,
}

/// An exit, a correction or a removal, beside a sheet.
#[derive(Debug, Serialize, ToSchema)]
struct FactOfShift {
    /// Log and place.
    fact: String,
    #[schema(pattern = "^(exit|correction|void)$")]
    kind: &'static str,
    at_ms: i64,
    at: String,
    by: String,
    reason: Option<String>,
    /// The stay.
    event_id: Option<String>,
    plate_view: Option<String>,
    /// Of the exit it is about.
    gate: String,
    exit_ms: i64,
    /// What it adds to what was taken.
    amount: i64,
    /// Of a correction or a removal: what counted as taken before it, and after.
    before: Option<i64>,
    after: Option<i64>,
    /// How it was paid, as known before it; empty: the gate did not say.
    method: String,
    /// How it was paid after all; null: the way of payment was not corrected.
    method_after: Option<String>,
    /// It takes back a removal.
    restored: bool,
}

/// Exits of a shift.
#[derive(Debug, Serialize, ToSchema)]
struct Exits {
    exits: Vec<ExitOfShift>,
    /// `offset` of the next page; null: this is the last.
    next_offset: Option<usize>,
}

/// An exit of a shift.
#[derive(Debug, Serialize, ToSchema)]
struct ExitOfShift {
    fact: String,
    /// The stay; null: of a car that could not be read.
    event_id: Option<String>,
    plate_id: Option<String>,
    plate_view: Option<String>,
    exit_ms: i64,
    exit_time: String,
    /// What was due.
    fee: i64,
    /// What was taken in the end: the fee, or what a correction made of it.
    collected: i64,
    method: String,
    /// What of it was paid in other ways than `method`.
    also: Vec<OfWay>,
    camera_type: String,
    by: String,
    /// It names a payment that another exit of the same stay names, too.
    payment_used_twice: bool,
    /// Opened by hand, and why.
    forced: bool,
    reason: Option<String>,
    /// What the gate says was paid, where that is not the fee.
    paid: Option<i64>,
    /// What was paid beyond what was taken.
    excess: i64,
}

/// A part of what was taken that was paid in another way.
#[derive(Debug, Serialize, ToSchema)]
struct OfWay {
    method: &'static str,
    /// VND.
    amount: i64,
}

/// Which shifts are asked for.
enum AskedOfShifts {
    OfDay(Today),
    Open(Option<Gate>),
}

impl ShiftsParameters {
    fn asked(&self, worker: &Worker) -> Result<AskedOfShifts, ApiError> {
        let gate = gate(self.gate.as_deref())?;
        if flag("open", self.open.as_deref())? {
            return Ok(AskedOfShifts::Open(gate));
        }
        let today = Today::of(&worker.shared);
        match self.day.clone().filter(|day| !day.is_empty()) {
            Some(day) => today.moved_to("day", day, &worker.zone()).map(AskedOfShifts::OfDay),
            None => Ok(AskedOfShifts::OfDay(today)),
        }
    }
}

impl AskedOfShifts {
    fn sheets(&self, reader: &mut Reader) -> Result<Vec<Sheet>, StoreError> {
        match self {
            Self::OfDay(day) => reader.sheets(day.start_ms, day.end_ms),
            Self::Open(gate) => reader.open_sheets(gate.as_ref()),
        }
    }

    fn day(&self) -> Option<&str> {
        if let Self::OfDay(day) = self { Some(day.day()) } else { None }
    }
}

/// `GET /api/shifts`
pub async fn shifts(parameters: web::Query<ShiftsParameters>, worker: web::Data<Worker>) -> Answered {
    let asked = parameters.asked(&worker)?;
    let face = Face::of(&worker);
    answer(&worker.shared, move |reader| {
        let shifts = asked.sheets(reader)?.iter().map(|sheet| face.sheet(sheet)).collect();
        Ok(Sheets { day: asked.day().map(str::to_owned), shifts })
    })
    .await
}

/// `POST /api/shifts`
pub async fn open(caller: Caller, Sent(sent): Sent<OpeningRequest>, worker: web::Data<Worker>) -> Answered {
    let mut problems = Vec::new();
    let edge_id = match sent.edge_id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(EdgeId::new) {
        Some(Ok(edge)) => edge.as_str().to_owned(),
        Some(Err(error)) => {
            problems.push(FieldProblem::new("edge_id", "invalid", "mã cổng không hợp lệ", error.to_string()));
            String::new()
        }
        None => {
            problems.push(FieldProblem::missing("edge_id"));
            String::new()
        }
    };
    if problems.is_empty() {
        problems.extend(unknown_gate(&worker, &edge_id).await?);
    }
    let opening_cash = cash("opening_cash", sent.opening_cash.or(Some(0)), &mut problems);
    refuse(&problems)?;
    let id = set(&worker, Job::OpenShift(OpenShift { edge_id, opening_cash }).by(caller.who.doer())).await?;
    shown(&worker, id).await
}

/// A gate has a shift that the settings name, or that was heard since the start or has worked here lately; where none is known, every
/// one may.
async fn unknown_gate(worker: &Worker, edge_id: &str) -> Result<Option<FieldProblem>, ApiError> {
    let shared = &worker.shared;
    let (own, now_ms) = (shared.config().this_central.id.to_string(), shared.clock.now_ms());
    let mut gates: BTreeSet<String> = shared.roster.all().into_keys().collect();
    gates.extend(shared.config().edges.iter().map(|edge| edge.id.clone()));
    let worked = shared.readers.ask(move |reader| reader.stats(now_ms - LATELY_MS, now_ms + LATELY_MS)).await?;
    gates.extend(worked.gates.into_iter().filter(|gate| gate.central == own).map(|gate| gate.edge_id));
    if gates.is_empty() || gates.contains(edge_id) {
        return Ok(None);
    }
    let gates = gates.into_iter().take(MAX_NAMED_GATES).collect::<Vec<_>>().join(", ");
    let vi = format!("trung tâm này không có cổng đó; các cổng ở đây: {gates}");
    let en = format!("this central has no such gate; its gates: {gates}");
    Ok(Some(FieldProblem::new("edge_id", "unknown_gate", vi, en)))
}

/// `POST /api/shifts/{id}/close`
pub async fn close(
    path: web::Path<String>,
    caller: Caller,
    Sent(sent): Sent<ClosingRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let mut problems = Vec::new();
    let counted_cash = cash("counted_cash", sent.counted_cash, &mut problems);
    let note = sent.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_deref().is_some_and(|note| !is_plain_text(note, MAX_NOTE_CHARS)) {
        problems.push(FieldProblem::bad_text("note", MAX_NOTE_CHARS));
    }
    refuse(&problems)?;
    let may_close_others = caller.check(Need::Amend).is_ok();
    let closing = CloseShift { id: path.into_inner(), counted_cash, note, may_close_others };
    let id = set(&worker, Job::CloseShift(closing).by(caller.who.doer())).await?;
    shown(&worker, id).await
}

/// `POST /api/shifts/{id}/recount`
pub async fn recount(
    path: web::Path<String>,
    caller: Caller,
    Sent(sent): Sent<RecountRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let mut problems = Vec::new();
    let counted_cash = cash("counted_cash", sent.counted_cash, &mut problems);
    let reason = sent.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    match &reason {
        None => problems.push(FieldProblem::missing("reason")),
        Some(reason) if !is_plain_text(reason, MAX_NOTE_CHARS) => {
            problems.push(FieldProblem::bad_text("reason", MAX_NOTE_CHARS));
        }
        Some(_) => {}
    }
    refuse(&problems)?;
    let counted = RecountShift { id: path.into_inner(), counted_cash, reason: reason.unwrap_or_default() };
    let id = set(&worker, Job::RecountShift(counted).by(caller.who.doer())).await?;
    shown(&worker, id).await
}

/// `GET /api/shifts/{id}`
pub async fn sheet(path: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    shown(&worker, path.into_inner()).await
}

/// `GET /api/shifts/{id}/exits`
pub async fn exits(
    path: web::Path<String>,
    parameters: web::Query<ExitsParameters>,
    worker: web::Data<Worker>,
) -> Answered {
    let limit = limit(parameters.limit.as_deref(), 100, MAX_EXITS)?;
    let offset = usize::try_from(number("offset", parameters.offset.as_deref(), 0)?);
    let offset = offset.map_err(|_| ApiError::bad_field("offset", "not below 0"))?;
    let zone = worker.zone();
    found(&worker, path.into_inner(), move |reader, sheet| {
        let page = reader.exits_of(&sheet, offset, limit)?;
        let next_offset = (page.len() == limit).then(|| offset + limit);
        let exits = page.into_iter().map(|exit| ExitOfShift::of(exit, &zone)).collect();
        Ok(Exits { exits, next_offset })
    })
    .await
}

async fn set(worker: &Worker, job: Job) -> Result<String, ApiError> {
    match decide(worker, job).await? {
        Answer::ShiftSet { id } => Ok(id),
        _ => Err(ApiError::internal()),
    }
}

async fn shown(worker: &Worker, id: String) -> Answered {
    let face = Face::of(worker);
    found(worker, id, move |reader, sheet| {
        let (late, made) = (reader.late_facts(&sheet)?, reader.changes_made(&sheet)?);
        let elsewhere = reader.said_elsewhere(&sheet)?.into_iter().map(|said| face.said(&said)).collect();
        let since = sheet.addendum().unwrap_or_default().revenue();
        let late_otherwise = late.as_ref().map_or(0, |late| since - late.amount);
        let left_off = late.as_ref().map_or(0, |late| late.left_off);
        let facts = |facts: &[SheetFact]| facts.iter().map(|fact| face.fact(fact)).collect();
        let late = late.map(|LateFacts { listed, .. }| facts(&listed));
        let (shift, made) = (face.sheet(&sheet), facts(&made));
        Ok(OneSheet { shift, late, late_left_off: left_off, late_otherwise, made, elsewhere })
    })
    .await
}

/// Asks for something of a shift; 404 where it is not held here.
async fn found<T: Serialize + Send + 'static>(
    worker: &Worker,
    id: String,
    question: impl FnOnce(&mut Reader, Sheet) -> Result<T, StoreError> + Send + 'static,
) -> Answered {
    let unknown = format!("no shift has the id {id:?}");
    let asked = worker.shared.readers.ask(move |reader| {
        let sheet = reader.sheet(&id)?;
        sheet.map(|sheet| question(reader, sheet)).transpose()
    });
    let found = asked.await?.ok_or_else(|| ApiError::not_found(unknown))?;
    Ok(ok(found))
}

fn cash(field: &str, amount: Option<i64>, problems: &mut Vec<FieldProblem>) -> Vnd {
    let Some(amount) = amount else {
        problems.push(FieldProblem::missing(field));
        return Vnd(0);
    };
    if !(Vnd(0)..=MAX_CASH).contains(&Vnd(amount)) {
        let (vi, en) = Vnd::out_of_range(Vnd(0), MAX_CASH);
        problems.push(FieldProblem::new(field, "out_of_range", vi, en));
    }
    Vnd(amount)
}

fn refuse(problems: &[FieldProblem]) -> Result<(), ApiError> {
    if problems.is_empty() { Ok(()) } else { Err(ApiError::bad_fields(problems)) }
}

/// How times and gates are shown.
struct Face {
    zone: SiteZone,
    names: GateNames,
}

impl Face {
    fn of(worker: &Worker) -> Self {
        Self { zone: worker.zone(), names: GateNames::known(&worker.shared) }
    }

    fn gate(&self, central: &str, edge_id: &str) -> String {
        self.names.of(Some(&format!("{central}/{edge_id}"))).to_owned()
    }

    fn sheet(&self, sheet: &Sheet) -> ShiftSheet {
        let Sheet { shift, person, opened, closed, live, .. } = sheet;
        let closing = closed.as_ref().map(|(closed, _)| closed);
        let figures = closing.map_or(live, |closed| &closed.figures);
        let opening_cash = closing.map_or(opened.opening_cash, |closed| closed.opening_cash);
        let expected_cash = figures.expected_cash(opening_cash).0;
        let addendum = sheet.addendum();
        let is_as_closed = addendum.is_none() && sheet.recounts.is_empty();
        let expected_cash_now = (!is_as_closed).then(|| live.expected_cash(opening_cash).0);
        let counted_now = sheet.recounts.last().map(|again| again.counted.counted_cash);
        let counted_now = counted_now.or(closing.map(|closed| closed.counted_cash)).map(|counted| counted.0);
        ShiftSheet {
            id: shift.id.clone(),
            central: shift.central.clone(),
            edge_id: shift.edge_id.clone(),
            lane_edges: shift.lane_edges.clone(),
            gate: self.gate(&shift.central, &shift.edge_id),
            person: person.clone(),
            from_ms: opened.from_ms,
            opened_at: self.zone.local_text(opened.from_ms),
            opening_cash: opening_cash.0,
            inside_at_opening: opened.inside,
            until_ms: closing.map(|closed| closed.until_ms),
            closed_at: closing.map(|closed| self.zone.local_text(closed.until_ms)),
            closed_by: closed.as_ref().map(|(_, by)| by.clone()),
            inside_at_closing: closing.map(|closed| closed.inside),
            counted_cash: closing.map(|closed| closed.counted_cash.0),
            note: closing.and_then(|closed| closed.note.clone()),
            figures: SheetFigures::of(figures),
            expected_cash,
            excess: sheet.excess,
            elsewhere: sheet.elsewhere,
            difference: closing.map(|closed| closed.counted_cash.0 - expected_cash),
            addendum: addendum.as_ref().map(SheetFigures::of),
            expected_cash_now,
            difference_now: counted_now.zip(expected_cash_now).map(|(counted, expected)| counted - expected),
            recounts: sheet
                .recounts
                .iter()
                .map(|Recount { fact, at_ms, by, counted }| Recounted {
                    fact: fact.clone(),
                    at_ms: *at_ms,
                    at: self.zone.local_text(*at_ms),
                    by: by.clone(),
                    reason: counted.reason.clone(),
                    counted_cash: counted.counted_cash.0,
                    difference: counted.counted_cash.0 - expected_cash_now.unwrap_or(expected_cash),
                })
                .collect(),
        }
    }

    fn said(&self, SaidElsewhere { fact, counts }: &SaidElsewhere) -> SaidOfShift {
        SaidOfShift { told_by: fact.event.log.central.to_string(), counts: *counts, fact: self.fact(fact) }
    }

    fn fact(&self, fact: &SheetFact) -> FactOfShift {
        let event = &fact.event;
        let (kind, reason) = match &event.body {
            Body::Correction(correction) => ("correction", Some(correction.reason.clone())),
            Body::Void(void) => ("void", Some(void.reason.clone())),
            Body::Exit(exit) => ("exit", exit.reason.clone()),
            _ => ("exit", None),
        };
        let is_of = |change: &&MoneyChange| {
            (&change.central, &change.edge_id, change.exit_ms) == (&fact.central, &fact.edge_id, fact.exit_ms)
                && change.change() == fact.amount
        };
        let change = event.money().iter().find(is_of);
        let correction = if let Body::Correction(correction) = &event.body { Some(correction) } else { None };
        let right_method = correction.and_then(|correction| correction.right_method.as_ref());
        FactOfShift {
            fact: event.fact_id().to_string(),
            kind,
            at_ms: event.timestamp_ms,
            at: self.zone.local_text(event.timestamp_ms),
            by: event.by.as_ref().map(ToString::to_string).unwrap_or_default(),
            reason,
            event_id: event.event_id.clone(),
            plate_view: plate_view(event),
            gate: self.gate(&fact.central, &fact.edge_id),
            exit_ms: fact.exit_ms,
            amount: fact.amount,
            before: change.map(|change| change.before.0),
            after: change.map(|change| change.after.0),
            method: fact.method.clone(),
            method_after: right_method.map(|right| right.method.name().to_owned()),
            restored: correction.is_some_and(|correction| !correction.undoes.is_empty()),
        }
    }
}

/// The plate, as far as the event or the id of its stay says.
fn plate_view(event: &Event) -> Option<String> {
    let recorded = event.recorded_plate().map(plate::view);
    let view = if let Body::Exit(exit) = &event.body { exit.plate_view.clone() } else { None };
    let of_stay = || {
        let read = event.event_id.as_deref()?.split('~').next()?.rsplit('_').next()?;
        PlateId::parse(read).ok().map(|plate| plate::view(&plate))
    };
    view.or(recorded).or_else(of_stay)
}

impl SheetFigures {
    fn of(figures: &ShiftFigures) -> Self {
        let of_types = |types: &std::collections::BTreeMap<String, crate::domain::shift::Sum>| {
            types.values().fold((0, 0), |(exits, revenue), sum| (exits + sum.exits, revenue + sum.revenue))
        };
        let methods = figures.takings.iter().map(|(method, types)| {
            let (exits, revenue) = of_types(types);
            OfMethod { method: method.clone(), exits, revenue }
        });
        let takings = figures.sums().map(|(method, camera_type, sum)| OfType {
            method: method.to_owned(),
            camera_type: camera_type.to_owned(),
            exits: sum.exits,
            revenue: sum.revenue,
        });
        let amended =
            figures.amended.iter().map(|(method, amount)| AmendedAmount { method: method.clone(), amount: *amount });
        Self {
            entries: figures.entries,
            exits: figures.exits(),
            revenue: figures.revenue(),
            methods: methods.collect(),
            takings: takings.collect(),
            amended: amended.collect(),
        }
    }
}

impl ExitOfShift {
    fn of(exit: SheetExit, zone: &SiteZone) -> Self {
        let SheetExit { event, taken, method, also, camera_type, taken_by, excess, payment_used_twice } = exit;
        let (fee, forced, reason, paid) = match &event.body {
            Body::Exit(exit) => (exit.fee.0, exit.force, exit.reason.clone(), exit.paid.as_ref()),
            Body::Unread(opening) => {
                let fee = opening.taken().unwrap_or_default().0;
                (fee, opening.force, opening.reason.clone(), opening.paid.as_ref())
            }
            _ => (taken, false, None, None),
        };
        Self {
            fact: event.fact_id().to_string(),
            event_id: event.event_id.clone(),
            plate_id: event.recorded_plate().map(ToString::to_string),
            plate_view: plate_view(&event),
            exit_ms: event.timestamp_ms,
            exit_time: zone.local_text(event.timestamp_ms),
            fee,
            collected: taken,
            method,
            also: also.iter().map(|(method, amount)| OfWay { method: method.name(), amount: amount.0 }).collect(),
            camera_type,
            by: taken_by,
            payment_used_twice,
            forced,
            reason,
            paid: paid.map(|paid| paid.total().0).filter(|amount| *amount != fee),
            excess,
        }
    }
}
