//! Logging in and out, people, tokens, and the keys of edges: `/api/access/…`.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::{Caller, cookie_name, from, is_about, modes, session};
use super::error::{ApiError, Code};
use super::input::Sent;
use super::operation::{Answered, Operation, delete, get, ok, post, put, success};
use super::p2p::change;
use super::state::{Shared, Worker};
use crate::access::accounts;
use crate::access::people::{Changed, Overruled};
use crate::access::right::{Need, Role, Who};
use crate::access::sessions::LONGEST_MS;
use crate::config::change::Edit;
use crate::config::model::{AdminMode, EdgesMode, P2pMode, PeopleMode, ReadsMode};
use crate::desks::doorkeeper::{Doorkeeper, LoginRefused, NewSession};
use crate::desks::people_desk::WhyNotKnown;
use crate::domain::audit::{Act, Kind};
use crate::domain::ids::CentralId;
use crate::vault::secret;

/// What follows from a name or password that is typed.
const OF_A_GUESS: &[Code] = &[Code::TooManyAttempts, Code::InvalidField];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/access", Need::Nothing, whoami, "Who the caller is, and how this central is set.")
            .answers::<Me>("The caller"),
        post("/api/access/login", Need::Nothing, login, "Log in.")
            .body::<LoginRequest>()
            .answers::<LoggedIn>("Logged in; the session is in a cookie")
            .refuses(OF_A_GUESS)
            .refuses(&[Code::WrongLogin, Code::NotSaved]),
        post("/api/access/logout", Need::Nothing, logout, "Log out.").answers::<Done>("Logged out"),
        post(
            "/api/access/code",
            Need::Nothing,
            use_code,
            "Set the password of an administrator with a one-time code, and log in.",
        )
        .body::<CodeRequest>()
        .answers::<LoggedIn>("Logged in; the session is in a cookie")
        .refuses(OF_A_GUESS)
        .refuses(&[Code::WrongCode, Code::NotSaved]),
        put("/api/access/password", Need::Login, put_own_password, "Change the own password.")
            .body::<OwnPasswordRequest>()
            .answers::<PasswordChanged>("Changed")
            .refuses(OF_A_GUESS)
            .refuses(&[Code::WrongLogin, Code::Invalid, Code::NotSaved, Code::NotFound]),
        get("/api/access/people", Need::Administer, people, "Who can log in.").answers::<People>("All of them"),
        post("/api/access/people", Need::Administer, add_person, "Add a person.")
            .body::<PersonRequest>()
            .answers_with::<Done>(201, "Added")
            .refuses(OF_A_GUESS)
            .refuses(&[Code::AlreadyExists, Code::NotSaved]),
        put(
            "/api/access/people/{name}",
            Need::Administer,
            change_person,
            "Change the role or the password of a person.",
        )
        .body::<PersonChange>()
        .answers::<Done>("Changed")
        .refuses(OF_A_GUESS)
        .refuses(&[Code::NotFound, Code::LastAdministrator, Code::NotSaved]),
        delete(
            "/api/access/people/{name}",
            Need::Administer,
            remove_person,
            "Remove a person, and the tokens that person made.",
        )
        .answers::<PersonRemoved>("Removed")
        .refuses(&[Code::NotFound, Code::LastAdministrator, Code::NotSaved]),
        get("/api/access/tokens", Need::Administer, tokens, "The tokens of programs.")
            .answers::<Tokens>("All of them, without the tokens"),
        post("/api/access/tokens", Need::Administer, make_token, "Make a token.")
            .body::<TokenRequest>()
            .answers_with::<TokenMade>(201, "Made; this is the only time it is shown")
            .refuses(&[Code::InvalidField, Code::AlreadyExists, Code::NotSaved]),
        delete("/api/access/tokens/{name}", Need::Administer, revoke_token, "Revoke a token, and those made with it.")
            .answers::<TokenRevoked>("Revoked")
            .refuses(&[Code::NotFound, Code::NotSaved]),
        post(
            "/api/access/edges/{edge_id}/key",
            Need::Administer,
            renew_edge_key,
            "Make a key of an edge, in the place of an older one.",
        )
        .answers_with::<KeyMade>(201, "Made; this is the only time it is shown")
        .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
        delete("/api/access/edges/{edge_id}/key", Need::Administer, revoke_edge_key, "Revoke the key of an edge.")
            .answers::<Done>("Revoked")
            .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
    ]
}

/// A browser that was logged in is known for 30 days, unless the central restarts.
const DEVICE_S: u64 = 30 * 24 * 3_600;

