//! The audit, for administrators: pages of it, and the whole of it for spreadsheets. `/api/access/audit`, `/api/access/audit.csv`.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::history::cursor;
use super::input::{instant, limit};
use super::operation::{Answered, Operation, get};
use super::pages::said;
use super::parking::{Today, answer};
use super::spreadsheet::{self, Cell, Style};
use super::state::Worker;
use crate::access::right::Need;
use crate::domain::audit::Kind;
use crate::domain::time::SiteZone;
use crate::store::reader::{AuditQuery, AuditRow};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/access/audit", Need::Administer, audit, "Who changed, came in or was turned away, newest first.")
            .query::<AuditParameters>()
            .answers::<AuditPageShown>("The page")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get(
            "/api/access/audit.csv",
            Need::Administer,
            export,
            "All entries of the same query as a table for spreadsheets.",
        )
        .query::<AuditParameters>()
        .answers_text(&["text/csv"], "The table, sent while it is read")
        .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
    ]
}

/// Entries of a page: if nothing is said, and at most.
const PAGE_ENTRIES: usize = 100;
const MAX_PAGE_ENTRIES: usize = 1_000;
/// Longest name that is asked for, in characters: as long as one is kept.
const MAX_WHO_CHARS: usize = 200;

/// The query of `GET /api/access/audit`, as sent. All that are given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AuditParameters {
    /// Entries, at most. Absent: 100.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The name of a kind.
    #[param(
        pattern = "^(login|logout|refusal|password|person|token|edge_key|settings|peer|pending|invitation|join|expulsion|tariff|subscriptions|correction|void|forced_opening|import|gap)?$"
    )]
    kind: Option<String>,
    /// Who, as it is in the entry: a name, `token:backup`, `edge:edge-1`.
    #[param(max_length = 200)]
    who: Option<String>,
    /// At or after: `2026-11-22`, `2026-11-22 07:30`, `2026-11-22 07:30:00` on the site's clock, or Unix ms.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    from: Option<String>,
    /// Before; a date alone includes that day.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    to: Option<String>,
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

impl AuditParameters {
    fn query(self, zone: &SiteZone) -> Result<AuditQuery, ApiError> {
        let who = self.who.filter(|who| !who.is_empty());
        if who.as_ref().is_some_and(|who| who.chars().count() > MAX_WHO_CHARS) {
            return Err(ApiError::bad_field("who", format!("at most {MAX_WHO_CHARS} characters")));
        }
        Ok(AuditQuery {
            limit: limit(self.limit.as_deref(), PAGE_ENTRIES, MAX_PAGE_ENTRIES)?,
            kind: kind(self.kind.as_deref())?,
            who,
            since_ms: instant("from", self.from.as_deref(), zone, false)?,
            before_ms: instant("to", self.to.as_deref(), zone, true)?,
            cursor: cursor(self.cursor.as_deref())?,
        })
    }
}

fn kind(text: Option<&str>) -> Result<Option<Kind>, ApiError> {
    match text.unwrap_or_default() {
        "" => Ok(None),
        name => Kind::from_name(name).map(Some).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            ApiError::bad_field("kind", names.join(", "))
        }),
    }
}

/// A page of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditPageShown {
    /// Newest first: perhaps fewer than `limit`, even where there are more.
    entries: Vec<AuditRow>,
    /// `cursor` of the next page; null: this is the last one.
    next_cursor: Option<String>,
}

/// `GET /api/access/audit`
pub async fn audit(parameters: web::Query<AuditParameters>, worker: web::Data<Worker>) -> Answered {
    let query = parameters.into_inner().query(&worker.zone())?;
    answer(&worker.shared, move |reader| {
        let page = reader.audit(&query)?;
        let next_cursor = page.next.map(|next| next.to_string());
        Ok(AuditPageShown { entries: page.rows, next_cursor })
    })
    .await
}

