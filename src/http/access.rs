//! The one place that enforces who may do what: around every route, with the needs that stand beside it in `routes.rs`.
//!
//! Who is turned away, and whose change is refused, is noted for the audit. What the state of the lot refuses at a gate is the
//! day's work and not noted; nor is a page that is asked for wrongly.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::Error;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, ResponseError as _, web};

use super::answers::Questioner;
use super::error::{ApiError, Code};
use super::routes::ROUTES;
use super::state::{Shared, Worker};
use crate::access::right::{Modes, Need, Who, decide, may_speak_as};
use crate::access::throttle::source_of;
use crate::config::model::{AdminMode, Config, EdgesMode, ReadsMode};
use crate::desks::doorkeeper::{LoginProof, Shown};
use crate::domain::audit::{Act, By, Kind};
use crate::ops::offences::Offence;

/// Another way for an edge to show its key.
static EDGE_KEY: HeaderName = HeaderName::from_static("x-edge-key");

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    pub who: Who,
    pub modes: Modes,
    pub from: IpAddr,
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::clone(&caller_of(request))))
    }
}

impl Caller {
    /// # Errors
    /// 401 or 403: the caller may not do what needs this.
    pub fn check(&self, need: Need) -> Result<(), ApiError> {
        decide(need, self.modes, &self.who, self.from.is_loopback()).map_err(ApiError::denied)
    }

    /// As the audit tells it.
    pub fn by(&self) -> By {
        By::new(&self.who, self.from)
    }

    /// What it does, for the audit.
    pub fn act(&self, kind: Kind, what: impl ToString) -> Act {
        Act::new(kind, self.by(), what)
    }

    /// It is an edge, and keys are in force.
    pub fn is_only_itself(&self) -> bool {
        self.modes.edge_keys && matches!(self.who, Who::Edge(_))
    }

    /// With keys an edge acts only as itself.
    ///
    /// # Errors
    /// 403 `other_edge`.
    pub fn check_edge(&self, edge_id: &str) -> Result<(), ApiError> {
        if may_speak_as(self.modes, &self.who, edge_id) { Ok(()) } else { Err(ApiError::other_edge(edge_id)) }
    }
}

/// What a socket was let in with, to be looked at again as long as it is open: sessions, tokens, keys and modes end meanwhile.
#[derive(Debug, Clone)]
pub struct Pass {
    proof: LoginProof,
    from: IpAddr,
}

impl Pass {
    pub fn of(request: &HttpRequest, worker: &Worker) -> Self {
        let config = worker.shared.config.borrow();
        let cookie = cookie_name(&config, worker.secured);
        Self { proof: shown(request.headers(), &cookie).proof(), from: from(request, &config) }
    }

    /// Who that is now.
    pub fn caller(&self, shared: &Shared) -> Caller {
        let config = shared.config.borrow();
        Caller { who: shared.door.who_still(&self.proof, &config), modes: modes(&config), from: self.from }
    }
}

/// Lets a request through to its handler, or not. `needs`: of the route, by method; a method that is not there is the
/// route's to refuse.
///
/// # Errors
/// None of its own: a refusal is an answer.
pub async fn enforce(
    needs: &'static [(&'static str, Need)],
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(need) = need_of(needs, request.method()) else { return next.call(request).await };
    let caller = caller_of(request.request());
    if let Err(refused) = caller.check(need) {
        return Ok(request.error_response(refused));
    }
    let answers = request.app_data::<web::Data<Worker>>().map(|worker| &worker.shared.rooms.answers);
    let Some(answers) = answers.filter(|_| is_page(need, request.method())) else { return next.call(request).await };
    let asking = Questioner::new(answers, caller.from, request.path());
    asking.responded(next.call(request)).await
}

/// What people and programs look at, which waits for its turn.
fn is_page(need: Need, method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && !matches!(need, Need::Nothing | Need::Gate)
}

