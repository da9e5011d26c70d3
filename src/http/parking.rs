//! What people ask about the lot: cars inside, figures; the tariff.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::edge_programs::Cameras;
use super::error::{ApiError, Code};
use super::input::{Sent, TARIFF_LIMIT_BYTES, limit};
use super::operation::{Answered, Operation, get, ok, post, put, success};
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::db_writer::Decide;
use crate::actors::status_feed::sources::Notice;
use crate::desks::alarm_desk::AlarmState;
use crate::desks::backup_desk::BackupState;
use crate::desks::invoice_desk::InvoiceState;
use crate::domain::audit::{Kind, changes};
use crate::domain::event::PriceList;
use crate::domain::money::Vnd;
use crate::domain::naming::SITE;
use crate::domain::payment::{FeeLine, total};
use crate::domain::plate::PlateId;
use crate::domain::tariff::Tariff;
use crate::domain::time::{SiteZone, duration_text};
use crate::ledger::job::{Answer, Job, Outcome, Refusal};
use crate::ledger::storage::{SettingKind, Shift};
use crate::ops::clock::{is_behind, telling_stamps};
use crate::store::error::StoreError;
use crate::store::reader::{GateStats, HistoryRow, MAX_PAGE_ROWS, Reader, Takings};

/// What people change is decided by the writer.
pub(super) const DECIDED: &[Code] = &[Code::InvalidField, Code::Invalid, Code::NotDurable];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/parking/state", Need::Look, state, "The cars inside.")
            .answers::<LotState>("The cars")
            .refuses(&[Code::Busy, Code::Remaking]),
        get("/api/parking/near", Need::Look, near, "The cars inside whose plates read almost like one.")
            .query::<NearParameters>()
            .answers::<Near>("The cars, the nearest first")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/stats", Need::Look, stats, "The figures of a day, of the site and of each gate.")
            .query::<StatsParameters>()
            .answers::<Figures>("The figures")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/takings", Need::Look, takings, "What was taken, by gate, person, way of payment and vehicle type.")
            .query::<TakingsParameters>()
            .answers::<TakingsAnswer>("The takings")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/status", Need::Look, status, "This central and its lot.")
            .answers::<StatusAnswer>("The state")
            .refuses(&[Code::Busy, Code::Remaking]),
        get("/api/parking/fees", Need::Look, fees, "The tariff in force here.").answers::<Fees>("The tariff"),
        put("/api/parking/fees", Need::Administer, put_fees, "Put a tariff in force, at every central.")
            .body::<FeesRequest>()
            .answers::<FeesSet>("It is in force here")
            .refuses(DECIDED)
            .refuses(&[Code::StaleVersion]),
        post(
            "/api/parking/fees/preview",
            Need::Look,
            preview_fee,
            "What a stay would cost by a tariff that need not be saved.",
        )
        .body::<PreviewRequest>()
        .answers::<Preview>("The fee")
        .refuses(&[Code::InvalidField]),
    ]
}

/// Cars that are offered as near a plate: as many as a person looks through.
const USUAL_NEAR: usize = 6;
const MOST_NEAR: usize = 20;

/// Today at this central's site.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Stats {
    vehicles_in_parking: u64,
    entries_today: i64,
    exits_today: i64,
    revenue_today: i64,
}

/// The cars inside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = State)]
pub(super) struct LotState {
    /// Newest first, at most 10,000.
    vehicles_in_parking: Vec<HistoryRow>,
    stats: Stats,
}

/// The query of `GET /api/parking/near`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NearParameters {
    /// As read; 6 to 12 letters and digits.
    #[param(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    plate: String,
    /// At most so many; absent: 6.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 20)]
    limit: Option<String>,
}

/// Cars inside that may be meant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Near {
    near: Vec<HistoryRow>,
}

/// The query of `GET /api/stats`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsParameters {
    /// Of the site, `2026-11-28`; absent: today.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    day: Option<String>,
}

