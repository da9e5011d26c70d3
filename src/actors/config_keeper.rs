//! The settings in force, and the one way to change them: verify, save, publish.
//!
//! 1. The change is merged over what is in force and checked whole; every wrong field is named.
//! 2. Those concerned are asked whether they could live with it (can that port be bound?) and prepare.
//! 3. It is told in the audit, then written to the file in one step.
//! 4. It is published; those concerned apply it at once, and only then the answer is given.
//!
//! A failure at 1 to 3 leaves everything as it was. One change at a time.

use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AtomicResponse, Context, Handler, Message, Recipient, WrapFuture};
use actix_rt::task::spawn_blocking;
use log::{error, info, warn};
use serde_json::json;
use tokio::sync::watch;

use crate::config::change::{ChangeKind, Edit, SaveRefused, changed, merge, put_of};
use crate::config::file;
use crate::config::model::Config;
use crate::desks::audit_desk::AuditDesk;
use crate::domain::audit::{self, Act};
use crate::domain::problem::FieldProblem;

/// Whoever needs longer to verify or apply than this is not waited for.
const PARTICIPANT_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings in force, for whoever only reads them: `borrow()` is always the current ones.
pub type ConfigView = watch::Receiver<Arc<Config>>;

/// Could you work with these settings? Prepare what can fail.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), FieldProblem>")]
pub struct VerifyConfig {
    pub new: Arc<Config>,
}

/// The change you verified does not come: let go of what was prepared.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct AbandonConfig;

/// These settings are in force. Apply them before you answer.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ConfigChanged {
    pub old: Arc<Config>,
    pub new: Arc<Config>,
}

/// Somebody a change concerns.
#[derive(Debug, Clone)]
pub struct Participant {
    pub name: &'static str,
    /// Those that prepare something, or may refuse.
    pub verify: Option<(Recipient<VerifyConfig>, Recipient<AbandonConfig>)>,
    pub changed: Recipient<ConfigChanged>,
}

/// One more participant.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Concerns(pub Participant);

/// Change the settings. `version`: what they were read at; another one in force is a refusal.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<SavedConfig, SaveRefused>")]
pub struct ChangeConfig {
    pub edit: Edit,
    pub version: Option<String>,
    /// Who changes what, for the audit.
    pub act: Act,
}

/// Saved and in force.
#[derive(Debug, Clone)]
pub struct SavedConfig {
    pub config: Arc<Config>,
    pub version: String,
    /// What took effect; nothing, where only the writing differs.
    pub changes: Vec<ChangeKind>,
    pub warnings: Vec<FieldProblem>,
}

/// What a new keeper is built from after a panic. The settings in force and the participants outlive it.
#[derive(Clone)]
pub struct Keepsake {
    file: PathBuf,
    current: Arc<watch::Sender<Arc<Config>>>,
    participants: Arc<std::sync::Mutex<Vec<Participant>>>,
    audit: Arc<AuditDesk>,
}

impl Keepsake {
    /// Where saves go.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// `file`: where saves go.
    pub fn new(file: PathBuf, config: Config, audit: Arc<AuditDesk>) -> Self {
        let (current, _) = watch::channel(Arc::new(config));
        Self { file, current: Arc::new(current), participants: Arc::default(), audit }
    }

    pub fn view(&self) -> ConfigView {
        self.current.subscribe()
    }