pub(super) fn need_of(needs: &[(&'static str, Need)], method: &Method) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    needs.iter().find(|(name, _)| *name == method.as_str()).map(|(_, need)| *need)
}

/// Finds out who calls, for all that comes after.
pub fn identify(request: &HttpRequest, worker: &Worker) -> Rc<Caller> {
    let caller = Rc::new(caller(request, worker));
    request.extensions_mut().insert(caller.clone());
    caller
}

/// Who calls, as [`identify`] found out.
pub fn caller_of(request: &HttpRequest) -> Rc<Caller> {
    let known = request.extensions().get::<Rc<Caller>>().cloned();
    // Nobody asked: nobody.
    known.unwrap_or_else(|| {
        let modes = Modes { admin_password: true, edge_keys: true, reads_login: true };
        Rc::new(Caller { who: Who::Nobody, modes, from: ELSEWHERE })
    })
}

fn caller(request: &HttpRequest, worker: &Worker) -> Caller {
    let config = worker.shared.config.borrow();
    // Most calls of gates show nothing: nothing is looked up, or written down, for them.
    let cookie = request.headers().contains_key(header::COOKIE).then(|| cookie_name(&config, worker.secured));
    let shown = shown(request.headers(), cookie.as_deref().unwrap_or_default());
    let shows_nothing = shown.session.is_none() && shown.secret.is_none();
    let who = if shows_nothing { Who::Nobody } else { worker.shared.door.who(shown, &config) };
    Caller { who, modes: modes(&config), from: from(request, &config) }
}

pub fn modes(config: &Config) -> Modes {
    Modes {
        admin_password: config.security.admin == AdminMode::Password,
        edge_keys: config.security.edges == EdgesMode::Keys,
        reads_login: config.security.reads == ReadsMode::Login,
    }
}

/// Where a request at the API port comes from, also through a proxy.
pub fn from(request: &HttpRequest, config: &Config) -> IpAddr {
    forwarded_from(sender(request), request.headers(), &config.security.trusted_proxies)
}

/// Where a request comes from: at the API port as [`identify`] found out, elsewhere who opened the connection.
pub fn origin(request: &HttpRequest) -> IpAddr {
    let known = request.extensions().get::<Rc<Caller>>().map(|caller| caller.from);
    known.unwrap_or_else(|| sender(request))
}

/// Who opened the connection. Without an address (never over TCP) it is nobody's friend.
pub fn sender(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(ELSEWHERE, |address| address.ip().to_canonical())
}

/// Cookies know no ports: centrals on one address are told apart by their ids. Over HTTPS the name says to browsers that nobody
/// who speaks in clear, or as another host of the domain, may have set it.
pub fn cookie_name(config: &Config, secured: bool) -> String {
    let prefix = if secured { "__Host-" } else { "" };
    format!("{prefix}parkmesh-{}", config.this_central.id)
}

/// The session in a request's cookie.
pub fn session<'r>(headers: &'r HeaderMap, cookie_name: &str) -> Option<&'r str> {
    let cookies = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == cookie_name).map(|(_, value)| value)
}

fn shown<'r>(headers: &'r HeaderMap, cookie_name: &str) -> Shown<'r> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let key = headers.get(&EDGE_KEY).and_then(|value| value.to_str().ok()).map(str::trim);
    Shown { session: session(headers, cookie_name), secret: bearer.or(key) }
}

/// Somebody elsewhere whom nobody vouches for.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Of which names each that a proxy adds to what it passes on has one: `X-Forwarded-For`, `Fastly-Client-IP`, `CF-Connecting-IPv6`, whatever the next one
/// calls its own.
const SIGNS_OF_A_PROXY: [&str; 10] = [
    "forward",
    "proxy",
    "client-ip",
    "clientip",
    "real-ip",
    "connecting-ip",
    "user-ip",
    "remote-",
    "originat",
    "external-address",
];

