//! The history: pages of it, and the whole of it for spreadsheets.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::input::{flag, instant, number};
use super::operation::{Answered, Operation, get};
use super::pages::word;
use super::parking::{Stats, Today, answer};
use super::spreadsheet::{self, Cell, Style, Table, attached, several_ways};
use super::state::Worker;
use super::view::GateNames;
use crate::access::right::Need;
use crate::domain::anomaly::Anomaly;
use crate::domain::payment::Method;
use crate::domain::row::StayStatus;
use crate::domain::time::SiteZone;
use crate::store::reader::{Gate, HistoryQuery, HistoryRow, MAX_OFFSET, PaidBy, WithAnomaly};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/parking/history", Need::Look, history, "A page of the history, newest entry first.")
            .query::<HistoryParameters>()
            .answers::<HistoryPage>("The page")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/parking/history.csv", Need::Look, export, "All rows of the same query as a table for spreadsheets.")
            .query::<HistoryParameters>()
            .answers_text(&["text/csv"], "The table, sent while it is read")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get(
            "/api/parking/history.xlsx",
            Need::Look,
            workbook,
            "As history.csv, as a workbook with times, amounts and their sums.",
        )
        .query::<HistoryParameters>()
        .answers_text(&[spreadsheet::MEDIA_TYPE], "The workbook")
        .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
    ]
}

/// Longest search text, in characters: a plate has 12.
const MAX_SEARCH_CHARS: usize = 32;
/// Longest name of a gate, in characters.
const MAX_GATE_CHARS: usize = 128;
/// Rows read at a time for a spreadsheet: some hundred KB, however long the table is.
const EXPORT_ROWS: i64 = 1_000;

/// The query of `GET /api/parking/history`, as sent. All that are given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct HistoryParameters {
    /// Rows, at most; -1: as many as one page holds, 10,000. Absent: 100.
    #[param(value_type = Option<i64>, minimum = -1)]
    limit: Option<String>,
    /// Rows to skip; further on there is `cursor`.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 100_000)]
    offset: Option<String>,
    /// Entries of the site's day.
    #[param(value_type = Option<bool>)]
    today_only: Option<String>,
    #[param(pattern = "^(IN|OUT|LEFT_UNSEEN|SUPERSEDED|VOID)?$")]
    status: Option<String>,
    /// A part of the plate, written as people do.
    #[param(max_length = 32)]
    search: Option<String>,
    /// Goes before `entries_only`, and that before `status`.
    #[param(value_type = Option<bool>)]
    in_parking_only: Option<String>,
    #[param(value_type = Option<bool>)]
    entries_only: Option<String>,
    /// Entered at or after: `2026-11-22`, `2026-11-22 07:30`, `2026-11-22 07:30:00` on the site's clock, or Unix ms.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    from: Option<String>,
    /// Entered before; a date alone includes that day.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    to: Option<String>,
    /// What `from`, `to` and `today_only` are about: when it came in (the default), or when it left.
    #[param(pattern = "^(entry|exit)?$")]
    by: Option<String>,
    /// `central-1/edge-1`, or `central-1` for all its gates: came in or went out there; with `by=exit` and a time, went out there.
    #[param(max_length = 128)]
    gate: Option<String>,
    /// `any`, or the name of a kind.
    #[param(
        pattern = "^(any|double_entry|double_exit|exit_without_entry|left_unseen|clock_skew|manual_opening|fee_uncertain|time_uncertain|unknown_type|quick_exit|other_type|may_be_told_twice|payment_used_twice)?$"
    )]
    anomaly: Option<String>,
    /// Who did the exit: `an`, `token:backup`, `edge:edge-1`, as `exit_by` of a row; `-`: nobody who logged in.
    #[param(max_length = 256)]
    exit_by: Option<String>,
    /// How it was paid; `free`: nothing was due, `unsaid`: something was, and the gate did not say.
    #[param(pattern = "^(cash|qr|card|transfer|account|free|unsaid)?$")]
    method: Option<String>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^([0-9]{1,14}\\.[0-9]{1,14})?$")]
    cursor: Option<String>,
    /// Of an export: the language of the heads.
    #[param(pattern = "^(vi|en)?$")]
    lang: Option<String>,
    /// Of an export.
    #[param(pattern = "^[,;]?$")]
    separator: Option<String>,
}

