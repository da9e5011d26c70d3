//! What people ask about the lot: cars inside, figures; tariff and subscriptions.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{self, SETTINGS_LIMIT_BYTES};
use super::edge_programs;
use super::error::ApiError;
use super::state::{Shared, Worker};
use crate::actors::db_writer::{AskSettings, Decide};
use crate::domain::subscription;
use crate::domain::tariff::Tariff;
use crate::domain::time::duration_text;
use crate::ledger::job::{Answer, Job};
use crate::ops::clock::is_behind;
use crate::store::error::StoreError;
use crate::store::reader::{HistoryQuery, HistoryRow, MAX_PAGE_ROWS, Reader};

/// Today at this central's site.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stats {
    vehicles_in_parking: u64,
    entries_today: i64,
    exits_today: i64,
    revenue_today: i64,
}

/// `GET /api/parking/state`
pub async fn state(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct State {
        success: bool,
        vehicles_in_parking: Vec<HistoryRow>,
        stats: Stats,
    }
    let today = Today::of(&worker.shared);
    let most = usize::try_from(MAX_PAGE_ROWS).unwrap_or(usize::MAX);
    answer(&worker.shared, move |reader| {
        let vehicles_in_parking = reader.vehicles_inside(most)?;
        Ok(State { success: true, vehicles_in_parking, stats: today.stats(reader)? })
    })
    .await
}

/// `GET /api/stats`
pub async fn stats(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Figures {
        success: bool,
        #[serde(flatten)]
        stats: Stats,
    }
    let today = Today::of(&worker.shared);
    answer(&worker.shared, move |reader| Ok(Figures { success: true, stats: today.stats(reader)? })).await
}

/// `GET /api/status`
pub async fn status(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let shared = &worker.shared;
    let config = shared.config();
    let today = Today::of(shared);
    let clock = shared.clock;
    let frame = json!({
        "cameras": edge_programs::camera_list(shared),
        "central": {
            "id": config.this_central.id,
            "site": config.site.name,
            "time_zone": config.site.time_zone.name(),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": shared.started.elapsed().as_secs(),
            "time": config.site.time_zone.local_text(clock.now_ms()),
            "can_commit": shared.writer_view.failure().is_none(),
            "broken_config": shared.broken_config,
            "open": !config.listen_ip().is_loopback(),
        },
    });
    answer(shared, move |reader| {
        let mut status = frame;
        let newest = newest_own_ms(reader)?;
        if let Some(central) = status.get_mut("central").and_then(Value::as_object_mut) {
            central.insert("clock_behind".into(), is_behind(clock.now_ms(), newest).into());
        }
        if let Some(fields) = status.as_object_mut() {
            fields.insert("success".into(), true.into());
            fields.insert("parking".into(), json!(today.stats(reader)?));
        }
        Ok(status)
    })
    .await
}

/// `GET /api/parking/fees`
pub async fn fees(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let held = worker.shared.writer.send(AskSettings).await.map_err(|_| ApiError::not_durable())?;
    let source = if held.tariff_version.is_some() { "event" } else { "default" };
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "fees": held.tariff, "source": source, "version": held.tariff_version,
    })))
}

/// `PUT /api/parking/fees`
pub async fn put_fees(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let body: Value = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let fees = body.get("fees").filter(|fees| fees.is_object());
    let fees = fees.ok_or_else(|| ApiError::bad_field("fees", "Fees must be a dict"))?;
    let tariff = Tariff::from_json(fees).map_err(|problems| ApiError::bad_fields(&problems))?;
    match decide(&worker, Job::PutTariff(tariff)).await? {
        Answer::TariffSet { version } => Ok(HttpResponse::Ok().json(json!({
            "success": true, "message": "Đã cập nhật cấu hình phí gửi xe", "version": version,
        }))),
        _ => Err(ApiError::internal()),
    }
}

/// What `POST /api/parking/fees/preview` takes.
#[derive(Debug, Deserialize)]
struct PreviewRequest {
    fees: Value,
    entry_time: String,
    exit_time: String,
    #[serde(default)]
    camera_type: String,
}