/// The query of `GET /api/takings`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TakingsParameters {
    /// First day of the site, `2026-11-28`; absent: today.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    from: Option<String>,
    /// Last day; absent: the first.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    to: Option<String>,
    /// `shift`: told apart by shift, too; each row says which, and null where it is of none.
    #[param(pattern = "^(shift)?$")]
    by: Option<String>,
}

/// What was taken. Over one day the sums are those of `GET /api/stats`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakingsAnswer {
    from: String,
    to: String,
    exits: i64,
    /// VND.
    revenue: i64,
    /// What was paid beyond what was taken, VND: owed to who paid it, and in no sum.
    excess: i64,
    /// They sum to `exits`, `revenue` and `excess`.
    takings: Vec<Takings>,
    /// The shifts of these days, where they are told apart by shift.
    #[serde(skip_serializing_if = "Option::is_none")]
    shifts: Option<Vec<ShiftOfTakings>>,
}

/// A shift that takings are of.
#[derive(Debug, Serialize, ToSchema)]
struct ShiftOfTakings {
    id: String,
    central: String,
    edge_id: String,
    person: String,
    from_ms: i64,
    /// Null: it is open.
    until_ms: Option<i64>,
}

impl From<Shift> for ShiftOfTakings {
    fn from(shift: Shift) -> Self {
        let Shift { id, central, edge_id, from_ms, opened, closed, .. } = shift;
        let person = opened.map(|opened| opened.person).unwrap_or_default();
        Self { id, central, edge_id, person, from_ms, until_ms: closed.map(|closed| closed.until_ms) }
    }
}

/// The figures of a day, as answered. `vehicles_in_parking` is as of now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Figures {
    /// `YYYY-MM-DD`, of the site.
    day: String,
    #[serde(flatten)]
    stats: Stats,
    /// What each gate had of it.
    gates: Vec<GateStats>,
}

/// This central and its lot.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusAnswer {
    cameras: Cameras,
    parking: Stats,
    central: AboutCentral,
}

/// This central.
#[derive(Debug, Serialize, ToSchema)]
struct AboutCentral {
    id: String,
    /// The site's name.
    site: String,
    time_zone: String,
    version: &'static str,
    uptime_s: u64,
    /// Now, on the site's clock.
    time: String,
    /// The last commit succeeded.
    can_commit: bool,
    /// This machine's clock is before the newest event written here.
    clock_behind: bool,
    /// Why the settings file was not used at the start.
    broken_config: Option<String>,
    /// What a person has to look at on this machine.
    notices: Vec<Notice>,
    /// How it stands with the backups of this central.
    backup: BackupState,
    /// How it stands with the alarms people are told of.
    alarms: AlarmState,
    /// How it stands with the invoices of what is taken at the exits of this central.
    invoices: InvoiceState,
    /// Which parts ask nobody on the network who he is: `edges`, `p2p`.
    open: Vec<&'static str>,
}

/// The tariff in force here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fees {
    fees: Tariff,
    /// `default`: nobody has set one.
    #[schema(pattern = "^(default|event)$")]
    source: &'static str,
    /// The event that set it.
    version: Option<String>,
    /// What counts from a later moment on, in order.
    announced: Vec<AnnouncedFees>,
}

/// A tariff that counts from a moment on.
#[derive(Debug, Serialize, ToSchema)]
struct AnnouncedFees {
    /// On the site's clock.
    valid_from: String,
    valid_from_ms: i64,
    fees: Tariff,
    /// The event that announced it.
    version: String,
}

/// A tariff to be put in force; every field is checked, unknown ones are refused.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FeesRequest {
    /// Null, with `valid_from`: what was announced for that moment is withdrawn.
    #[schema(value_type = Option<Tariff>)]
    fees: Option<Value>,
    /// When it comes into force, on the site's clock; absent: at once.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$")]
    valid_from: Option<String>,
    /// As GET gave it with the tariff that was changed, null included: refused if somebody else saved meanwhile. Absent: saved in
    /// any case.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    version: Option<Option<String>>,
}

/// A field that is there, with null told apart from absent.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// The tariff is in force here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FeesSet {
    message: &'static str,
    /// The event that set it.
    version: String,
}

