//! The list of subscriptions: read from what the writer published, and saved as the difference to what is held.
//!
//! A list that was read and is saved would remove what others added in between. With the `version` it was read at it is refused
//! then; without one, as a predecessor's page sends it, it is refused if it would remove what is newer than
//! [`FRESH_MS`]. What a list removed is in its answer and can be restored.
//!
//! Nothing here is worked out in the writer's time: it is given at most [`CHANGES_AT_ONCE`] changes at a time, gates in between.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::{self, Raw, SETTINGS_LIMIT_BYTES};
use super::operation::{Answered, Operation, get, ok, post, put, success};
use super::parking::{DECIDED, decide_or_refuse};
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::domain::audit::{Act, Kind};
use crate::domain::subscription::{self, Subscription};
use crate::ledger::job::{Answer, Job, Refusal};
use crate::ledger::settings::{ListDifference, SharedSettings, SubscriptionChange};
use crate::ledger::storage::SettingKind;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/subscriptions", Need::Look, subscriptions, "The subscriptions in force here.")
            .answers::<Subscriptions>("All of them"),
        put(
            "/api/subscriptions",
            Need::Administer,
            put_subscriptions,
            "Replace the list of subscriptions, at every central.",
        )
        .body::<SubscriptionsRequest>()
        .answers::<SubscriptionsSet>("They are in force here")
        .refuses(DECIDED)
        .refuses(&[Code::StaleVersion, Code::StaleList, Code::Busy]),
        post("/api/subscriptions/restore", Need::Administer, restore, "Bring subscriptions back that a PUT removed.")
            .body::<RestoreRequest>()
            .answers::<SubscriptionsSet>("They are in force here again")
            .refuses(DECIDED)
            .refuses(&[Code::StaleList, Code::Busy]),
    ]
}

/// Without a version, what was added or changed so lately is not removed.
const FRESH_MS: i64 = 10 * 60 * 1000;
/// Changes in one transaction: some 10 ms of the writer.
const CHANGES_AT_ONCE: usize = 200;
/// The list may change so often while one is being saved.
const MAX_TRIES: usize = 20;
/// Most entries of each kind in the difference of a refusal.
const MAX_SHOWN: usize = 100;

/// What was last written as JSON, and of which settings it is.
pub type Written = tokio::sync::Mutex<Option<(Arc<SharedSettings>, Bytes)>>;

/// The subscriptions in force here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscriptions {
    subscriptions: Vec<Subscription>,
    /// Other after every change; a PUT that sends it back is refused if somebody else saved meanwhile.
    version: String,
    #[schema(pattern = "^event$")]
    source: &'static str,
}

/// All subscriptions there shall be.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SubscriptionsRequest {
    #[schema(required, nullable = false, value_type = Vec<Subscription>)]
    subscriptions: Option<Value>,
    /// As GET gave it with the list that was changed. Without it the list is refused if it would remove what is newer than ten
    /// minutes.
    version: Option<String>,
}

/// Subscriptions that shall be there again.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RestoreRequest {
    /// As `removed` of a PUT named them.
    #[schema(required, nullable = false, value_type = Vec<Subscription>)]
    subscriptions: Option<Value>,
}

/// The subscriptions are in force here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionsSet {
    message: String,
    /// How many differ from before; each is an event.
    changed: usize,
    /// Those that are not in force any more. `POST /api/subscriptions/restore` with this list brings them back.
    removed: Vec<Subscription>,
    /// Of the list as it is since.
    version: String,
}

/// `GET /api/subscriptions`
pub async fn subscriptions(worker: web::Data<Worker>) -> Answered {
    let bytes = written(&worker.shared).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(bytes))
}

/// The list as JSON: written once after a change, however many ask.
async fn written(shared: &Shared) -> Result<Bytes, ApiError> {
    let mut written = shared.subscriptions.lock().await;
    let settings = shared.held().settings.clone();
    if let Some((of, bytes)) = &*written
        && Arc::ptr_eq(of, &settings)
    {
        return Ok(bytes.clone());
    }
    let of = settings.clone();
    let bytes = beside(move || {
        serde_json::to_vec(&success(Subscriptions {
            subscriptions: settings.subscriptions().cloned().collect(),
            version: settings.subscriptions_version(),
            source: "event",
        }))
    });
    let bytes: Bytes = bytes.await?.map_err(|_| ApiError::internal())?.into();
    *written = Some((of, bytes.clone()));
    Ok(bytes)
}

/// `PUT /api/subscriptions`
pub async fn put_subscriptions(
    caller: Caller,
    Raw(bytes): Raw<{ SETTINGS_LIMIT_BYTES }>,
    worker: web::Data<Worker>,
) -> Answered {
    let read = move || {
        let sent: SubscriptionsRequest = input::parse(&bytes)?;
        Ok::<_, ApiError>((list_of(sent.subscriptions.as_ref())?, sent.version))
    };
    let (list, version) = beside(read).await??;
    let message = format!("Đã cập nhật {} thuê bao", list.len());
    let act = caller.act(Kind::Subscriptions, "");
    let list = Arc::new(list);
    let mut saved = SubscriptionsSet { message, changed: 0, removed: Vec::new(), version: String::new() };
    // As read, and then as this request left it.
    let mut read_at = version;
    for _ in 0..MAX_TRIES {
        let settings = worker.shared.held().settings.clone();
        let (wanted, held) = (list.clone(), settings.clone());
        let difference = beside(move || held.difference(&wanted)).await?;
        let changes = difference.changes();
        if !changes.is_empty() {
            may_save(&worker.shared, &settings, &difference, read_at.as_deref())?;
        }
        let (changed, version, stale) = change(&worker, settings.subscriptions_version(), &changes, &act).await?;
        saved.changed += changed;
        let set = difference.added.len() + difference.changed.len();
        let gone = difference.removed.iter().take(changed.saturating_sub(set)).map(|gone| Subscription::clone(gone));
        saved.removed.extend(gone);
        saved.version.clone_from(&version);
        if !stale {
            return Ok(ok(saved));
        }
        // Somebody else saved in between: what is left is worked out again, against what is held now.
        read_at = read_at.map(|_| version);
    }
    Err(ApiError::busy())
}

