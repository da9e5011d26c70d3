//! Tells people who do not look at a page that something is wrong, and that it is over.
//!
//! - What is wrong is what the pages show (`alarms::attention`); when it is told is the book's (`alarms::book`); sending and the file
//!   are the desk's (`desks::alarm_desk`). Here is only the rhythm.
//! - It runs on a thread of its own, since it waits for the disk. Nobody waits for it.
//! - Without a channel in the settings it does nothing, and nothing leaves the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};

use super::config_keeper::{Concerns, ConfigChanged, Participant};
use super::mesh_registry::AskMesh;
use super::status_feed::FeedContext;
use super::status_feed::sources::what_is_seen;
use crate::alarms::book::{Day, Oddity, Rules};
use crate::alarms::message::Voice;
use crate::config::model::Config;
use crate::desks::alarm_desk::{self, AlarmDesk};
use crate::domain::anomaly::Anomaly;
use crate::domain::audit::{DONE, Kind};
use crate::domain::naming::SITE;
use crate::domain::plate::{self, PlateId};
use crate::domain::problem::Language;
use crate::domain::time::SiteZone;
use crate::ledger::settings::SharedSettings;
use crate::links::status::MeshStatus;
use crate::ops::clock::telling_stamps;
use crate::store::error::StoreError;
use crate::store::reader::{AuditQuery, AuditRow, HistoryQuery, Reader, WithAnomaly};

/// How often it is looked whether something is wrong, and whether something waits to be sent.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// How often the database is asked.
const READ_PERIOD: Duration = Duration::from_secs(5);
const BEAT_PERIOD: Duration = Duration::from_secs(60);
const MESH_TIMEOUT: Duration = Duration::from_secs(1);
/// Oddities of this long are looked at, and at most so many.
const ODD_OF_MS: i64 = 24 * 60 * 60 * 1_000;
const MAX_ODD: i64 = 200;
/// Entries of the audit read at a time.
const AUDIT_PAGE: usize = 200;
/// A report covers the day that this is in, before it is due: of 22:00 the same day, of 06:00 the day before.
const REPORT_COVERS_MS: i64 = 12 * 60 * 60 * 1_000;
/// What a person should look at: the rest is in the order of things, or told as a forced opening.
const ODD: [Anomaly; 8] = [
    Anomaly::DoubleEntry,
    Anomaly::DoubleExit,
    Anomaly::ExitWithoutEntry,
    Anomaly::LeftUnseen,
    Anomaly::FeeUncertain,
    Anomaly::OtherType,
    Anomaly::MayBeToldTwice,
    Anomaly::PaymentUsedTwice,
];

pub struct Herald {
    around: FeedContext,
    desk: Arc<AlarmDesk>,
    busy: bool,
    mesh: Option<MeshStatus>,
    read_at: Option<Instant>,
    newest_own_ms: Option<i64>,
    beat_at: Option<Instant>,
}

/// What is read from the database.
struct HeraldRead {
    newest_own_ms: Option<i64>,
    /// The number of the last entry of the audit, and the forced openings since that which was looked at.
    audit: (i64, Vec<AuditRow>),
    odd: Vec<Oddity>,
    /// When it was due, and the day's figures.
    report: Option<(i64, Day)>,
}

/// What is asked of the database.
struct Question {
    now_ms: i64,
    zone: SiteZone,
    prices: Arc<SharedSettings>,
    audit_seen: Option<i64>,
    report_due_ms: Option<i64>,
}

impl Herald {
    pub fn new(around: FeedContext) -> Self {
        let desk = around.alarms.clone();
        Self { around, desk, busy: false, mesh: None, read_at: None, newest_own_ms: None, beat_at: None }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        let config = self.around.config.borrow().clone();
        self.beat(&config, context);
        if !config.alarms.are_on() {
            self.desk.show(&config);
            return;
        }
        self.send(&config, context);
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        let read = self.read_at.is_none_or(|at| at.elapsed() >= READ_PERIOD).then(|| self.question(&config));
        let (mesh, readers) = (self.around.mesh.clone(), self.around.readers.clone());
        let gathering = async move {
            let mesh = async { tokio::time::timeout(MESH_TIMEOUT, mesh.addr().send(AskMesh)).await.ok()?.ok() };
            let read = async {
                let question = read?;
                readers.ask(move |reader| question.answer(reader)).await.ok()
            };
            futures_util::future::join(mesh, read).await
        };
        context.spawn(wrap_future::<_, Self>(gathering).map(|(mesh, read), herald, context| {
            herald.busy = false;
            herald.mesh = mesh.or(herald.mesh.take());
            herald.take(read);
            let config = herald.around.config.borrow().clone();
            herald.send(&config, context);
        }));
    }