impl HistoryParameters {
    /// `today_ms`: the start of the site's day.
    fn query(self, today_ms: i64, zone: &SiteZone) -> Result<HistoryQuery, ApiError> {
        let limit = number("limit", self.limit.as_deref(), 100)?;
        if limit < -1 {
            return Err(ApiError::bad_field("limit", "a number of rows, or -1 for all"));
        }
        let offset = number("offset", self.offset.as_deref(), 0)?;
        let offset = u64::try_from(offset).map_err(|_| ApiError::bad_field("offset", "not below 0"))?;
        if offset > MAX_OFFSET {
            let problem = format!(
                "at most {MAX_OFFSET}; to go further, send next_cursor of the page before as cursor, or from and to"
            );
            return Err(ApiError::bad_field("offset", problem));
        }
        let today = flag("today_only", self.today_only.as_deref())?.then_some(today_ms);
        let from = instant("from", self.from.as_deref(), zone, false)?.max(today);
        let to = instant("to", self.to.as_deref(), zone, true)?;
        let by_exit = match self.by.as_deref() {
            None | Some("" | "entry") => false,
            Some("exit") => true,
            Some(_) => return Err(ApiError::bad_field("by", "entry or exit")),
        };
        let of = |wanted: bool, bound: Option<i64>| bound.filter(|_| wanted);
        Ok(HistoryQuery {
            limit,
            offset,
            entered_since_ms: of(!by_exit, from),
            entered_before_ms: of(!by_exit, to),
            exited_since_ms: of(by_exit, from),
            exited_before_ms: of(by_exit, to),
            search: search(self.search)?,
            in_parking_only: flag("in_parking_only", self.in_parking_only.as_deref())?,
            entries_only: flag("entries_only", self.entries_only.as_deref())?,
            status: status(self.status.as_deref())?,
            gate: gate(self.gate.as_deref())?,
            anomaly: anomaly("anomaly", self.anomaly.as_deref())?,
            exit_by: self.exit_by.filter(|who| !who.is_empty()),
            method: method(self.method.as_deref())?,
            cursor: cursor(self.cursor.as_deref())?,
        })
    }

    fn style(&self) -> Result<Style, ApiError> {
        Style::of(self.lang.as_deref(), self.separator.as_deref())
    }
}

pub(super) fn search(text: Option<String>) -> Result<String, ApiError> {
    let text = text.unwrap_or_default();
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_field("search", format!("at most {MAX_SEARCH_CHARS} characters")));
    }
    Ok(text)
}

fn status(text: Option<&str>) -> Result<Option<StayStatus>, ApiError> {
    let text = text.unwrap_or_default();
    let wrong = || ApiError::bad_field("status", "IN, OUT, LEFT_UNSEEN, SUPERSEDED or VOID");
    if text.is_empty() { Ok(None) } else { StayStatus::from_name(text).map(Some).ok_or_else(wrong) }
}

/// `central-1/edge-1`, or `central-1` for all its gates.
pub(super) fn gate(text: Option<&str>) -> Result<Option<Gate>, ApiError> {
    let text = text.unwrap_or_default();
    if text.chars().count() > MAX_GATE_CHARS {
        return Err(ApiError::bad_field("gate", format!("at most {MAX_GATE_CHARS} characters")));
    }
    let (central, edge_id) = text.split_once('/').unwrap_or((text, ""));
    let edge_id = Some(edge_id.to_owned()).filter(|edge_id| !edge_id.is_empty());
    Ok((!central.is_empty()).then(|| Gate { central: central.to_owned(), edge_id }))
}

fn method(name: Option<&str>) -> Result<Option<PaidBy>, ApiError> {
    let known = |name: &str| Method::ALL.into_iter().find(|method| method.name() == name).map(PaidBy::Method);
    match name.unwrap_or_default() {
        "" => Ok(None),
        "unsaid" => Ok(Some(PaidBy::Unsaid)),
        name => known(name).map(Some).ok_or_else(|| {
            ApiError::bad_field("method", format!("{}, unsaid", Method::ALL.map(Method::name).join(", ")))
        }),
    }
}

/// `any`, or the name of a kind.
pub(super) fn anomaly(field: &str, text: Option<&str>) -> Result<Option<WithAnomaly>, ApiError> {
    match text.unwrap_or_default() {
        "" => Ok(None),
        "any" => Ok(Some(WithAnomaly::Any)),
        name => match Anomaly::from_name(name) {
            Some(anomaly) => Ok(Some(WithAnomaly::Kind(anomaly))),
            None => {
                let names: Vec<&str> = Anomaly::ALL.iter().map(|anomaly| anomaly.name()).collect();
                Err(ApiError::bad_field(field, format!("any, {}", names.join(", "))))
            }
        },
    }
}

pub(super) fn cursor<T: std::str::FromStr<Err: std::fmt::Display>>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|error| ApiError::bad_field("cursor", error))).transpose()
}