/// `POST /api/parking/fees/preview`: what a stay would cost by a tariff that need not be saved.
pub async fn preview_fee(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let asked: PreviewRequest = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let tariff = Tariff::from_json(&asked.fees).map_err(|problems| ApiError::bad_fields(&problems))?;
    let zone = worker.zone();
    let time = |field: &str, text: &str| {
        zone.parse_local_text(text).map_err(|_| ApiError::bad_field(field, "a time YYYY-MM-DD HH:MM:SS"))
    };
    let (entry_ms, exit_ms) = (time("entry_time", &asked.entry_time)?, time("exit_time", &asked.exit_time)?);
    if exit_ms < entry_ms {
        return Err(ApiError::bad_field("exit_time", "is before the entry"));
    }
    let fee = tariff.fee(&asked.camera_type, entry_ms, exit_ms, &zone);
    let duration_ms = exit_ms.saturating_sub(entry_ms);
    let duration = duration_text(duration_ms);
    Ok(HttpResponse::Ok().json(json!({"success": true, "fee": fee, "duration": duration, "duration_ms": duration_ms})))
}

/// `GET /api/subscriptions`
pub async fn subscriptions(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let held = worker.shared.writer.send(AskSettings).await.map_err(|_| ApiError::not_durable())?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "subscriptions": held.subscriptions, "source": "event"})))
}

/// `PUT /api/subscriptions`
pub async fn put_subscriptions(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let body: Value = body::json(&request, payload, SETTINGS_LIMIT_BYTES).await?;
    let list = body.get("subscriptions").filter(|list| list.is_array());
    let list = list.ok_or_else(|| ApiError::bad_field("subscriptions", "Subscriptions must be a list"))?;
    let list = subscription::list_from_json(list).map_err(|problems| ApiError::bad_fields(&problems))?;
    let count = list.len();
    match decide(&worker, Job::PutSubscriptions(list)).await? {
        Answer::SubscriptionsSet { changed } => Ok(HttpResponse::Ok().json(json!({
            "success": true, "message": format!("Đã cập nhật {count} thuê bao"), "changed": changed,
        }))),
        _ => Err(ApiError::internal()),
    }
}

/// Has the writer decide a job and waits until it is committed.
pub(super) async fn decide(worker: &Worker, job: Job) -> Result<Answer, ApiError> {
    let (decide, outcome) = Decide::new(job);
    worker.shared.writer.do_send(decide);
    match outcome.await {
        Ok(outcome) => outcome.map_err(|refusal| ApiError::refused(refusal, &worker.zone())),
        Err(_closed) => Err(ApiError::unknown_outcome()),
    }
}

/// The site's day, and how many cars are inside now.
#[derive(Debug, Clone)]
pub(super) struct Today {
    day: String,
    /// Unix ms.
    pub(super) start_ms: i64,
    cars_inside: u64,
}

impl Today {
    pub(super) fn of(shared: &Shared) -> Self {
        let zone = shared.zone();
        let now_ms = shared.clock.now_ms();
        Self {
            day: zone.day(now_ms),
            start_ms: zone.day_start_ms(now_ms),
            cars_inside: shared.writer_view.cars_inside(),
        }
    }

    /// `YYYY-MM-DD`.
    pub(super) fn day(&self) -> &str {
        &self.day
    }

    pub(super) fn stats(&self, reader: &mut Reader) -> Result<Stats, StoreError> {
        let day = reader.stats(&self.day)?;
        Ok(Stats {
            vehicles_in_parking: self.cars_inside,
            entries_today: day.entries,
            exits_today: day.exits,
            revenue_today: day.revenue,
        })
    }
}

/// The newest entry, if it was stamped here.
fn newest_own_ms(reader: &mut Reader) -> Result<Option<i64>, StoreError> {
    let newest = reader.history(&HistoryQuery { limit: 1, ..HistoryQuery::default() })?;
    Ok(newest.rows.first().filter(|row| row.sync_status == "LOCAL").map(|row| row.entry_ms))
}

/// Asks a reader; its thread also writes the JSON, so that a long page does not hold up this worker.
pub(super) async fn answer<T: Serialize>(
    shared: &Shared,
    question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let written = shared.readers.ask(|reader| question(reader).map(|value| serde_json::to_vec(&value))).await?;
    let bytes = written.map_err(|_| ApiError::internal())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(bytes))
}
