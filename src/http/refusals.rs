//! Who was turned away, for the audit: whoever may not do what he asked for, and changes that were refused.
//!
//! What the state of the lot refuses at a gate is the day's work and not noted; nor is a page that is asked for wrongly.

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::{HttpMessage as _, HttpRequest, ResponseError as _};

use super::access::{Caller, caller_of, need_of};
use super::error::ApiError;
use super::routes::ROUTES;
use super::state::Shared;
use crate::access::right::Need;
use crate::domain::audit::Kind;

/// Whom or what a refused request was about, where its handler knows it. Never what somebody typed: people type their password in
/// the wrong field.
#[derive(Debug, Clone)]
struct About(String);

/// Says whom or what a request is about, should it be refused.
pub fn about(request: &HttpRequest, what: impl ToString) {
    request.extensions_mut().insert(About(what.to_string()));
}

/// Notes an answer if it is such a refusal. `route`: the pattern; what stands in its place may be a secret.
pub fn note<B>(answer: &ServiceResponse<B>, shared: &Shared, route: &str) {
    if answer.status().as_u16() < 400 {
        return;
    }
    let Some(error) = answer.response().error().and_then(|error| error.as_error::<ApiError>()) else { return };
    let request = answer.request();
    if is_denial(error) || changes(route, request.method()) {
        let about = request.extensions().get::<About>().map(|About(what)| format!(": {what}")).unwrap_or_default();
        note_as(&caller_of(request), &format!("{} {route}{about}", request.method()), error, shared);
    }
}

/// Notes that this was not for whom asked for it; over a socket, where there is no answer to look at.
pub fn note_denial(caller: &Caller, what: &str, error: &ApiError, shared: &Shared) {
    if is_denial(error) {
        note_as(caller, what, error, shared);
    }
}

fn note_as(caller: &Caller, what: &str, error: &ApiError, shared: &Shared) {
    shared.audit.note_refusal(caller.act(Kind::Refusal, what), error.code());
}

fn is_denial(error: &ApiError) -> bool {
    matches!(error.status_code().as_u16(), 401 | 403 | 429)
}

/// A call that changes what administrators and shift leads change.
fn changes(route: &str, method: &Method) -> bool {
    let needs = ROUTES.iter().find(|(pattern, _)| *pattern == route).map(|(_, needs)| needs);
    !matches!(*method, Method::GET | Method::HEAD)
        && needs.is_some_and(|needs| matches!(need_of(needs, method), Some(Need::Amend | Need::Administer)))
}