/// A page of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryPage {
    /// Rows on this page: perhaps fewer than `limit`, even where there are more.
    count: usize,
    stats: Stats,
    history: Vec<HistoryRow>,
    /// `cursor` of the next page; null: this is the last one.
    next_cursor: Option<String>,
}

/// `GET /api/parking/history`
pub async fn history(parameters: web::Query<HistoryParameters>, worker: web::Data<Worker>) -> Answered {
    let shared = &worker.shared;
    let today = Today::of(shared);
    let query = parameters.into_inner().query(today.start_ms, &shared.zone())?;
    answer(shared, move |reader| {
        let page = reader.history(&query)?;
        let next_cursor = page.next.map(|next| next.to_string());
        let stats = today.stats(reader)?;
        Ok(HistoryPage { count: page.rows.len(), stats, history: page.rows, next_cursor })
    })
    .await
}

/// `GET /api/parking/history.csv`: all rows of the query. Read and sent a page at a time, as fast as they are taken.
pub async fn export(parameters: web::Query<HistoryParameters>, worker: web::Data<Worker>) -> Answered {
    let shared = worker.shared.clone();
    let today = Today::of(&shared);
    let parameters = parameters.into_inner();
    let style = parameters.style()?;
    let mut query = parameters.query(today.start_ms, &shared.zone())?;
    query.limit = EXPORT_ROWS;
    let name = format!("parkmesh-{}-{}.csv", shared.config().this_central.id, today.day());
    let (names, way) = (GateNames::known(&shared), query.method);
    spreadsheet::export(shared, &name, spreadsheet::heads(HEADS, style), query, move |reader, query| {
        let page = reader.history(&query)?;
        let rows: Vec<_> = page.rows.iter().map(|row| cells(row, style.english, &names, way)).collect();
        let lines = spreadsheet::lines(&rows, style);
        // The offset is over with the first page.
        Ok((lines, page.next.map(|next| HistoryQuery { cursor: Some(next), offset: 0, ..query })))
    })
    .await
}

/// `GET /api/parking/history.xlsx`: as [`export`], as a workbook of at most [`spreadsheet::MAX_ROWS`] rows.
pub async fn workbook(parameters: web::Query<HistoryParameters>, worker: web::Data<Worker>) -> Answered {
    let shared = &worker.shared;
    let today = Today::of(shared);
    let parameters = parameters.into_inner();
    let is_english = parameters.style()?.english;
    let mut query = parameters.query(today.start_ms, &shared.zone())?;
    query.limit = EXPORT_ROWS;
    let (names, way) = (GateNames::known(shared), query.method);
    let made = shared.readers.ask(move |reader| {
        let mut rows = Vec::new();
        loop {
            let page = reader.history(&query)?;
            rows.extend(page.rows.iter().map(|row| cells(row, is_english, &names, way)));
            match page.next {
                _ if rows.len() > spreadsheet::MAX_ROWS => return Ok(None),
                Some(next) => query = HistoryQuery { cursor: Some(next), offset: 0, ..query },
                None => return Ok(Some(rows)),
            }
        }
    });
    let too_many = || {
        let problem = format!("more than {} rows: ask for fewer days, or take history.csv", spreadsheet::MAX_ROWS);
        ApiError::bad_field("from", problem)
    };
    let rows = made.await?.ok_or_else(too_many)?;
    let title = ("Lịch sử", "History");
    let table = Table { title, heads: HEADS, widths: WIDTHS, summed: SUMMED, rows };
    let book = spreadsheet::workbook(title, vec![table], is_english).await?;
    Ok(attached(&worker, today.day(), "xlsx", spreadsheet::MEDIA_TYPE, book))
}

/// The heads of the columns, Vietnamese and English.
const HEADS: &[(&str, &str)] = &[
    ("Biển số", "Plate"),
    ("Mã biển số", "Plate id"),
    ("Loại xe", "Vehicle type"),
    ("Trạng thái", "Status"),
    ("Giờ vào", "Time in"),
    ("Cổng vào", "Gate in"),
    ("Giờ ra", "Time out"),
    ("Cổng ra", "Gate out"),
    ("Thời gian gửi", "Duration"),
    ("Phí (đ)", "Fee (VND)"),
    ("Đã thu (đ)", "Collected (VND)"),
    ("Cách trả", "Paid by"),
    ("Người thu", "Taken by"),
    ("Thuê bao", "Subscription"),
    ("Mở thủ công", "Opened by hand"),
    ("Bất thường", "Anomalies"),
    ("Thay bởi", "Superseded by"),
    ("Mã lượt", "Stay id"),
    ("Số hoá đơn", "Invoice"),
    ("Trả thừa (đ)", "Paid beyond (VND)"),
];

