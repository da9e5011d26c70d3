//! Every refusal of the program as an HTTP answer, and the stable codes: each with the status it comes with and what it means.
//!
//! Body: `{"success": false, "error": "<for people>", "code": "<stable>"}`, sometimes with more fields. Programs decide by the
//! codes, so their list only grows; the answers, the OpenAPI document and docs/http-api.md go by it. Causes that concern only us
//! go to the log, never to a client.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use super::view::Vehicle;
use crate::access::accounts::Unchanged;
use crate::access::right::Denied;
use crate::actors::db_reader::ReadError;
use crate::desks::doorkeeper::LoginRefused;
use crate::domain::problem::FieldProblem;
use crate::domain::time::SiteZone;
use crate::ledger::job::{Refusal, VehicleInfo};

/// When a client that was turned away may try again, in s.
const RETRY_SOON_S: u64 = 1;

/// An answer that is not a success.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: Code,
    message: String,
    retry_after_s: Option<u64>,
    allow: Option<String>,
    more: Map<String, Value>,
}

impl ApiError {
    /// Of that code, and so with its status. `message`: for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_s: None, allow: None, more: Map::new() }
    }

    /// 400, naming the field that is wrong.
    pub fn bad_field(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Code::InvalidField, format!("{field}: {problem}")).with("field", field.into())
    }

    /// 400: one or more fields are wrong, each named with what is wrong in both languages.
    pub fn bad_fields(problems: &[FieldProblem]) -> Self {
        let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let field = problems.first().map(|problem| problem.field.clone());
        Self::new(Code::InvalidField, message).with("field", field.into()).with("problems", json!(problems))
    }

    /// 400: a plain request for a socket.
    pub fn not_a_websocket() -> Self {
        Self::new(Code::NotAWebsocket, "this address is a WebSocket")
    }

    /// 401 or 403: the caller may not do this.
    pub fn denied(why: Denied) -> Self {
        let (code, message) = match why {
            Denied::LoginNeeded => {
                (Code::LoginRequired, "log in on the page, or send a token: Authorization: Bearer …")
            }
            Denied::KeyNeeded => (
                Code::EdgeKeyRequired,
                "send the key of this edge: X-Edge-Key: … (the settings page makes it), or log in on the page",
            ),
            Denied::NotAllowed => (Code::Forbidden, "this role may not do that: ask a shift lead or an administrator"),
            Denied::LocalOnly => (
                Code::LocalOnly,
                "security.admin is \"open\": this can be done from the machine itself only, or set it to \"password\" there",
            ),
        };
        Self::new(code, message)
    }

    /// 403: an edge speaks as another one.
    pub fn other_edge(edge_id: &str) -> Self {
        let message = format!("this key is not that of edge {edge_id}: an edge may act only as itself");
        Self::new(Code::OtherEdge, message)
    }

    /// 403: a page of another site wants something from here.
    pub fn foreign_page() -> Self {
        let message = "this came from a page of another site; only this central's own pages may do it in a browser";
        Self::new(Code::ForeignPage, message)
    }

    /// 403: called by a name that is not known to be this central's.
    pub fn unknown_host() -> Self {
        let message = "this central is not known by that name: use its address, or add the name to security.host_names";
        Self::new(Code::UnknownHost, message)
    }

    /// 429. `wait_ms`: how long to wait.
    pub fn too_many(code: Code, message: &str, wait_ms: u64) -> Self {
        let mut error = Self::new(code, message);
        error.retry_after_s = Some(wait_ms.div_ceil(1_000).max(1));
        error
    }

    /// What the doorkeeper refused.
    pub fn not_entered(refused: LoginRefused) -> Self {
        match refused {
            LoginRefused::Wait(wait_ms) => {
                let message = "too many wrong attempts; wait as long as Retry-After says, then try again";
                Self::too_many(Code::TooManyAttempts, message, wait_ms)
            }
            LoginRefused::Busy => {
                Self::too_many(Code::TooManyAttempts, "many others log in right now; try again", 1_000)
            }
            LoginRefused::WrongLogin => Self::new(Code::WrongLogin, "wrong name or password"),
            LoginRefused::WrongCode => Self::new(
                Code::WrongCode,
                "this code is not (or no longer) good; `parkmesh new-code` on the machine makes another",
            ),
            LoginRefused::Unchanged(Unchanged::Field(problem)) => Self::bad_fields(&[problem]),
            LoginRefused::Unchanged(Unchanged::Exists) => Self::exists("there is one of this name already"),
            LoginRefused::Unchanged(Unchanged::Unknown) => Self::not_found("there is none of this name"),
            LoginRefused::Unchanged(Unchanged::LastAdministrator) => {
                Self::new(Code::LastAdministrator, "this is the last administrator; make another one first")
            }
            LoginRefused::Failed => Self::unavailable(
                Code::NotSaved,
                "people and tokens cannot be read or saved now; nothing was changed, the log says why",
            ),
        }
    }

    /// 404 for a path nobody serves.
    pub fn no_such_path() -> Self {
        Self::new(Code::NotFound, "there is nothing at this address")
    }

    /// 404 for a thing that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// 405. `allow`: what the path takes, `GET, PUT`.
    pub fn wrong_method(allow: String) -> Self {
        let mut error = Self::new(Code::MethodNotAllowed, format!("this address takes {allow}"));
        error.allow = Some(allow);
        error
    }

    /// 408: the body did not arrive in time.
    pub fn body_too_slow() -> Self {
        Self::new(Code::RequestTimeout, "the request body did not arrive in time")
    }

    /// 409: the settings were changed by somebody else since they were read.
    pub fn stale_settings(current: &str) -> Self {
        let message = "the settings have changed since they were read; read them again";
        Self::new(Code::StaleVersion, message).with("version", current.into())
    }

    /// 409: what should be created is there already.
    pub fn exists(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// 413.
    pub fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the request body is larger than {limit_bytes} bytes");
        Self::new(Code::TooLarge, message)
    }

    /// 415.
    pub fn not_json(declared: Option<&str>) -> Self {
        let message = "send the body with Content-Type: application/json";
        let declared = declared.map_or_else(|| "none is declared".to_owned(), |declared| format!("not {declared:?}"));
        Self::new(Code::UnsupportedMediaType, format!("{message}, as one JSON object ({declared})"))
    }

    /// 500: our fault; the cause is in the log.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "this central failed; its log says why")
    }

    /// 503: the bound on requests in flight is reached.
    pub fn busy() -> Self {
        Self::unavailable(Code::Busy, "too many requests at once; try again")
    }

    /// 503: it may or may not have happened; the same request id finds out.
    pub fn unknown_outcome() -> Self {
        Self::unavailable(Code::NotDurable, "no answer from the database in time; repeat with the same request_id")
    }

    /// 503: the central is on its way down.
    pub fn stopping() -> Self {
        Self::unavailable(Code::Stopping, "this central is stopping")
    }

    /// 503: nothing can be committed now.
    pub fn not_durable() -> Self {
        Self::unavailable(Code::NotDurable, "nothing can be saved now; try again")
    }

    /// 503: the settings file cannot be written; nothing was changed.
    pub fn settings_not_saved() -> Self {
        Self::unavailable(Code::NotSaved, "the settings file cannot be written; nothing was changed, the log says why")
    }

    fn unavailable(code: Code, message: &str) -> Self {
        let mut error = Self::new(code, message);
        error.retry_after_s = Some(RETRY_SOON_S);
        error
    }

    /// A refusal of the ledger. `zone`: of the times shown.
    pub fn refused(refusal: Refusal, zone: &SiteZone) -> Self {
        let message = refusal.to_string();
        let with_vehicle = |code, info: &VehicleInfo| {
            Self::new(code, refusal.to_string()).with("vehicle_info", json!(Vehicle::new(info, None, zone)))
        };
        match &refusal {
            Refusal::AlreadyInside(info) => with_vehicle(Code::AlreadyInside, info),
            Refusal::NotInside(info) => with_vehicle(Code::NotInside, info),
            Refusal::OtherType { vehicle, told_inside } => {
                with_vehicle(Code::OtherType, vehicle).with("type_inside", told_inside.as_str().into())
            }
            Refusal::JustEntered { vehicle, retry_after_s } => {
                let mut error = with_vehicle(Code::JustEntered, vehicle);
                error.retry_after_s = Some(*retry_after_s);
                error
            }
            Refusal::LongStay(info) => with_vehicle(Code::LongStay, info),
            Refusal::RequestIdReused => Self::new(Code::RequestIdReused, message),
            Refusal::PaymentOfAnotherStay { .. } | Refusal::ReferenceOfMany(_) => {
                Self::new(Code::ReferenceReused, message)
            }
            Refusal::UnknownPayment(_) => Self::not_found(message),
            Refusal::UnknownStay(_) => Self::not_found(message),
            Refusal::Unchanged => Self::new(Code::Unchanged, message),
            Refusal::StaleVersion => Self::new(Code::StaleVersion, message),
            Refusal::AlreadyVoid => Self::new(Code::AlreadyVoid, message),
            Refusal::ShiftOpen { id, person } => Self::new(Code::ShiftOpen, message)
                .with("shift", id.as_str().into())
                .with("person", person.as_str().into()),
            Refusal::UnknownShift(_) => Self::not_found(message),
            Refusal::ShiftClosed { id } => Self::new(Code::ShiftClosed, message).with("shift", id.as_str().into()),
            Refusal::OthersShift { .. } => Self::new(Code::Forbidden, message),
            Refusal::ShiftElsewhere { central } => {
                Self::new(Code::ShiftElsewhere, message).with("central", central.as_str().into())
            }
            Refusal::OtherEdge { .. } => Self::new(Code::OtherEdge, message),
            Refusal::Invalid(_) => Self::new(Code::Invalid, message),
            Refusal::Field { field, problem } => Self::bad_field(field, problem),
            // The writer has logged why.
            Refusal::NotDurable(_) => Self::not_durable(),
            // Answers to links, never to edges.
            Refusal::OutOfOrder { .. } | Refusal::BrokenChain { .. } | Refusal::NotItsAuthor { .. } => Self::internal(),
        }
    }

    /// One more field of the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The body of the answer.
    pub fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("success".into(), false.into());
        body.insert("error".into(), self.message.clone().into());
        body.insert("code".into(), self.code.name().into());
        body.extend(self.more.clone());
        body
    }

    /// Sent again it will be refused again.
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.code.status())
    }

    pub fn code(&self) -> &'static str {
        self.code.name()
    }
}