/// What a stay would cost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    /// VND.
    fee: Vnd,
    /// What it consists of; they sum to it.
    lines: Vec<FeeLine>,
    /// `2 giờ 31 phút`
    duration: String,
    duration_ms: i64,
}

/// `GET /api/parking/state`
pub async fn state(worker: web::Data<Worker>) -> Answered {
    let today = Today::of(&worker.shared);
    let most = usize::try_from(MAX_PAGE_ROWS).unwrap_or(usize::MAX);
    answer(&worker.shared, move |reader| {
        let vehicles_in_parking = reader.vehicles_inside(most)?;
        Ok(LotState { vehicles_in_parking, stats: today.stats(reader)? })
    })
    .await
}

/// `GET /api/parking/near`
pub async fn near(parameters: web::Query<NearParameters>, worker: web::Data<Worker>) -> Answered {
    let plate = PlateId::parse(&parameters.plate).map_err(|why| ApiError::bad_field("plate", why.to_string()))?;
    let limit = limit(parameters.limit.as_deref(), USUAL_NEAR, MOST_NEAR)?;
    answer(&worker.shared, move |reader| Ok(Near { near: reader.near(&plate, limit)? })).await
}

/// `GET /api/stats`
pub async fn stats(parameters: web::Query<StatsParameters>, worker: web::Data<Worker>) -> Answered {
    let mut today = Today::of(&worker.shared);
    if let Some(day) = parameters.into_inner().day.filter(|day| !day.is_empty()) {
        today = today.moved_to("day", day, &worker.zone())?;
    }
    answer(&worker.shared, move |reader| {
        let stats = today.stats(reader)?;
        let gates = reader.stats(today.start_ms, today.end_ms)?.gates;
        Ok(Figures { day: today.day, stats, gates })
    })
    .await
}

/// `GET /api/takings`
pub async fn takings(parameters: web::Query<TakingsParameters>, worker: web::Data<Worker>) -> Answered {
    let TakingsParameters { from, to, by } = parameters.into_inner();
    let is_by_shift = match by.as_deref() {
        None | Some("") => false,
        Some("shift") => true,
        Some(_) => return Err(ApiError::bad_field("by", "shift, or nothing")),
    };
    let mut first = Today::of(&worker.shared);
    if let Some(day) = from.filter(|day| !day.is_empty()) {
        first = first.moved_to("from", day, &worker.zone())?;
    }
    let last = match to.filter(|day| !day.is_empty()) {
        Some(day) => first.clone().moved_to("to", day, &worker.zone())?,
        None => first.clone(),
    };
    answer(&worker.shared, move |reader| {
        let (start_ms, end_ms) = (first.start_ms, last.end_ms);
        let (takings, shifts) = if is_by_shift {
            let (takings, shifts) = reader.takings_by_shift(start_ms, end_ms)?;
            (takings, Some(shifts.into_iter().map(ShiftOfTakings::from).collect()))
        } else {
            (reader.takings(start_ms, end_ms)?, None)
        };
        let exits = takings.iter().map(|taken| taken.exits).sum();
        let revenue = takings.iter().map(|taken| taken.revenue).sum();
        let excess = takings.iter().map(|taken| taken.excess).sum();
        Ok(TakingsAnswer { from: first.day, to: last.day, exits, revenue, excess, takings, shifts })
    })
    .await
}

/// `GET /api/status`
pub async fn status(worker: web::Data<Worker>) -> Answered {
    let shared = &worker.shared;
    let config = shared.config();
    let today = Today::of(shared);
    let clock = shared.clock;
    let cameras = Cameras::of(shared);
    let (notices, backup) = shared.notices.now();
    let central = AboutCentral {
        id: config.this_central.id.to_string(),
        site: shared.held().settings.name(SITE).unwrap_or(&config.site.name).to_owned(),
        time_zone: config.site.time_zone.name().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: shared.started.elapsed().as_secs(),
        time: config.site.time_zone.local_text(clock.now_ms()),
        can_commit: shared.held().failure.is_none(),
        clock_behind: false,
        broken_config: shared.broken_config.clone(),
        notices,
        backup,
        alarms: shared.alarms.state(),
        invoices: shared.invoices.state(),
        open: config.open_to_network(),
    };
    answer(shared, move |reader| {
        let clock_behind = is_behind(clock.now_ms(), reader.newest_own_ms(telling_stamps(clock.now_ms()))?);
        let parking = today.stats(reader)?;
        Ok(StatusAnswer { cameras, parking, central: AboutCentral { clock_behind, ..central } })
    })
    .await
}