/// The caller, and how this central is set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// Null: nobody.
    name: Option<String>,
    role: Option<Role>,
    /// `nobody`, `person`, `token`, `edge`.
    kind: &'static str,
    needs_first_password: bool,
    /// Correct and remove stays.
    may_amend: bool,
    may_administer: bool,
    security: SecurityModes,
}

/// Who has to prove who he is: the settings of the same names.
#[derive(Debug, Serialize, ToSchema)]
struct SecurityModes {
    p2p: P2pMode,
    edges: EdgesMode,
    admin: AdminMode,
    reads: ReadsMode,
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// `GET /api/access`: who the caller is, and how this central is set.
pub async fn whoami(caller: Caller, worker: web::Data<Worker>) -> HttpResponse {
    let shared = &worker.shared;
    let config = shared.config();
    let modes = modes(&config);
    let (name, kind) = match &caller.who {
        Who::Nobody => (None, "nobody"),
        Who::Edge(id) => (Some(id.clone()), "edge"),
        Who::Person { name, .. } => (Some(name.clone()), "person"),
        Who::Token { name, .. } => (Some(name.clone()), "token"),
    };
    let security = &config.security;
    let me = Me {
        name,
        role: caller.who.role(),
        kind,
        needs_first_password: modes.admin_password && shared.door.lacks_administrator(),
        may_amend: caller.check(Need::Amend).is_ok(),
        may_administer: caller.check(Need::Administer).is_ok(),
        security: SecurityModes {
            p2p: security.p2p,
            edges: security.edges,
            admin: security.admin,
            reads: security.reads,
        },
    };
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(success(me))
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    name: String,
    password: String,
}

/// `POST /api/access/login`
pub async fn login(request: HttpRequest, Sent(sent): Sent<LoginRequest>, worker: web::Data<Worker>) -> Answered {
    let from = from(&request, &worker.shared.config.borrow());
    let known = worker.shared.door.accounts().person(&sent.name).map(|person| person.name.clone());
    is_about(&request, known.as_deref().unwrap_or("an unknown name"));
    let device = session(request.headers(), &device_cookie_name(&worker)).map(str::to_owned);
    let log_in = move |door: &Doorkeeper| door.log_in(&sent.name, &sent.password, device.as_deref(), from);
    let entered = ask(&worker.shared, log_in).await?;
    Ok(entered_answer(&worker, &entered))
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct CodeRequest {
    code: String,
    name: String,
    password: String,
}

/// `POST /api/access/code`: the first administrator, or a forgotten password.
pub async fn use_code(request: HttpRequest, Sent(sent): Sent<CodeRequest>, worker: web::Data<Worker>) -> Answered {
    let from = from(&request, &worker.shared.config.borrow());
    let entered = ask(&worker.shared, move |door| door.use_code(&sent.code, &sent.name, &sent.password, from)).await?;
    Ok(entered_answer(&worker, &entered))
}

/// `POST /api/access/logout`. Logging out twice is no error.
pub async fn logout(request: HttpRequest, caller: Caller, worker: web::Data<Worker>) -> HttpResponse {
    let name = cookie_name(&worker.shared.config(), worker.secured);
    if let Some(session) = session(request.headers(), &name) {
        worker.shared.door.log_out(session);
        if caller.who.person().is_some() {
            worker.shared.audit.note(caller.act(Kind::Logout, ""));
        }
    }
    HttpResponse::Ok().insert_header((SET_COOKIE, cookie(worker.secured, &name, "", 0))).json(success(Done {}))
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct OwnPasswordRequest {
    old: String,
    new: String,
}

/// `PUT /api/access/password`: of the person who is logged in.
pub async fn put_own_password(
    request: HttpRequest,
    caller: Caller,
    Sent(sent): Sent<OwnPasswordRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let Some(name) = caller.who.person().map(str::to_owned) else {
        return Err(ApiError::new(Code::Invalid, "a token has no password"));
    };
    let kept = session(request.headers(), &cookie_name(&worker.shared.config(), worker.secured)).map(str::to_owned);
    let from = caller.from;
    let change =
        move |door: &Doorkeeper| door.change_own_password(&name, (&sent.old, &sent.new), kept.as_deref(), from);
    let tokens_kept = ask(&worker.shared, change).await?;
    Ok(ok(PasswordChanged { tokens_kept }))
}

/// The password is another one, and all other sessions have ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PasswordChanged {
    /// The names of the tokens that person made: programs use them, so they stay good until they are revoked.
    tokens_kept: Vec<String>,
}

/// Who can log in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct People {
    people: Vec<PersonShown>,
    /// Where they are known: `security.people`.
    known: PeopleMode,
    /// With `site`: the centrals that may not know all of it.
    not_known_at: Vec<NotKnownAt>,
    /// Changes that did not count, as another was made at another central without knowing of it; since the start, the latest last.
    overruled: Vec<OverruledShown>,
}

/// A central that may not know who can log in.
#[derive(Debug, Serialize, ToSchema)]
struct NotKnownAt {
    #[schema(value_type = String)]
    central: CentralId,
    /// `unconfirmed`: its fingerprint is not confirmed here; `silent`: it is not linked, keeps its people to itself, has not confirmed this
    /// one, or is of an older version; `behind`: the last change is on its way.
    why: &'static str,
}

/// A change of a person that did not count, and the one that does.
#[derive(Debug, Serialize, ToSchema)]
struct OverruledShown {
    name: String,
    lost: ChangeShown,
    counts: ChangeShown,
}

/// Who changed something of a person, where and when.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeShown {
    /// As in the audit.
    by: String,
    /// Null: an older version did not write it down.
    #[schema(value_type = Option<String>)]
    central: Option<CentralId>,
    /// Unix ms.
    at_ms: i64,
}