/// What gates and browsers send themselves, and nearly nothing else: nobody needs to look for signs in these names.
static OF_CALLERS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::USER_AGENT,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONNECTION,
    header::COOKIE,
];

/// Whether somebody passed a request on who says so by a header of this name.
fn is_of_a_proxy(name: &str) -> bool {
    matches!(name, "via" | "cdn-loop") || SIGNS_OF_A_PROXY.iter().any(|sign| name.contains(sign))
}

/// The address a request comes from, of the one that sent it to us and what it says of others.
///
/// Of a trusted proxy the last address it names that is no trusted proxy itself, else [`ELSEWHERE`]. What anyone else says is
/// not believed: he himself sent it, and what he forwards from this machine is from elsewhere.
fn forwarded_from(sender: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !headers.keys().any(|name| !OF_CALLERS.contains(name) && is_of_a_proxy(name.as_str())) {
        return sender;
    }
    if trusted.contains(&sender) {
        let named = ["x-forwarded-for", "forwarded", "x-real-ip"].into_iter().find(|name| headers.contains_key(*name));
        let texts = named.into_iter().flat_map(|name| headers.get_all(name)).map(|value| value.to_str().unwrap_or(""));
        let hops: Vec<Option<IpAddr>> = texts.flat_map(|text| text.split(',')).map(hop).collect();
        let stranger = hops.into_iter().rev().find(|hop| !hop.is_some_and(|hop| trusted.contains(&hop)));
        return stranger.flatten().unwrap_or(ELSEWHERE);
    }
    if sender.is_loopback() { ELSEWHERE } else { sender }
}