/// `GET /api/parking/fees`
pub async fn fees(worker: web::Data<Worker>) -> Answered {
    let held = worker.shared.held();
    let (now_ms, zone) = (worker.shared.clock.now_ms(), worker.zone());
    let (tariff, version) = held.settings.tariff_at(now_ms);
    let source = if version.is_some() { "event" } else { "default" };
    let announced = held.settings.announced(now_ms).map(|(valid_from_ms, fees, version)| AnnouncedFees {
        valid_from: zone.local_text(valid_from_ms),
        valid_from_ms,
        fees,
        version,
    });
    let announced = announced.collect();
    Ok(ok(Fees { fees: Tariff::clone(&tariff), source, version, announced }))
}

/// `PUT /api/parking/fees`
pub async fn put_fees(
    caller: Caller,
    Sent(sent): Sent<FeesRequest, { TARIFF_LIMIT_BYTES }>,
    worker: web::Data<Worker>,
) -> Answered {
    let valid_from = sent.valid_from.as_deref().filter(|text| !text.is_empty());
    let fees = sent.fees.as_ref().filter(|fees| fees.is_object());
    let tariff = match (fees, &sent.fees, valid_from) {
        (Some(fees), ..) => Some(Tariff::from_json(fees).map_err(|problems| ApiError::bad_fields(&problems))?),
        (None, None | Some(Value::Null), Some(_)) => None,
        _ => return Err(ApiError::bad_field("fees", "Fees must be a dict")),
    };
    let act = caller.act(Kind::Tariff, valid_from.unwrap_or_default());
    let job = match (valid_from, tariff.clone()) {
        (Some(text), tariff) => {
            let from_ms = worker.zone().parse_local_text(text);
            let from_ms = from_ms.map_err(|_| ApiError::bad_field("valid_from", "a time YYYY-MM-DD HH:MM:SS"))?;
            Job::Announce(PriceList { valid_from_ms: Some(from_ms), tariff })
        }
        (None, Some(tariff)) => Job::PutTariff(tariff),
        (None, None) => return Err(ApiError::internal()),
    };
    let job = job.audited(act);
    let job = match sent.version {
        Some(version) => job.if_version(SettingKind::Tariff, version),
        None => job,
    };
    match decide_or_refuse(&worker, job.by(caller.who.doer())).await? {
        Ok(Answer::TariffSet { version }) => {
            let message = "Đã cập nhật cấu hình phí gửi xe";
            Ok(ok(FeesSet { message, version }))
        }
        Err(Refusal::StaleVersion) => {
            let settings = worker.shared.held().settings.clone();
            let (held, version) = settings.tariff_at(worker.shared.clock.now_ms());
            let (sent, held) = changes(&json!(tariff), &json!(*held));
            let message = "the tariff has changed since it was read; read it again, and put your changes on it";
            let refused = ApiError::new(Code::StaleVersion, message).with("version", version.into());
            Err(refused.with("difference", json!({ "sent": sent, "held": held })))
        }
        Err(refusal) => Err(ApiError::refused(refusal, &worker.zone())),
        Ok(_) => Err(ApiError::internal()),
    }
}

/// What `POST /api/parking/fees/preview` takes.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PreviewRequest {
    #[schema(value_type = Tariff)]
    fees: Value,
    /// On the site's clock, `YYYY-MM-DD HH:MM:SS`.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$")]
    entry_time: String,
    /// As the entry, and not before it.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$")]
    exit_time: String,
    /// The vehicle type.
    #[serde(default)]
    camera_type: String,
    /// Whether the card was lost.
    #[serde(default)]
    lost_card: bool,
}