/// `POST /api/subscriptions/restore`
pub async fn restore(caller: Caller, Raw(bytes): Raw<{ SETTINGS_LIMIT_BYTES }>, worker: web::Data<Worker>) -> Answered {
    let read = move || {
        let sent: RestoreRequest = input::parse(&bytes)?;
        list_of(sent.subscriptions.as_ref())
    };
    let list = Arc::new(beside(read).await??);
    let message = format!("Đã khôi phục {} thuê bao", list.len());
    let act = caller.act(Kind::Subscriptions, "restore");
    let mut restored = 0;
    for _ in 0..MAX_TRIES {
        let settings = worker.shared.held().settings.clone();
        let (wanted, held) = (list.clone(), settings.clone());
        let mut difference = beside(move || held.difference(&wanted)).await?;
        difference.removed.clear();
        if !difference.changed.is_empty() {
            let message = "some of these are there again, with other values; nothing of them was changed";
            return Err(ApiError::new(Code::StaleList, message).with("difference", shown(&settings, &difference)));
        }
        let changes = difference.changes();
        let (changed, version, stale) = change(&worker, settings.subscriptions_version(), &changes, &act).await?;
        restored += changed;
        if !stale {
            let removed = Vec::new();
            return Ok(ok(SubscriptionsSet { message, changed: restored, removed, version }));
        }
    }
    Err(ApiError::busy())
}

fn list_of(sent: Option<&Value>) -> Result<Vec<Subscription>, ApiError> {
    let list = sent.filter(|list| list.is_array());
    let list = list.ok_or_else(|| ApiError::bad_field("subscriptions", "Subscriptions must be a list"))?;
    subscription::list_from_json(list).map_err(|problems| ApiError::bad_fields(&problems))
}

/// Whether the list may be saved over what is held.
fn may_save(
    shared: &Shared,
    settings: &SharedSettings,
    difference: &ListDifference,
    read_at: Option<&str>,
) -> Result<(), ApiError> {
    let held = settings.subscriptions_version();
    match read_at {
        Some(read_at) if read_at == held => Ok(()),
        Some(_) => {
            let message = "the list has changed since it was read; read it again, and put your changes on it";
            let refused = ApiError::new(Code::StaleVersion, message).with("version", held.into());
            Err(refused.with("difference", shown(settings, difference)))
        }
        None => {
            let since_ms = shared.clock.now_ms().saturating_sub(FRESH_MS);
            let fresh = |held: &&Arc<Subscription>| settings.is_set_since(&held.id, since_ms);
            let fresh: Vec<&Arc<Subscription>> = difference.removed.iter().filter(fresh).collect();
            if fresh.is_empty() {
                return Ok(());
            }
            let message = "the list would remove what was added or changed in the last ten minutes; read it again, or send the \
                           version it was read at";
            let named: Vec<&Subscription> = fresh.iter().take(MAX_SHOWN).map(|held| &***held).collect();
            let refused = ApiError::new(Code::StaleList, message).with("version", held.into());
            Err(refused.with("would_remove", json!(named)).with("difference", shown(settings, difference)))
        }
    }
}

/// What a sent list and what is held differ in, for the one who sent it.
fn shown(settings: &SharedSettings, difference: &ListDifference) -> Value {
    let list = |list: &[Arc<Subscription>]| json!(list.iter().take(MAX_SHOWN).map(|one| &**one).collect::<Vec<_>>());
    let differing = difference.changed.iter().take(MAX_SHOWN);
    let differing = differing.map(|sent| json!({ "sent": **sent, "held": settings.subscription(&sent.id) }));
    json!({
        "only_sent": list(&difference.added), "only_held": list(&difference.removed),
        "differing": differing.collect::<Vec<_>>(),
    })
}

/// Has these made, as long as nobody else changes the list. Tells how many were made, the version after them, and whether
/// somebody else came in between.
async fn change(
    worker: &Worker,
    mut version: String,
    changes: &[SubscriptionChange],
    act: &Act,
) -> Result<(usize, String, bool), ApiError> {
    let mut made = 0;
    for some in changes.chunks(CHANGES_AT_ONCE) {
        let job = Job::ChangeSubscriptions(some.to_vec()).audited(act.clone());
        match decide_or_refuse(worker, job.if_version(SettingKind::Subscription, Some(version.clone()))).await? {
            Ok(Answer::SubscriptionsSet { changed, version: after }) => {
                made += changed;
                version = after;
            }
            Err(Refusal::StaleVersion) => return Ok((made, version, true)),
            Err(refusal) => return Err(ApiError::refused(refusal, &worker.zone())),
            Ok(_) => return Err(ApiError::internal()),
        }
    }
    Ok((made, version, false))
}

/// Runs it on a thread that may be busy for a while: on a worker's own it would hold up the gates it serves.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    web::block(work).await.map_err(|_| ApiError::internal())
}