/// One entry of a list of hops: `203.0.113.9`, `"[2001:db8::1]:4711"`, `for=203.0.113.9;proto=https`.
fn hop(text: &str) -> Option<IpAddr> {
    let pairs = text.split(';').map(str::trim);
    let told = pairs.clone().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    let told = told.or_else(|| pairs.clone().next())?.trim().trim_matches('"');
    let bare = match told.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if told.matches(':').count() == 1 => told.split(':').next()?,
        None => told,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whom or what a refused request was about, where its handler knows it. Never what somebody typed: people type their password in
/// the wrong field.
#[derive(Debug, Clone)]
struct About(String);

/// Says whom or what a request is about, should it be refused.
pub fn is_about(request: &HttpRequest, what: impl ToString) {
    request.extensions_mut().insert(About(what.to_string()));
}

/// Notes an answer if it is such a refusal. `route`: the pattern; what stands in its place may be a secret.
pub fn note_refusal<B>(answer: &ServiceResponse<B>, shared: &Shared, route: &str) {
    if answer.status().as_u16() < 400 {
        return;
    }
    let Some(error) = answer.response().error().and_then(|error| error.as_error::<ApiError>()) else { return };
    let request = answer.request();
    let beyond = [(Code::TooManyRequests, Offence::TooManyRequests), (Code::Busy, Offence::TooMuchAtOnce)];
    if let Some((_, what)) = beyond.into_iter().find(|(code, _)| error.code() == code.name()) {
        let from = source_of(caller_of(request).from);
        shared.offences.note_with(what, "api", &from, || error.to_string());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use actix_web::test::TestRequest;

    #[test]
    fn what_is_shown_is_found_in_its_header() {
        let shown_by = |headers: &[(&str, &str)]| {
            let mut request = TestRequest::default();
            for header in headers {
                request = request.append_header(*header);
            }
            let request = request.to_http_request();
            let shown = shown(request.headers(), "parkmesh-central-1");
            (shown.session.map(str::to_owned), shown.secret.map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        for (headers, expected) in [
            (vec![], (None, None)),
            (vec![("authorization", "Bearer abc")], (None, some("abc"))),
            (vec![("authorization", "bearer  abc ")], (None, some("abc"))),
            (vec![("authorization", "Basic abc")], (None, None)),
            (vec![("x-edge-key", "abc")], (None, some("abc"))),
            (vec![("cookie", "a=1; parkmesh-central-1=abc; b=2")], (some("abc"), None)),
            (vec![("cookie", "a=1"), ("cookie", "parkmesh-central-1=abc")], (some("abc"), None)),
            (vec![("cookie", "parkmesh-central-2=abc; xparkmesh-central-1=d")], (None, None)),
        ] {
            assert_eq!(shown_by(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn head_needs_what_get_needs() {
        let needs = &[("GET", Need::Look), ("PUT", Need::Administer)];
        for (method, need) in [
            (Method::GET, Some(Need::Look)),
            (Method::HEAD, Some(Need::Look)),
            (Method::PUT, Some(Need::Administer)),
            (Method::DELETE, None),
        ] {
            assert_eq!(need_of(needs, &method), need, "{method}");
        }
    }

    fn from(sender: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        forwarded_from(sender.parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn what_nobody_forwarded_is_from_who_sent_it() {
        assert_eq!(from("127.0.0.1", &[], &[]), "127.0.0.1");
        assert_eq!(from("10.0.0.7", &[], &["127.0.0.1"]), "10.0.0.7");
        for name in [
            "host",
            "user-agent",
            "accept",
            "cookie",
            "x-edge-key",
            "origin",
            "referer",
            "content-type",
            "x-request-id",
            "sec-fetch-site",
        ] {
            assert_eq!(from("127.0.0.1", &[(name, "x")], &[]), "127.0.0.1", "{name}");
        }
    }

    const OF_PROXIES: [&str; 27] = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-forwarded-prefix",
        "x-original-forwarded-for",
        "x-real-ip",
        "x-client-ip",
        "client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "fastly-client-ip",
        "x-azure-clientip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "do-connecting-ip",
        "x-appengine-user-ip",
        "x-envoy-external-address",
        "x-originating-ip",
        "x-remote-addr",
        "x-proxyuser-ip",
        "proxy-connection",
        "max-forwards",
        "cdn-loop",
        "via",
    ];

    #[test]
    fn no_header_of_callers_is_one_of_proxies() {
        for name in &OF_CALLERS {
            assert!(!is_of_a_proxy(name.as_str()), "{name}");
        }
    }

    #[test]
    fn what_was_forwarded_on_this_machine_is_from_elsewhere_whatever_it_says() {
        for header in OF_PROXIES {
            assert_eq!(from("127.0.0.1", &[(header, "127.0.0.1")], &[]), "0.0.0.0", "{header}");
            assert_eq!(from("10.0.0.7", &[(header, "127.0.0.1")], &[]), "10.0.0.7", "{header}");
        }
    }

    #[test]
    fn whatever_header_a_proxy_here_adds_makes_a_request_one_from_elsewhere() {
        for name in OF_PROXIES {
            assert_eq!(from("127.0.0.1", &[(name, "https")], &[]), ELSEWHERE.to_string(), "{name}");
            assert_eq!(from("10.0.0.9", &[(name, "https")], &[]), "10.0.0.9", "{name}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_for_whom_it_speaks() {
        let trusted = &["127.0.0.1", "10.0.0.2"];
        for (header, value, expected) in [
            ("x-forwarded-for", "203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9:4711", "203.0.113.9"),
            ("x-forwarded-for", "unknown", "0.0.0.0"),
            ("x-forwarded-for", "10.0.0.2", "0.0.0.0"),
            ("forwarded", "for=203.0.113.9;proto=https, for=10.0.0.2", "203.0.113.9"),
            ("forwarded", "proto=https;For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("forwarded", "for=_hidden", "0.0.0.0"),
            ("x-real-ip", "203.0.113.9", "203.0.113.9"),
            ("via", "1.1 proxy", "0.0.0.0"),
        ] {
            assert_eq!(from("127.0.0.1", &[(header, value)], trusted), expected, "{header}: {value}");
        }
    }
}