/// `POST /api/parking/fees/preview`: what a stay would cost by a tariff that need not be saved.
pub async fn preview_fee(
    Sent(asked): Sent<PreviewRequest, { TARIFF_LIMIT_BYTES }>,
    worker: web::Data<Worker>,
) -> Answered {
    let tariff = Tariff::from_json(&asked.fees).map_err(|problems| ApiError::bad_fields(&problems))?;
    let zone = worker.zone();
    let time = |field: &str, text: &str| {
        zone.parse_local_text(text).map_err(|_| ApiError::bad_field(field, "a time YYYY-MM-DD HH:MM:SS"))
    };
    let (entry_ms, exit_ms) = (time("entry_time", &asked.entry_time)?, time("exit_time", &asked.exit_time)?);
    if exit_ms < entry_ms {
        return Err(ApiError::bad_field("exit_time", "is before the entry"));
    }
    let mut lines = tariff.lines(&asked.camera_type, entry_ms, exit_ms, &zone);
    lines.extend(tariff.lost_card_line().filter(|_| asked.lost_card));
    let fee = total(&lines);
    let duration_ms = exit_ms.saturating_sub(entry_ms);
    let duration = duration_text(duration_ms);
    Ok(ok(Preview { fee, lines, duration, duration_ms }))
}

/// Has the writer decide a job and waits until it is committed.
pub(super) async fn decide(worker: &Worker, job: Job) -> Result<Answer, ApiError> {
    decide_or_refuse(worker, job).await?.map_err(|refusal| ApiError::refused(refusal, &worker.zone()))
}

/// As [`decide`], for who has something to say to a refusal.
pub(super) async fn decide_or_refuse(worker: &Worker, job: Job) -> Result<Outcome, ApiError> {
    let (decide, outcome) = Decide::new(job);
    worker.shared.writer.do_send(decide);
    outcome.await.map_err(|_closed| ApiError::unknown_outcome())
}

/// The site's day, and how many cars are inside now.
#[derive(Debug, Clone)]
pub(super) struct Today {
    day: String,
    /// Unix ms.
    pub(super) start_ms: i64,
    /// Of the next day.
    pub(super) end_ms: i64,
    cars_inside: u64,
}

impl Today {
    pub(super) fn of(shared: &Shared) -> Self {
        let zone = shared.zone();
        let now_ms = shared.clock.now_ms();
        let (start_ms, end_ms) = zone.day_bounds_ms(now_ms);
        Self { day: zone.day(now_ms), start_ms, end_ms, cars_inside: shared.held().cars_inside }
    }

    /// Another day, as `field` of a query names it.
    pub(super) fn moved_to(self, field: &str, day: String, zone: &SiteZone) -> Result<Self, ApiError> {
        let noon = zone.parse_local_text(&format!("{day} 12:00:00"));
        let noon_ms = noon.map_err(|_| ApiError::bad_field(field, "a date YYYY-MM-DD"))?;
        let (start_ms, end_ms) = zone.day_bounds_ms(noon_ms);
        Ok(Self { day, start_ms, end_ms, ..self })
    }

    /// `YYYY-MM-DD`.
    pub(super) fn day(&self) -> &str {
        &self.day
    }

    pub(super) fn stats(&self, reader: &mut Reader) -> Result<Stats, StoreError> {
        let day = reader.stats(self.start_ms, self.end_ms)?;
        Ok(Stats {
            vehicles_in_parking: self.cars_inside,
            entries_today: day.entries,
            exits_today: day.exits,
            revenue_today: day.revenue,
        })
    }
}

/// Asks a reader; its thread also writes the JSON, so that a long page does not hold up this worker.
pub(super) async fn answer<T: Serialize>(
    shared: &Shared,
    question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
) -> Answered {
    let written =
        shared.readers.ask(|reader| question(reader).map(|value| serde_json::to_vec(&success(value)))).await?;
    let bytes = written.map_err(|_| ApiError::internal())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(bytes))
}
