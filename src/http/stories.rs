//! Why things are as they are: the anomalies, and the story of one stay.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::history::{anomaly, cursor, gate, search};
use super::input::{instant, number};
use super::operation::{Answered, Operation, get, ok};
use super::parking::answer;
use super::state::Worker;
use crate::access::right::Need;
use crate::store::error::StoreError;
use crate::store::reader::{
    Aside, AsideKind, HistoryQuery, HistoryRow, Reader, Story, ToldAnomaly, ToldPayment, WithAnomaly,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/parking/history/{event_id}/story", Need::Look, story, "Why a stay is as it is.")
            .answers::<StoryAnswer>("The story")
            .refuses(&[Code::NotFound, Code::Busy, Code::Remaking]),
        get("/api/parking/anomalies", Need::Look, anomalies, "What is out of the ordinary, newest entry first.")
            .query::<AnomalyParameters>()
            .answers_either::<OddStays, EventsAside>("Stays; with `kind` `quarantined` or `waiting`, events")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
    ]
}

/// Each item is told from all facts of its plate, so a page of them is not long.
const DEFAULT_ITEMS: i64 = 50;
const MAX_ITEMS: i64 = 200;

/// The query of `GET /api/parking/anomalies`, as sent.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AnomalyParameters {
    /// `any`, the name of a kind, `quarantined` (events on no row), `unread` (of those the openings for cars that
    /// could not be read) or `waiting` (events whose entry has not arrived).
    #[param(
        pattern = "^(any|double_entry|double_exit|exit_without_entry|left_unseen|clock_skew|manual_opening|fee_uncertain|time_uncertain|unknown_type|quick_exit|other_type|may_be_told_twice|payment_used_twice|quarantined|unread|waiting)?$"
    )]
    kind: Option<String>,
    /// Absent: 50.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// As of the history.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    from: Option<String>,
    /// As of the history.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,14})?$")]
    to: Option<String>,
    #[param(max_length = 128)]
    gate: Option<String>,
    #[param(max_length = 32)]
    search: Option<String>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^([0-9]{1,14}(\\.[0-9]{1,14})?)?$")]
    cursor: Option<String>,
}

/// A stay with its anomalies.
#[derive(Serialize, ToSchema)]
struct OddStay {
    told: Vec<ToldAnomaly>,
    #[serde(flatten)]
    row: HistoryRow,
}

/// Why a stay is as it is.
#[derive(Serialize, ToSchema)]
pub(super) struct StoryAnswer {
    event_id: String,
    #[serde(flatten)]
    story: Story,
    /// What banks and providers told of it, in its order.
    payments: Vec<ToldPayment>,
}

/// Stays with anomalies.
#[derive(Serialize, ToSchema)]
pub(super) struct OddStays {
    count: usize,
    anomalies: Vec<OddStay>,
    /// Events on no row: not understood here, or of a car that could not be read; at most 100 are counted.
    quarantined: usize,
    /// Events whose entry has not arrived; at most 100 are counted.
    waiting: usize,
    next_cursor: Option<String>,
}

/// Events set aside: with `kind` `quarantined`, `unread` or `waiting`.
#[derive(Serialize, ToSchema)]
pub(super) struct EventsAside {
    count: usize,
    anomalies: Vec<Aside>,
    next_cursor: Option<String>,
}

/// `GET /api/parking/history/{event_id}/story`
pub async fn story(path: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let stay_id = path.into_inner();
    let zone = worker.zone();
    let (asked, prices) = (stay_id.clone(), worker.shared.held().settings.clone());
    let now_ms = worker.shared.clock.now_ms();
    let both =
        move |reader: &mut Reader| Ok((reader.story(&asked, &zone, &prices, now_ms)?, reader.payments_of(&asked)?));
    match worker.shared.readers.ask(both).await? {
        (Some(story), payments) => Ok(ok(StoryAnswer { event_id: stay_id, story, payments })),
        (None, _) => Err(ApiError::not_found(format!("no stay has the event_id {stay_id:?}"))),
    }
}

/// `GET /api/parking/anomalies`
pub async fn anomalies(parameters: web::Query<AnomalyParameters>, worker: web::Data<Worker>) -> Answered {
    let parameters = parameters.into_inner();
    let limit = number("limit", parameters.limit.as_deref(), DEFAULT_ITEMS)?;
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::bad_field("limit", format!("1 to {MAX_ITEMS}")));
    }
    match parameters.kind.as_deref() {
        Some("quarantined") => aside(AsideKind::Quarantined, &parameters, limit, &worker).await,
        Some("unread") => aside(AsideKind::Unread, &parameters, limit, &worker).await,
        Some("waiting") => aside(AsideKind::Waiting, &parameters, limit, &worker).await,
        _ => stays(parameters, limit, &worker).await,
    }
}

async fn stays(parameters: AnomalyParameters, limit: i64, worker: &Worker) -> Answered {
    let zone = worker.zone();
    let query = HistoryQuery {
        limit,
        entered_since_ms: instant("from", parameters.from.as_deref(), &zone, false)?,
        entered_before_ms: instant("to", parameters.to.as_deref(), &zone, true)?,
        gate: gate(parameters.gate.as_deref())?,
        search: search(parameters.search)?,
        anomaly: anomaly("kind", parameters.kind.as_deref())?.or(Some(WithAnomaly::Any)),
        cursor: cursor(parameters.cursor.as_deref())?,
        ..HistoryQuery::default()
    };
    let (prices, now_ms) = (worker.shared.held().settings.clone(), worker.shared.clock.now_ms());
    answer(&worker.shared, move |reader| {
        let page = reader.history(&query)?;
        let mut anomalies = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            anomalies.push(OddStay { told: reader.anomalies_of(&row.event_id, &zone, &prices, now_ms)?, row });
        }
        let mut count = |kind| -> Result<usize, StoreError> { Ok(reader.aside(kind, 0, COUNTED, &zone)?.len()) };
        Ok(OddStays {
            count: anomalies.len(),
            quarantined: count(AsideKind::Quarantined)?,
            waiting: count(AsideKind::Waiting)?,
            next_cursor: page.next.map(|next| next.to_string()),
            anomalies,
        })
    })
    .await
}

/// Events set aside are counted up to this.
const COUNTED: usize = 100;

async fn aside(kind: AsideKind, parameters: &AnomalyParameters, limit: i64, worker: &Worker) -> Answered {
    let after: i64 = cursor(parameters.cursor.as_deref())?.unwrap_or(0);
    let zone = worker.zone();
    let limit = usize::try_from(limit).unwrap_or(0);
    answer(&worker.shared, move |reader: &mut Reader| {
        let mut anomalies = reader.aside(kind, after, limit + 1, &zone)?;
        let more = anomalies.len() > limit;
        anomalies.truncate(limit);
        let next_cursor = anomalies.last().filter(|_| more).map(|last| last.row.to_string());
        Ok(EventsAside { count: anomalies.len(), anomalies, next_cursor })
    })
    .await
}