    fn participants(&self) -> Vec<Participant> {
        self.participants.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

pub struct ConfigKeeper {
    kept: Keepsake,
}

impl ConfigKeeper {
    pub fn new(kept: Keepsake) -> Self {
        Self { kept }
    }
}

async fn change(kept: Keepsake, request: ChangeConfig) -> Result<SavedConfig, SaveRefused> {
    let old = kept.current.borrow().clone();
    if let Some(read_at) = request.version
        && read_at != old.version()
    {
        return Err(SaveRefused::Stale { current: old.version() });
    }
    let put = put_of(&old, request.edit)?;
    let read = merge(&old, &put).map_err(SaveRefused::Invalid)?;
    let new = Arc::new(read.config);
    let mut warnings = read.warnings;
    warnings.extend(foreign_ip(&new));
    let changes = changed(&old, &new);
    let old_days = (old.site.time_zone != new.site.time_zone).then(|| old_days_stay(&old, &new));
    warnings.extend(old_days.clone());
    let saved = SavedConfig { config: new.clone(), version: new.version(), changes, warnings };
    if old == new {
        return Ok(saved);
    }
    let participants = kept.participants();
    verify(&participants, &new).await?;
    let (was, is) = audit::changes(&old.to_json(), &new.to_json());
    if kept.audit.write(request.act.clone().done(kept.audit.now_ms(), was, is)).await.is_err() {
        abandon(&participants);
        return Err(SaveRefused::NotSaved);
    }
    let (path, settings) = (kept.file.clone(), new.clone());
    // A disk may take its time; all links live on this thread.
    let written =
        spawn_blocking(move || file::save(&path, &settings).map(drop).map_err(|error| error.to_string())).await;
    if let Err(reason) = written.unwrap_or_else(|error| Err(error.to_string())) {
        error!(event = "config_not_saved", reason = reason.as_str(); "the settings cannot be saved: nothing was changed");
        abandon(&participants);
        // Else the entry above would be believed. If this one cannot be written either, it waits.
        kept.audit.note_refusal(request.act, "not_saved");
        return Err(SaveRefused::NotSaved);
    }
    kept.current.send_replace(new.clone());
    let names: Vec<String> =
        saved.changes.iter().map(|kind| json!(kind).as_str().unwrap_or_default().to_owned()).collect();
    info!(event = "config_saved", version = saved.version.as_str(), changes = names.join(",").as_str(); "settings saved and in force");
    if let Some(warning) = old_days {
        let (field, reason) = (warning.field.as_str(), warning.message.as_str());
        warn!(event = "config_warning", field = field, reason = reason; "the past stays as it was written");
    }
    let changed = ConfigChanged { old, new };
    for participant in &participants {
        let applied = tokio::time::timeout(PARTICIPANT_TIMEOUT, participant.changed.send(changed.clone())).await;
        if !matches!(applied, Ok(Ok(()))) {
            warn!(event = "config_not_applied", part = participant.name; "a part of the program did not confirm the new settings");
        }
    }
    Ok(saved)
}

async fn verify(participants: &[Participant], new: &Arc<Config>) -> Result<(), SaveRefused> {
    let mut problems = Vec::new();
    for (verify, _) in participants.iter().filter_map(|participant| participant.verify.as_ref()) {
        let asked = verify.send(VerifyConfig { new: new.clone() });
        // Whoever cannot be asked cannot apply it either; that is found, and logged, when it should.
        if let Ok(Ok(Err(problem))) = tokio::time::timeout(PARTICIPANT_TIMEOUT, asked).await {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    abandon(participants);
    Err(SaveRefused::Invalid(problems))
}

fn abandon(participants: &[Participant]) {
    for (_, abandon) in participants.iter().filter_map(|participant| participant.verify.as_ref()) {
        abandon.do_send(AbandonConfig);
    }
}

/// The own address is not one of this machine's: others will not reach us there (or it comes up later).
pub fn foreign_ip(config: &Config) -> Option<FieldProblem> {
    let ip: IpAddr = config.this_central.ip.ip()?;
    UdpSocket::bind((ip, 0)).is_err().then(|| {
        FieldProblem::new(
            "this_central.ip",
            "not_on_this_machine",
            "không phải địa chỉ của máy này",
            "is not an address of this machine",
        )
    })
}

/// Texts of times were written in the zone of their time, and are made anew only from the events.
fn old_days_stay(old: &Config, new: &Config) -> FieldProblem {
    let (old, new) = (old.site.time_zone.name(), new.site.time_zone.name());
    FieldProblem::new(
        "site.time_zone",
        "past_days_stay",
        format!(
            "từ bây giờ tính theo {new}, kể cả doanh thu từng ngày; giờ đã ghi dạng chữ trước đây vẫn theo {old} cho tới khi dừng \
             central và chạy `parkmesh rebuild`"
        ),
        format!(
            "applies from now on, to the sums of days too; the texts of times written before stay in {old} until this central is \
             stopped and `parkmesh rebuild` has made them anew in {new}"
        ),
    )
}

impl Actor for ConfigKeeper {
    type Context = Context<Self>;
}

impl Handler<Concerns> for ConfigKeeper {
    type Result = ();

    fn handle(&mut self, concerns: Concerns, _: &mut Self::Context) {
        let mut participants = self.kept.participants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        participants.retain(|participant| participant.name != concerns.0.name);
        participants.push(concerns.0);
    }
}

impl Handler<ChangeConfig> for ConfigKeeper {
    type Result = AtomicResponse<Self, Result<SavedConfig, SaveRefused>>;

    /// Nothing else is handled until it is through: one change at a time.
    fn handle(&mut self, request: ChangeConfig, _: &mut Self::Context) -> Self::Result {
        let work = change(self.kept.clone(), request);
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|saved, _, _| saved)))
    }
}