/// Somebody who can log in.
#[derive(Debug, Serialize, ToSchema)]
struct PersonShown {
    name: String,
    role: Role,
    /// When the password was last set, Unix ms.
    set_ms: i64,
    /// The person or token (`token:NAME`) that added this one; null: a one-time code, or not written down.
    made_by: Option<String>,
}

/// `GET /api/access/people`
pub async fn people(worker: web::Data<Worker>) -> HttpResponse {
    let accounts = worker.shared.door.accounts();
    let shown = |one: &accounts::Person| PersonShown {
        name: one.name.clone(),
        role: one.role,
        set_ms: one.set_ms,
        made_by: one.made_by.clone(),
    };
    let change = |changed: Changed| ChangeShown { by: changed.by, central: changed.central, at_ms: changed.at_ms };
    let overruled =
        |one: Overruled| OverruledShown { name: one.name, lost: change(one.lost), counts: change(one.counts) };
    let not_known = |(central, why): (CentralId, WhyNotKnown)| NotKnownAt { central, why: why.name() };
    ok(People {
        people: accounts.people.iter().map(shown).collect(),
        known: worker.shared.config().security.people,
        not_known_at: worker.shared.people.not_known_at().into_iter().map(not_known).collect(),
        overruled: worker.shared.door.overruled().into_iter().map(overruled).collect(),
    })
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct PersonRequest {
    name: String,
    role: Role,
    password: String,
}

/// `POST /api/access/people`
pub async fn add_person(caller: Caller, Sent(sent): Sent<PersonRequest>, worker: web::Data<Worker>) -> Answered {
    let by = caller.by();
    ask(&worker.shared, move |door| door.add_person(&by, &sent.name, sent.role, &sent.password)).await?;
    Ok(HttpResponse::Created().json(success(Done {})))
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct PersonChange {
    role: Option<Role>,
    password: Option<String>,
}

/// `PUT /api/access/people/{name}`
pub async fn change_person(
    caller: Caller,
    Sent(sent): Sent<PersonChange>,
    name: web::Path<String>,
    worker: web::Data<Worker>,
) -> Answered {
    let by = caller.by();
    ask(&worker.shared, move |door| door.change_person(&by, &name, sent.role, sent.password.as_deref())).await?;
    Ok(ok(Done {}))
}

/// `DELETE /api/access/people/{name}`
pub async fn remove_person(caller: Caller, name: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let by = caller.by();
    let (_, ended) = ask(&worker.shared, move |door| door.remove_person(&by, &name)).await?;
    let tokens_ended = ended.into_iter().map(|token| token.name).collect();
    Ok(ok(PersonRemoved { tokens_ended }))
}

/// Somebody is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonRemoved {
    /// The names of the tokens that person had made, and of those made with them: they are good no more.
    tokens_ended: Vec<String>,
}

/// The tokens of programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tokens {
    tokens: Vec<TokenShown>,
}

/// A token, without what it is shown as.
#[derive(Debug, Serialize, ToSchema)]
struct TokenShown {
    name: String,
    role: Role,
    /// When and by whom it was made; Unix ms.
    made_ms: i64,
    made_by: String,
    /// When it was last used, Unix ms; null: never.
    used_ms: Option<i64>,
}

/// A new token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenMade {
    /// In clear, this once.
    token: String,
}

/// `GET /api/access/tokens`
pub async fn tokens(worker: web::Data<Worker>) -> HttpResponse {
    let shown = |token: accounts::Token| TokenShown {
        name: token.name,
        role: token.role,
        made_ms: token.made_ms,
        made_by: token.made_by,
        used_ms: token.used_ms,
    };
    let tokens = worker.shared.door.tokens().into_iter().map(shown).collect();
    ok(Tokens { tokens })
}