    fn question(&mut self, config: &Config) -> Question {
        self.read_at = Some(Instant::now());
        let (zone, now_ms) = (config.site.time_zone.clone(), self.around.clock.now_ms());
        let report_due_ms = config.alarms.report_at.map(|at| zone.last_at(at, now_ms));
        let prices = self.around.held.borrow().settings.clone();
        Question { now_ms, audit_seen: self.desk.work(|book| (book.audit_seen, false)), zone, prices, report_due_ms }
    }

    fn take(&mut self, read: Option<HeraldRead>) {
        let Some(mesh) = &self.mesh else { return };
        let config = self.around.config.borrow().clone();
        if !config.alarms.are_on() {
            return;
        }
        if let Some(read) = &read {
            self.newest_own_ms = read.newest_own_ms;
        }
        let seen = what_is_seen(&self.around, mesh, self.newest_own_ms);
        let alarms = &config.alarms;
        let rules = Rules {
            channels: alarm_desk::ids(alarms),
            silence_ms: i64::from(alarms.silent_minutes) * 60_000,
            repeat_ms: i64::from(alarms.repeat_hours) * 3_600_000,
            without: alarms.without.clone(),
        };
        let names = self.around.held.borrow().settings.clone();
        let site = names.name(SITE).unwrap_or(&config.site.name).to_owned();
        let central = config.this_central.id.as_str();
        let voice = Voice { central, site: &site, language: alarms.language };
        let tellers = seen.tellers();
        let inside = usize::try_from(self.around.held.borrow().cars_inside).unwrap_or(usize::MAX);
        let away = mesh.peers.iter().filter(|peer| !peer.connected && !peer.trust.expelled);
        let missing: Vec<String> = away.map(|peer| peer.id.to_string()).collect();
        let site_id = mesh.site.map(|site| site.id.to_string()).unwrap_or_default();
        self.desk.work(|book| {
            let mut changed = book.look(&seen, &rules, &voice);
            let Some(HeraldRead { audit: (last, forced), odd, report, .. }) = read else { return ((), changed) };
            if book.audit_seen != Some(last) {
                changed = true;
                book.audit_seen = Some(last);
            }
            for row in &forced {
                let gate = names.name(&[central, "/", &row.entry.what].concat());
                let text = forced_text(row, gate, &voice);
                book.happened("forced", &row.id.to_string(), row.entry.at_ms, &text, &rules, &voice);
            }
            changed |= book.odd(&odd, &tellers, &seen, &rules, &voice);
            if let Some((due_ms, day)) = report {
                let (is_due, noted) = book.report_is_due(due_ms, &tellers, &seen, &voice);
                changed |= is_due || noted;
                if is_due {
                    book.report(due_ms, seen.now_ms, &Day { inside, missing, site_id, ..day }, &rules, &voice);
                }
            }
            ((), changed)
        });
    }

    /// Sends what waits, to each channel one message at a time.
    fn send(&self, config: &Config, context: &mut Context<Self>) {
        for errand in self.desk.errands(config) {
            let sending = async move {
                let outcome = errand.run().await;
                (errand, outcome)
            };
            context.spawn(wrap_future::<_, Self>(sending).map(|(errand, outcome), herald, context| {
                let told = outcome.is_ok();
                herald.desk.done(&errand, outcome, herald.around.clock.now_ms());
                let config = herald.around.config.borrow().clone();
                if told {
                    herald.send(&config, context);
                } else {
                    herald.desk.show(&config);
                }
            }));
        }
    }

    /// Says to the monitor outside that all is well, as long as it is.
    fn beat(&mut self, config: &Config, context: &mut Context<Self>) {
        if config.alarms.heartbeat_url.is_none() {
            return;
        }
        let is_due = self.beat_at.is_none_or(|at| at.elapsed() >= BEAT_PERIOD);
        if !is_due || self.around.held.borrow().failure.is_some() {
            return;
        }
        self.beat_at = Some(Instant::now());
        let alarms = config.alarms.clone();
        let asking = async move { alarm_desk::beat(&alarms).await };
        context.spawn(wrap_future::<_, Self>(asking).map(|outcome, herald, _| herald.desk.heartbeat(outcome)));
    }
}