/// What its columns are as wide as, in characters.
const WIDTHS: &[f64] =
    &[14., 12., 12., 16., 18., 24., 18., 24., 16., 12., 14., 14., 18., 14., 14., 28., 28., 32., 24., 14.];
/// Fee, collected, and paid beyond.
const SUMMED: &[u16] = &[9, 10, 19];

/// The cells of a row, one for each of [`HEADS`]. Where rows of one way of payment are asked for, what was collected is what was in that way, as
/// on the page.
fn cells(row: &HistoryRow, is_english: bool, names: &GateNames, way: Option<PaidBy>) -> Vec<Cell> {
    let collected = match way {
        Some(PaidBy::Method(method)) => row.collected_by(method),
        Some(PaidBy::Unsaid) | None => row.collected,
    };
    let text = |text: &str| Cell::Text(text.to_owned());
    let maybe = |text: Option<&str>| Cell::Text(text.unwrap_or_default().to_owned());
    let word_of = |kind: &str, name: &str| Cell::Text(word(is_english, kind, name).into_owned());
    let (entry_time, entry_gate) = entered(row);
    let left = row.exit_ms.is_some();
    let anomalies: Vec<_> = row.anomalies.iter().map(|anomaly| word(is_english, "anomaly", anomaly)).collect();
    vec![
        text(&row.plate_view),
        text(&row.plate_id),
        word_of("type", &row.camera_type),
        word_of("stay", &row.status),
        Cell::Time(entry_time.to_owned()),
        text(names.of(entry_gate)),
        Cell::Time(row.exit_time.clone().unwrap_or_default()),
        text(names.of(row.exit_camera_name.as_deref())),
        // Empty where nobody saw it come in.
        maybe(row.duration.as_deref().filter(|_| entry_gate.is_some())),
        Cell::Number(left.then_some(row.fee)),
        Cell::Number(left.then_some(collected)),
        // Empty: the gate did not say.
        row.payment.paid.as_ref().map_or(text(""), |paid| {
            let ways = paid.ways();
            let ways = ways.map(|(method, amount, _)| (word(is_english, "paid", method.name()).into_owned(), amount.0));
            Cell::Text(several_ways(&ways.collect::<Vec<_>>()))
        }),
        maybe(row.payment.exit_by.as_deref()),
        maybe(row.subscription_id.as_deref()),
        text(manual(row, is_english)),
        Cell::Text(anomalies.join("; ")),
        maybe(row.superseded_by.as_deref()),
        text(&row.event_id),
        // Those of an exit after a change stand behind the first.
        Cell::Text(row.payment.invoices.iter().filter_map(|one| one.number.as_deref()).collect::<Vec<_>>().join("; ")),
        Cell::Number(Some(row.payment.excess).filter(|excess| *excess != 0 && has_excess(row, way))),
    ]
}

/// Whether what was paid beyond stands under a way of payment: under the first that was said, as in the takings.
fn has_excess(row: &HistoryRow, way: Option<PaidBy>) -> bool {
    let first = row.payment.paid.as_ref().and_then(|paid| paid.ways().next()).map(|(method, _, _)| method);
    match way {
        None => true,
        Some(PaidBy::Unsaid) => first.is_none(),
        Some(PaidBy::Method(method)) => first == Some(method),
    }
}

/// When and where it came in; empty where only an exit is known, whose time the row has in its place.
fn entered(row: &HistoryRow) -> (&str, Option<&str>) {
    if row.anomalies.iter().any(|name| name == Anomaly::ExitWithoutEntry.name()) {
        return ("", None);
    }
    (&row.entry_time, row.entry_camera_name.as_deref())
}

/// Where it was opened by hand.
fn manual(row: &HistoryRow, is_english: bool) -> &'static str {
    match (row.entry_manual, row.exit_manual.unwrap_or(false), is_english) {
        (false, false, _) => "",
        (true, false, false) => "vào",
        (true, false, true) => "in",
        (false, true, false) => "ra",
        (false, true, true) => "out",
        (true, true, false) => "vào, ra",
        (true, true, true) => "in, out",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_head_and_a_width() {
        for style in [Style { english: false, separator: ',' }, Style { english: true, separator: ';' }] {
            assert_eq!(spreadsheet::heads(HEADS, style).matches(style.separator).count(), HEADS.len() - 1);
        }
        assert_eq!(HEADS.len(), WIDTHS.len());
        assert_eq!(
            SUMMED.iter().map(|column| HEADS[usize::from(*column)].1).collect::<Vec<_>>(),
            ["Fee (VND)", "Collected (VND)", "Paid beyond (VND)"]
        );
    }
}
