//! Why things are as they are: the anomalies, and the story of one stay.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::history::{anomaly, cursor, gate, search};
use super::parking::answer;
use super::query::{instant, number};
use super::state::Worker;
use crate::store::error::StoreError;
use crate::store::reader::{Aside, AsideKind, HistoryQuery, HistoryRow, Reader, Story, ToldAnomaly, WithAnomaly};

/// Each item is told from all facts of its plate, so a page of them is not long.
const DEFAULT_ITEMS: i64 = 50;
const MAX_ITEMS: i64 = 200;

/// The query of `GET /api/parking/anomalies`, as sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnomalyParameters {
    kind: Option<String>,
    limit: Option<String>,
    from: Option<String>,
    to: Option<String>,
    gate: Option<String>,
    search: Option<String>,
    cursor: Option<String>,
}

/// A stay with its anomalies.
#[derive(Serialize)]
struct OddStay {
    told: Vec<ToldAnomaly>,
    #[serde(flatten)]
    row: HistoryRow,
}

/// `GET /api/parking/history/{event_id}/story`
pub async fn story(path: web::Path<String>, worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Answer {
        success: bool,
        event_id: String,
        #[serde(flatten)]
        story: Story,
    }
    let stay_id = path.into_inner();
    let zone = worker.zone();
    let asked = stay_id.clone();
    let found = worker.shared.readers.ask(move |reader| reader.story(&asked, &zone)).await?;
    match found {
        Some(story) => Ok(HttpResponse::Ok().json(Answer { success: true, event_id: stay_id, story })),
        None => Err(ApiError::not_found(format!("no stay has the event_id {stay_id:?}"))),
    }
}

/// `GET /api/parking/anomalies`
pub async fn anomalies(
    parameters: web::Query<AnomalyParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let parameters = parameters.into_inner();
    let limit = number("limit", parameters.limit.as_deref(), DEFAULT_ITEMS)?;
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::bad_field("limit", format!("1 to {MAX_ITEMS}")));
    }
    match parameters.kind.as_deref() {
        Some("quarantined") => aside(AsideKind::Quarantined, &parameters, limit, &worker).await,
        Some("waiting") => aside(AsideKind::Waiting, &parameters, limit, &worker).await,
        _ => stays(parameters, limit, &worker).await,
    }
}

async fn stays(parameters: AnomalyParameters, limit: i64, worker: &Worker) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Page {
        success: bool,
        count: usize,
        anomalies: Vec<OddStay>,
        /// At most 100 are counted.
        quarantined: usize,
        waiting: usize,
        next_cursor: Option<String>,
    }
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
    answer(&worker.shared, move |reader| {
        let page = reader.history(&query)?;
        let mut anomalies = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            anomalies.push(OddStay { told: reader.anomalies_of(&row.event_id, &zone)?, row });
        }
        let mut count = |kind| -> Result<usize, StoreError> { Ok(reader.aside(kind, 0, COUNTED, &zone)?.len()) };
        Ok(Page {
            success: true,
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

async fn aside(
    kind: AsideKind,
    parameters: &AnomalyParameters,
    limit: i64,
    worker: &Worker,
) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Page {
        success: bool,
        count: usize,
        anomalies: Vec<Aside>,
        next_cursor: Option<String>,
    }
    let after: i64 = cursor(parameters.cursor.as_deref())?.unwrap_or(0);
    let zone = worker.zone();
    let limit = usize::try_from(limit).unwrap_or(0);
    answer(&worker.shared, move |reader: &mut Reader| {
        let mut anomalies = reader.aside(kind, after, limit + 1, &zone)?;
        let more = anomalies.len() > limit;
        anomalies.truncate(limit);
        let next_cursor = anomalies.last().filter(|_| more).map(|last| last.row.to_string());
        Ok(Page { success: true, count: anomalies.len(), anomalies, next_cursor })
    })
    .await
}
