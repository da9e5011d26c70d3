//! Tells people: what is in the book is sent to each channel, and both survive a power cut in `DIR/alarms.json`.
//!
//! - The file is of the alarms' own, so that nothing of it delays the writer; it is made once a channel is set up.
//! - A message is on the disk before it is sent, and taken off once the receiver said that it has it. What was killed in between is
//!   sent once more, with the same id.
//! - Each channel waits longer after each attempt that came to nothing, whatever the others do. New settings are tried at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Letter, Tokio1Executor};
use log::{error, info, warn};
use serde::Serialize;
use utoipa::ToSchema;

use crate::alarms::book::Book;
use crate::alarms::message::{Message, MessageKind, NotTold, Shape, Voice};
use crate::config::alarms::{Alarms, Channel, ChannelKind, DEFAULT_MAIL_PORT, Secret};
use crate::config::model::Config;
use crate::domain::problem::Language;
use crate::ops::metrics::Metrics;
use crate::ops::offences::SaidOnce;
use crate::tls;
use crate::vault::files;

const FILE: &str = "alarms.json";
/// How long one attempt may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The wait after the first attempt that came to nothing; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Most of an answer that is read, and shown.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
pub(super) const MAX_SHOWN_CHARS: usize = 300;

/// How it stands with the alarms, for pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlarmState {
    /// Alarms that were told and are not over.
    pub open: usize,
    /// In the order of the settings.
    pub channels: Vec<ChannelState>,
    /// Why the heartbeat's address cannot be reached; null: it can, or there is none.
    pub heartbeat_failed: Option<String>,
}

/// How it stands with one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelState {
    pub id: String,
    /// Messages it was not told yet.
    pub waiting: usize,
    /// Messages that had to be dropped since it was told last.
    pub lost: u64,
    /// When it was told last, Unix ms; null: not since the start.
    pub told_ms: Option<i64>,
    /// Why the last attempt came to nothing; null: it did not.
    pub failed: Option<String>,
}

/// How one channel takes what it is told.
#[derive(Debug, Clone, Default)]
struct Going {
    busy: bool,
    attempts: u32,
    not_before: Option<Instant>,
    told_ms: Option<i64>,
    failed: Option<String>,
}

/// The one who knows what was told. One for each central; pages ask it.
#[derive(Debug)]
pub struct AlarmDesk {
    file: PathBuf,
    metrics: Arc<Metrics>,
    /// Held while the disk is waited for: no page asks it.
    inner: Mutex<DeskState>,
    shown: Mutex<AlarmState>,
}

#[derive(Debug, Default)]
struct DeskState {
    book: Book,
    going: BTreeMap<String, Going>,
    said: SaidOnce,
    heartbeat_failed: Option<String>,
}

/// Something to be sent now.
#[derive(Debug, Clone)]
pub struct Errand {
    pub channel: Channel,
    pub message: Message,
    pub lost: u64,
    alarms: Alarms,
}