/// As sent.
#[derive(Deserialize, ToSchema)]
pub struct TokenRequest {
    name: String,
    role: Role,
}

/// `POST /api/access/tokens`: the token in clear, this once.
pub async fn make_token(caller: Caller, Sent(sent): Sent<TokenRequest>, worker: web::Data<Worker>) -> Answered {
    let by = caller.by();
    let token = ask(&worker.shared, move |door| door.make_token(&by, &sent.name, sent.role)).await?;
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(success(TokenMade { token })))
}

/// `DELETE /api/access/tokens/{name}`
pub async fn revoke_token(caller: Caller, name: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let by = caller.by();
    let revoked = ask(&worker.shared, move |door| door.revoke_token(&by, &name)).await?;
    let answer = TokenRevoked { tokens_ended: revoked.tokens, people_added: revoked.people };
    Ok(ok(answer))
}

/// A token is good no more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenRevoked {
    /// Its name, and those of the tokens made with it: these ended too.
    tokens_ended: Vec<String>,
    /// Who was added with one of these. They can still log in: remove whom you do not know.
    people_added: Vec<String>,
}

/// Has the doorkeeper do what takes long, on a thread that may block.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Doorkeeper) -> Result<T, LoginRefused> + Send + 'static,
) -> Result<T, ApiError> {
    let door = shared.door.clone();
    let asked = web::block(move || question(&door)).await;
    asked.map_err(|_| ApiError::internal())?.map_err(ApiError::not_entered)
}

/// Somebody logged in; the session is in a cookie.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedIn {
    name: String,
    role: Role,
}

fn entered_answer(worker: &Worker, entered: &NewSession) -> HttpResponse {
    let name = cookie_name(&worker.shared.config(), worker.secured);
    let cookie = cookie(worker.secured, &name, &entered.session, LONGEST_MS / 1_000);
    let device = self::cookie(worker.secured, &device_cookie_name(worker), &entered.device, DEVICE_S);
    let answer = LoggedIn { name: entered.person.name.clone(), role: entered.person.role };
    let mut response = HttpResponse::Ok();
    response.append_header((SET_COOKIE, cookie)).append_header((SET_COOKIE, device));
    response.insert_header((CACHE_CONTROL, "no-store")).json(success(answer))
}

/// What a browser is known by at its next login. It proves nothing: whoever shows it is only slowed by its own failures.
fn device_cookie_name(worker: &Worker) -> String {
    format!("{}-device", cookie_name(&worker.shared.config(), worker.secured))
}

/// No script reads it, no other site sends it, and over HTTPS it never leaves in clear.
fn cookie(secured: bool, name: &str, value: &str, max_age_s: u64) -> String {
    let secure = if secured { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}")
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyMade {
    edge_id: String,
    /// In clear, this once.
    key: String,
}

/// `POST /api/access/edges/{edge_id}/key`: a new key in the place of an older one, in clear, this once.
pub async fn renew_edge_key(caller: Caller, edge_id: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let act = caller.act(Kind::EdgeKey, &*edge_id);
    let key = secret::make(secret::SecretKind::EdgeKey).map_err(|_| ApiError::internal())?;
    set_edge_key(&worker, &edge_id, json!(secret::digest_text(&key)), act).await?;
    let answer = KeyMade { edge_id: edge_id.into_inner(), key };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(success(answer)))
}

/// `DELETE`: the edge has no key any more.
pub async fn revoke_edge_key(caller: Caller, edge_id: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let act = caller.act(Kind::EdgeKey, &*edge_id);
    set_edge_key(&worker, &edge_id, Value::Null, act).await?;
    Ok(ok(Done {}))
}

async fn set_edge_key(worker: &Worker, edge_id: &str, key_hash: Value, act: Act) -> Result<(), ApiError> {
    let config = worker.shared.config();
    if !config.edges.iter().any(|edge| edge.id == edge_id) {
        return Err(ApiError::not_found(format!("no edge {edge_id} in the settings; add it there first")));
    }
    let edges: Vec<Value> = config
        .edges
        .iter()
        .map(
            |edge| {
                if edge.id == edge_id { json!({"id": edge.id, "key_hash": key_hash}) } else { json!({"id": edge.id}) }
            },
        )
        .collect();
    // At the version just read: an edge that somebody adds meanwhile is not lost.
    change(&worker.shared, Edit::Put(json!({ "edges": edges })), Some(config.version()), act).await?;
    Ok(())
}