/// `GET /api/access/audit.csv`: all entries of the query. Read and sent a page at a time, as fast as they are taken.
pub async fn export(parameters: web::Query<AuditParameters>, worker: web::Data<Worker>) -> Answered {
    let shared = worker.shared.clone();
    let parameters = parameters.into_inner();
    let style = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?;
    let mut query = parameters.query(&shared.zone())?;
    query.limit = MAX_PAGE_ENTRIES;
    let name = format!("parkmesh-audit-{}-{}.csv", shared.config().this_central.id, Today::of(&shared).day());
    let zone = shared.zone();
    spreadsheet::export(shared, &name, spreadsheet::heads(HEADS, style), query, move |reader, query| {
        let page = reader.audit(&query)?;
        let rows: Vec<_> = page.rows.iter().map(|row| cells(row, &zone, style.english)).collect();
        Ok((spreadsheet::lines(&rows, style), page.next.map(|next| AuditQuery { cursor: Some(next), ..query })))
    })
    .await
}

/// The heads of the columns, Vietnamese and English.
const HEADS: &[(&str, &str)] = &[
    ("Lúc", "Time"),
    ("Việc", "Kind"),
    ("Ai", "Who"),
    ("Từ địa chỉ", "From"),
    ("Đối tượng", "What"),
    ("Kết quả", "Outcome"),
    ("Trước", "Before"),
    ("Sau", "After"),
    ("Số lần", "Count"),
    ("Từ lúc", "Since"),
    ("Số", "Number"),
];

fn cells(row: &AuditRow, zone: &SiteZone, is_english: bool) -> Vec<Cell> {
    let entry = &row.entry;
    let words = |key: String, code: &str| said(is_english, &key).unwrap_or(code).to_owned();
    let outcome = match (entry.outcome.as_str(), is_english) {
        ("done", false) => "xong".to_owned(),
        (outcome, _) => words(format!("common.error_{outcome}"), outcome),
    };
    vec![
        Cell::Time(zone.local_text(entry.at_ms)),
        Cell::Text(words(format!("audit.kind_{}", entry.kind.name()), entry.kind.name())),
        Cell::Text(who(&entry.who, is_english)),
        Cell::Text(entry.from.clone()),
        Cell::Text(entry.what.clone()),
        Cell::Text(outcome),
        Cell::Text(side(&entry.before, zone, is_english)),
        Cell::Text(side(&entry.after, zone, is_english)),
        Cell::Number(i64::try_from(entry.count).ok()),
        Cell::Time(entry.since_ms.map(|ms| zone.local_text(ms)).unwrap_or_default()),
        Cell::Number(Some(row.id)),
    ]
}

/// `token:backup` as the page says it.
fn who(who: &str, is_english: bool) -> String {
    if who.is_empty() {
        return said(is_english, "audit.nobody").unwrap_or_default().to_owned();
    }
    let known = who
        .split_once(':')
        .and_then(|(kind, name)| Some(said(is_english, &format!("audit.who_{kind}"))?.replace("{name}", name)));
    known.unwrap_or_else(|| who.to_owned())
}

/// Where fields lie, which says nothing to people.
const PLACES: [&str; 8] = ["this_central", "peer_centrals", "site", "edges", "security", "tuning", "fees", "types"];

/// How it was, or is since, field by field: `Phí: 25000; central-2: Vân tay: …`.
fn side(side: &Value, zone: &SiteZone, is_english: bool) -> String {
    let Some(fields) = side.as_object() else {
        return if side.is_null() { String::new() } else { side.to_string() };
    };
    let shown = fields.iter().map(|(name, value)| {
        let (place, field) = name.rsplit_once('.').unwrap_or(("", name));
        let value = match (value.as_i64(), value.as_str()) {
            (Some(ms), _) if field.ends_with("_ms") && !field.starts_with("reconnect") => zone.local_text(ms),
            (_, Some(text)) => said(is_english, &format!("audit.value_{text}")).unwrap_or(text).to_owned(),
            _ => said(is_english, &format!("audit.value_{value}")).map_or_else(|| value.to_string(), str::to_owned),
        };
        let Some(known) = said(is_english, &format!("audit.field_{field}")) else { return format!("{name}: {value}") };
        let whose =
            place.split('.').filter(|part| !part.is_empty() && !PLACES.contains(part)).collect::<Vec<_>>().join(" ");
        if whose.is_empty() { format!("{known}: {value}") } else { format!("{whose}: {known}: {value}") }
    });
    shown.collect::<Vec<_>>().join("; ")
}