impl AlarmDesk {
    /// Takes up what the directory says. A file that is of no use is set aside: alarms begin anew.
    pub fn open(data_dir: &std::path::Path, metrics: Arc<Metrics>) -> Self {
        let file = data_dir.join(FILE);
        let read = files::read(&file).map(|bytes| bytes.map(|bytes| serde_json::from_slice::<Book>(&bytes)));
        let book = match read {
            Ok(None) => Book::default(),
            Ok(Some(Ok(book))) => book,
            Ok(Some(Err(_))) | Err(_) => {
                let aside = data_dir.join(format!("{FILE}.damaged"));
                let reason = match std::fs::rename(&file, &aside) {
                    Ok(()) => format!("it is kept as {}", aside.display()),
                    Err(error) => format!("it cannot be moved away: {error}"),
                };
                warn!(event = "alarms_unreadable", reason = reason.as_str(); "what was told of alarms cannot be read: what is wrong now is told anew");
                Book::default()
            }
        };
        Self { file, metrics, inner: Mutex::new(DeskState { book, ..DeskState::default() }), shown: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, DeskState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When each edge said last before this start that it lives.
    pub fn heard(&self) -> BTreeMap<String, i64> {
        self.inner().book.heard.clone()
    }

    /// Works on the book; what changed is on the disk when this returns. Blocking.
    pub fn work<T>(&self, work: impl FnOnce(&mut Book) -> (T, bool)) -> T {
        let mut inner = self.inner();
        let (result, changed) = work(&mut inner.book);
        if changed {
            self.save(&mut inner);
        }
        for id in std::mem::take(&mut inner.book.dropped) {
            self.metrics.alarms_lost.inc();
            warn!(event = "alarm_dropped", channel = "all", id = id.as_str(), reason = "too many wait"; "too many messages wait: the oldest is dropped");
        }
        result
    }

    fn save(&self, inner: &mut DeskState) {
        let bytes = serde_json::to_vec(&inner.book).unwrap_or_default();
        match files::write(&self.file, &bytes) {
            Ok(()) => inner.said.is_over("file"),
            // It is told all the same: a full disk is what people should hear of.
            Err(error) => {
                let reason = error.to_string();
                if inner.said.is_news("file", &reason, Instant::now()) {
                    error!(event = "alarms_not_saved", reason = reason.as_str(); "what is told of alarms cannot be written: after a restart it may be told again");
                }
            }
        }
    }

    /// New settings: what waits because of the old ones does so no longer.
    pub fn settings_changed(&self) {
        for going in self.inner().going.values_mut() {
            (going.attempts, going.not_before) = (0, None);
        }
    }

    /// What is to be sent now, one message a channel; each has to come back to [`AlarmDesk::done`].
    pub fn errands(&self, config: &Config) -> Vec<Errand> {
        let mut inner = self.inner();
        let DeskState { book, going, .. } = &mut *inner;
        let now = Instant::now();
        going.retain(|id, going| going.busy || config.alarms.channels.iter().any(|channel| channel.id == *id));
        let mut errands = Vec::new();
        for channel in &config.alarms.channels {
            let going = going.entry(channel.id.clone()).or_default();
            if going.busy || going.not_before.is_some_and(|at| now < at) {
                continue;
            }
            let Some((message, lost)) = book.outbox.next(&channel.id) else { continue };
            going.busy = true;
            let alarms = config.alarms.clone();
            errands.push(Errand { channel: channel.clone(), message: message.clone(), lost, alarms });
        }
        self.show_of(&inner, config);
        errands
    }

    /// What came of an errand. Blocking.
    pub fn done(&self, errand: &Errand, outcome: Result<String, NotTold>, now_ms: i64) {
        let mut inner = self.inner();
        let DeskState { book, going, said, .. } = &mut *inner;
        let (channel, id) = (errand.channel.id.as_str(), errand.message.id.as_str());
        let going = going.entry(channel.to_owned()).or_default();
        going.busy = false;
        let written = match outcome {
            Ok(_) => {
                *going = Going { told_ms: Some(now_ms), ..Going::default() };
                book.outbox.told(channel, id, errand.lost);
                self.metrics.alarms_told.inc();
                said.is_over(channel);
                info!(event = "alarm_told", channel = channel, id = id; "told");
                true
            }
            Err(NotTold::Ever(reason)) => {
                going.failed = Some(reason.clone());
                book.outbox.give_up(channel, id);
                self.metrics.alarms_lost.inc();
                warn!(event = "alarm_dropped", channel = channel, id = id, reason = reason.as_str(); "the receiver takes no such message");
                true
            }
            Err(NotTold::Yet(reason)) => {
                going.failed = Some(reason.clone());
                let wait = FIRST_WAIT.saturating_mul(1 << going.attempts.min(10)).min(LONGEST_WAIT);
                going.attempts += 1;
                // From half of it to all of it: nine centrals do not knock at once.
                let part = getrandom::u32().map_or(1.0, |random| 0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0);
                going.not_before = Some(Instant::now() + wait.mul_f64(part));
                if said.is_news(channel, "not told", Instant::now()) {
                    warn!(event = "alarm_not_told", channel = channel, id = id, reason = reason.as_str(); "an alarm cannot be told: tried again until it can");
                }
                false
            }
        };
        if written {
            self.save(&mut inner);
        }
    }

    /// What came of the last heartbeat.
    pub fn heartbeat(&self, outcome: Result<String, NotTold>) {
        let mut inner = self.inner();
        let failed = outcome.err().map(|reason| reason.to_string());
        if let Some(reason) = &failed {
            if inner.said.is_news("the heartbeat", "failed", Instant::now()) {
                warn!(event = "heartbeat_failed", reason = reason.as_str(); "the monitor outside cannot be reached");
            }
        } else {
            inner.said.is_over("the heartbeat");
        }
        inner.heartbeat_failed = failed;
    }

    /// As pages show it.
    pub fn state(&self) -> AlarmState {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings up to date what pages show.
    pub fn show(&self, config: &Config) {
        self.show_of(&self.inner(), config);
    }

    fn show_of(&self, inner: &DeskState, config: &Config) {
        let channel = |channel: &Channel| {
            let going = inner.going.get(&channel.id).cloned().unwrap_or_default();
            let (waiting, lost) = inner.book.outbox.waiting(&channel.id);
            ChannelState { id: channel.id.clone(), waiting, lost, told_ms: going.told_ms, failed: going.failed }
        };
        let state = AlarmState {
            open: inner.book.open(),
            channels: config.alarms.channels.iter().map(channel).collect(),
            heartbeat_failed: inner.heartbeat_failed.clone().filter(|_| config.alarms.heartbeat_url.is_some()),
        };
        let waiting = state.channels.iter().map(|channel| channel.waiting).sum::<usize>();
        self.metrics.alarms_open.set(i64::try_from(state.open).unwrap_or(i64::MAX));
        self.metrics.alarms_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Errand {
    /// A message that only tries whether messages arrive.
    pub fn test(channel: &Channel, alarms: &Alarms, central: &str, site: &str, now_ms: i64) -> Self {
        let voice = Voice { central, site, language: alarms.language };
        let text = voice.say("thử gửi cảnh báo: đã tới nơi.", "a test of the alarms: it has arrived.");
        let id = format!("{central}/test/{now_ms}");
        let message = voice.message(MessageKind::Test, "test", &id, id.clone(), now_ms, &text);
        Self { channel: channel.clone(), message, lost: 0, alarms: alarms.clone() }
    }

    /// Sends it; what the receiver said. Must run on a thread of actix.
    ///
    /// # Errors
    /// [`NotTold`], without what is nobody's business.
    pub async fn run(&self) -> Result<String, NotTold> {
        let sent = async {
            match shape(self.channel.kind) {
                Some(shape) => self.post(shape).await,
                None => self.mail().await,
            }
        };
        let outcome = tokio::time::timeout(TIMEOUT, sent).await.unwrap_or_else(|_| Err(no_answer()));
        let shown = |said: String| self.alarms.hide(&said).chars().take(MAX_SHOWN_CHARS).collect();
        match outcome {
            Ok(said) => Ok(shown(said)),
            Err(NotTold::Yet(said)) => Err(NotTold::Yet(shown(said))),
            Err(NotTold::Ever(said)) => Err(NotTold::Ever(shown(said))),
        }
    }

    /// With how much was dropped before it.
    fn text(&self) -> String {
        let (text, lost) = (&self.message.text, self.lost);
        match (lost, self.alarms.language) {
            (0, _) => text.clone(),
            (_, Language::Vi) => format!("{text} [{lost} tin trước đó không gửi được, đã bỏ]"),
            (_, Language::En) => format!("{text} [{lost} messages before it could not be sent and were dropped]"),
        }
    }

    async fn post(&self, shape: Shape) -> Result<String, NotTold> {
        let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0.clone());
        let token = reveal(&self.channel.token);
        let usual = || shape.usual_url(token.as_deref().unwrap_or_default());
        let url = reveal(&self.channel.url).or_else(usual).unwrap_or_default();
        let mut headers = vec![("x-parkmesh-id", self.message.id.clone())];
        headers.extend(token.as_deref().and_then(|token| shape.token_header(token)));
        let to = self.channel.to.as_deref().unwrap_or_default();
        let body = shape.body(&self.message, &self.text(), to, self.lost);
        let (status, answer) = call(&url, &headers, Some(body.to_string())).await?;
        shape.heard(status, &answer)?;
        Ok(format!("{status} {answer}").trim().to_owned())
    }

    async fn mail(&self) -> Result<String, NotTold> {
        let ever = |error: &dyn std::fmt::Display| NotTold::Yet(error.to_string());
        let Channel { server: Some(server), from: Some(from), to: Some(to), .. } = &self.channel else {
            return Err(NotTold::Yet("the settings name no mail server, sender or receiver".to_owned()));
        };
        let from: Mailbox = from.parse().map_err(|error| NotTold::Yet(format!("from {from}: {error}")))?;
        let text = self.text();
        let subject: String = text.chars().take(120).collect();
        let name: String = self.message.id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect();
        let mut letter = Letter::builder().from(from).subject(subject).message_id(Some(format!("<{name}@parkmesh>")));
        for to in to.split([',', ';']).map(str::trim).filter(|to| !to.is_empty()) {
            let to: Mailbox = to.parse().map_err(|error| NotTold::Yet(format!("to {to}: {error}")))?;
            letter = letter.to(to);
        }
        let letter = letter.body(text).map_err(|error| ever(&error))?;
        let (host, port) = (server.to_string(), self.channel.port.unwrap_or(DEFAULT_MAIL_PORT));
        let transport = if server.is_loopback() {
            // Nothing leaves the machine on this way; a mail server of its own has no certificate for it.
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        } else if port == DEFAULT_MAIL_PORT {
            AsyncSmtpTransport::<Tokio1Executor>::relay(&host).map_err(|error| ever(&error))?
        } else {
            AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host).map_err(|error| ever(&error))?
        };
        let mut transport = transport.port(port).timeout(Some(TIMEOUT));
        if let (Some(user), Some(password)) = (&self.channel.user, &self.channel.password) {
            transport = transport.credentials(Credentials::new(user.clone(), password.0.clone()));
        }
        let answered = transport.build().send(letter).await.map_err(|error| ever(&error))?;
        Ok(answered.message().collect::<Vec<_>>().join(" "))
    }
}

/// Asks the heartbeat's address. Must run on a thread of actix.
///
/// # Errors
/// [`NotTold`], without what is nobody's business.
pub async fn beat(alarms: &Alarms) -> Result<String, NotTold> {
    let url = alarms.heartbeat_url.as_ref().map(|url| url.0.as_str()).unwrap_or_default();
    let called = tokio::time::timeout(TIMEOUT, call(url, &[], None)).await.unwrap_or_else(|_| Err(no_answer()));
    // Whoever may look at the status sees whether it answers, and not what.
    let heard = called.and_then(|(status, answer)| Shape::Slack.heard(status, "").map(|()| answer));
    let shown = |reason: NotTold| alarms.hide(&reason.to_string()).chars().take(MAX_SHOWN_CHARS).collect();
    heard.map_err(|reason| NotTold::Yet(shown(reason)))
}

pub(super) fn no_answer() -> NotTold {
    NotTold::Yet(format!("no answer within {} ms", TIMEOUT.as_millis()))
}

fn shape(kind: ChannelKind) -> Option<Shape> {
    match kind {
        ChannelKind::Webhook => Some(Shape::Webhook),
        ChannelKind::Slack => Some(Shape::Slack),
        ChannelKind::Telegram => Some(Shape::Telegram),
        ChannelKind::Zalo => Some(Shape::Zalo),
        ChannelKind::Email => None,
    }
}

/// Status and answer. Nothing is followed elsewhere: what it carries is for that address alone.
pub(super) async fn call(
    url: &str,
    headers: &[(&str, String)],
    body: Option<String>,
) -> Result<(u16, String), NotTold> {
    let yet = |reason: String| NotTold::Yet(reason);
    let mut connector = awc::Connector::new().timeout(TIMEOUT).handshake_timeout(TIMEOUT);
    if url.starts_with("https:") {
        connector = connector.rustls_0_23(tls::internet_client().map_err(|error| yet(error.to_string()))?);
    }
    let client = awc::Client::builder().connector(connector).timeout(TIMEOUT).disable_redirects().finish();
    let request = if body.is_some() { client.post(url) } else { client.get(url) };
    let request = request.insert_header(("user-agent", concat!("parkmesh/", env!("CARGO_PKG_VERSION"))));
    let request = headers.iter().fold(request, |request, (name, value)| request.insert_header((*name, value.as_str())));
    let sent = match body {
        Some(body) => request.content_type("application/json").send_body(body).await,
        None => request.send().await,
    };
    let mut answer = sent.map_err(|error| yet(error.to_string()))?;
    let status = answer.status().as_u16();
    let text = answer.body().limit(MAX_ANSWER_BYTES).await;
    // That it was taken is said by the status.
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    Ok((status, text.chars().filter(|c| !c.is_control()).collect()))
}

/// The ids of these, for what has to know them all.
pub fn ids(alarms: &Alarms) -> Vec<String> {
    alarms.channels.iter().map(|channel| channel.id.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}