/// `gate`: what people call where it was, if they call it anything.
fn forced_text(row: &AuditRow, gate: Option<&str>, voice: &Voice<'_>) -> String {
    let entry = &row.entry;
    let told = |field: &str| entry.after.get(field).and_then(|value| value.as_str()).unwrap_or_default();
    let (read, reason) = (told("plate_id"), told("reason"));
    let plate = PlateId::parse(read).map_or_else(|_| read.to_owned(), |plate| plate::view(&plate));
    let (gate, who) = (gate.unwrap_or(&entry.what), voice.person(&entry.who));
    let way = match (told("direction"), voice.language) {
        ("ENTRY", Language::Vi) => "vào",
        ("EXIT", Language::Vi) => "ra",
        ("ENTRY", _) => "in",
        ("EXIT", _) => "out",
        _ => "",
    };
    let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    voice.say(
        format!("mở ngoại lệ ở {gate}: {plate} {way}, người mở: {who}{why}"),
        format!("forced opening at {gate}: {plate} {way}, by {who}{why}"),
    )
}

impl Question {
    fn answer(self, reader: &mut Reader) -> Result<HeraldRead, StoreError> {
        Ok(HeraldRead {
            newest_own_ms: reader.newest_own_ms(telling_stamps(self.now_ms))?,
            audit: self.forced(reader)?,
            odd: self.odd(reader)?,
            report: self
                .report_due_ms
                .map(|due_ms| Ok::<_, StoreError>((due_ms, self.day(reader, due_ms)?)))
                .transpose()?,
        })
    }

    fn forced(&self, reader: &mut Reader) -> Result<(i64, Vec<AuditRow>), StoreError> {
        let newest = reader.audit(&AuditQuery { limit: 1, ..AuditQuery::default() })?;
        let last = newest.rows.first().map_or(0, |row| row.id);
        // What happened before anybody was to be told is history, and so is what a restored database has behind it.
        let Some(seen) = self.audit_seen.filter(|seen| *seen < last) else { return Ok((last, Vec::new())) };
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let query =
                AuditQuery { limit: AUDIT_PAGE, kind: Some(Kind::ForcedOpening), cursor, ..AuditQuery::default() };
            let page = reader.audit(&query)?;
            let is_end = page.rows.iter().any(|row| row.id <= seen) || page.next.is_none();
            found.extend(
                page.rows.into_iter().filter(|row| row.id > seen && row.id <= last && row.entry.outcome == DONE),
            );
            cursor = page.next;
            if is_end {
                found.reverse();
                return Ok((last, found));
            }
        }
    }

    fn odd(&self, reader: &mut Reader) -> Result<Vec<Oddity>, StoreError> {
        let mut found = Vec::new();
        let query = HistoryQuery {
            limit: MAX_ODD,
            anomaly: Some(WithAnomaly::Any),
            entered_since_ms: Some(self.now_ms.saturating_sub(ODD_OF_MS)),
            ..HistoryQuery::default()
        };
        for row in reader.history(&query)?.rows {
            if !row.anomalies.iter().any(|name| Anomaly::from_name(name).is_some_and(|kind| ODD.contains(&kind))) {
                continue;
            }
            for told in reader.anomalies_of(&row.event_id, &self.zone, &self.prices, self.now_ms)? {
                if Anomaly::from_name(told.kind).is_some_and(|kind| ODD.contains(&kind)) {
                    found.push(Oddity {
                        id: format!("{}/{}", row.event_id, told.kind),
                        vietnamese: format!("{}: {}", row.plate_view, told.text.vi),
                        english: format!("{}: {}", row.plate_view, told.text.en),
                    });
                }
            }
        }
        Ok(found)
    }

    fn day(&self, reader: &mut Reader, due_ms: i64) -> Result<Day, StoreError> {
        let in_it_ms = due_ms.saturating_sub(REPORT_COVERS_MS);
        let (start_ms, end_ms) = self.zone.day_bounds_ms(in_it_ms);
        let stats = reader.stats(start_ms, end_ms)?;
        let mut ways: Vec<(String, i64)> = Vec::new();
        for taken in reader.takings(start_ms, end_ms)?.into_iter().filter(|taken| taken.revenue != 0) {
            let way = taken.method;
            match ways.iter_mut().find(|(known, _)| *known == way) {
                Some((_, sum)) => *sum += taken.revenue,
                None => ways.push((way, taken.revenue)),
            }
        }
        let (entries, exits, revenue) = (stats.entries, stats.exits, stats.revenue);
        Ok(Day { day: self.zone.day(in_it_ms), entries, exits, revenue, ways, ..Day::default() })
    }
}

impl Actor for Herald {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let changed = context.address().recipient();
        self.around.keeper.addr().do_send(Concerns(Participant { name: "herald", verify: None, changed }));
        context.run_interval(LOOK_PERIOD, Self::look);
    }
}

impl Handler<ConfigChanged> for Herald {
    type Result = ();

    fn handle(&mut self, changed: ConfigChanged, context: &mut Self::Context) {
        if changed.old.alarms != changed.new.alarms {
            self.desk.settings_changed();
            self.beat_at = None;
            self.look(context);
        }
    }
}