/// The log says why a read failed.
impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy => Self::busy(),
            ReadError::Failed => Self::internal(),
            ReadError::Remaking { done, total } => Self::unavailable(Code::Remaking, &error.to_string())
                .with("done", done.into())
                .with("total", total.into()),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            answer.insert_header((header::ALLOW, allow));
        }
        if self.code == Code::Stopping {
            answer.force_close();
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            answer.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        answer.json(Value::Object(self.body()))
    }
}

/// Declares the codes, each once.
macro_rules! codes {
    ($($code:ident = $status:literal $name:literal, $meaning:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The HTTP status it comes with; always the same one.
            pub fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// The text in `code`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// When it is answered, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidJson = 400 "invalid_json", "the body is not JSON";
    InvalidBody = 400 "invalid_body", "the body is JSON of another shape";
    BrokenBody = 400 "broken_body", "the connection broke off in the body";
    InvalidField = 400 "invalid_field", "a field is wrong: `field` names it, `problems` all that are where several were checked";
    Invalid = 400 "invalid", "the request makes no sense as a whole";
    InvalidQuery = 400 "invalid_query", "the query cannot be read";
    NotAWebsocket = 400 "not_a_websocket", "a plain request for a WebSocket";
    PeerUnreachable = 400 "peer_unreachable", "the test of a link failed: `steps` says where";
    LoginRequired = 401 "login_required", "this needs a login or a token";
    EdgeKeyRequired = 401 "edge_key_required", "this needs the key of an edge, a login or a token";
    WrongLogin = 401 "wrong_login", "wrong name or password";
    WrongCode = 401 "wrong_code", "the one-time code is not good (any more)";
    Forbidden = 403 "forbidden", "who calls is known, and may not do this";
    LocalOnly = 403 "local_only", "with `security.admin` `open` this is done at the machine itself only";
    OtherEdge = 403 "other_edge", "the key is that of another edge";
    ForeignPage = 403 "foreign_page", "a page of another site tries to change something or to open a socket";
    UnknownHost = 403 "unknown_host", "the header `Host` names what this central is not known by";
    NotAPeer = 403 "not_a_peer", "a central says it is a peer; a person has to add it here";
    NotFound = 404 "not_found", "no such address, peer, stay, person or token";
    MethodNotAllowed = 405 "method_not_allowed", "another method; header `Allow` says which";
    RequestTimeout = 408 "request_timeout", "the body took longer than 10 s";
    AlreadyInside = 409 "already_inside", "an entry of a car that is inside";
    OtherType = 409 "other_type", "an entry with the characters of a vehicle of another type that is inside: look before forcing";
    NotInside = 409 "not_inside", "an exit of a car that is not inside";
    JustEntered = 409 "just_entered", "by state, a car whose entry was committed less than 1 s ago, or told by a program less than 10 s ago, is not let out";
    LongStay = 409 "long_stay", "inside for more than 7 days: a person has to look, and to force";
    RequestIdReused = 409 "request_id_reused", "this request id belongs to another request";
    ReferenceReused = 409 "reference_reused", "this payment is held for another stay, or its reference came with hundreds of others";
    Unchanged = 409 "unchanged", "the correction says what is already so";
    AlreadyVoid = 409 "already_void", "the stay was removed before";
    ShiftOpen = 409 "shift_open", "somebody has a shift open at this gate: `shift` and `person` say which";
    ShiftClosed = 409 "shift_closed", "the shift was closed before";
    ShiftElsewhere = 409 "shift_elsewhere", "the shift is at a gate of another central, `central`: it is closed there";
    StaleVersion = 409 "stale_version", "the settings, the tariff or the list changed since they were read";
    StaleList = 409 "stale_list", "the list would remove subscriptions that were added or changed a moment ago, or restores some that are there again";
    AlreadyExists = 409 "already_exists", "the peer, person or token is there already";
    InvitationRefused = 409 "invitation_refused", "the invitation cannot be used: the sentence says why";
    OtherSite = 409 "other_site", "the central belongs to another site, so it is not linked here";
    BackupOff = 409 "backup_off", "the settings name no directory for backups";
    NeverMet = 409 "never_met", "the peer has not shown a certificate yet, so there is nothing to expel";
    LastAdministrator = 409 "last_administrator", "nobody could administer this central afterwards";
    TooLarge = 413 "too_large", "the body is larger than is taken here";
    UnsupportedMediaType = 415 "unsupported_media_type", "the body is not declared as JSON";
    TooManyAttempts = 429 "too_many_attempts", "too many wrong logins or codes, or others log in right now";
    TooManyRequests = 429 "too_many_requests", "more requests than this address or edge is granted; nothing happened";
    Internal = 500 "internal", "our fault; the log says why";
    NotDurable = 503 "not_durable", "nothing can be committed now; what was asked may or may not have happened";
    Busy = 503 "busy", "too many requests at once; nothing happened";
    Remaking = 503 "remaking", "what was asked for is being made anew from the events, of which `done` of `total` are taken; ask again";
    NotSaved = 503 "not_saved", "the file of the settings or of the accounts cannot be written; nothing was changed";
    Stopping = 503 "stopping", "this central is stopping; nothing happened";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_unavailability_says_when_to_come_back() {
        for error in [ApiError::busy(), ApiError::unknown_outcome(), ApiError::stopping(), ApiError::not_durable()] {
            let answer = error.error_response();
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers().get(header::RETRY_AFTER).unwrap(), "1");
        }
    }

    #[test]
    fn refusals_have_their_status_and_stable_code() {
        let zone = SiteZone::default();
        for (refusal, status, code) in [
            (Refusal::RequestIdReused, 409, "request_id_reused"),
            (Refusal::PaymentOfAnotherStay { fact: "f".into(), told: "s".into() }, 409, "reference_reused"),
            (Refusal::ReferenceOfMany("r".into()), 409, "reference_reused"),
            (Refusal::UnknownPayment("x".into()), 404, "not_found"),
            (Refusal::UnknownStay("x".into()), 404, "not_found"),
            (Refusal::Unchanged, 409, "unchanged"),
            (Refusal::AlreadyVoid, 409, "already_void"),
            (Refusal::OtherEdge { central: "c".into(), edge_id: "e".into() }, 403, "other_edge"),
            (Refusal::Invalid("x".into()), 400, "invalid"),
            (Refusal::Field { field: "plate_id", problem: "x".into() }, 400, "invalid_field"),
            (Refusal::NotDurable("secret path".into()), 503, "not_durable"),
        ] {
            let error = ApiError::refused(refusal, &zone);
            assert_eq!((error.status_code().as_u16(), error.code()), (status, code));
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn every_code_has_a_name_of_its_own_and_stands_in_the_document_with_its_status() {
        let document = include_str!("../../docs/http-api.md");
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let row = format!("| {} |", code.status());
            let stands =
                document.lines().any(|line| line.starts_with(&row) && line.contains(&format!("`{}`", code.name())));
            assert!(stands, "`{}` in a row `{row}` of docs/http-api.md", code.name());
        }
    }
}
