//! The server of the HTTP API: its workers, its time limits, and what happens to every request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::Error;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, web};

use super::error::{ApiError, Code};
use super::listen::{self, ServerTerms};
use super::routes::{self, ROUTES};
use super::server::{ServeAt, ServerRole, Shows};
use super::state::{Shared, Worker};
use super::ws_peer::PeerEntrance;
use super::{access, room, screen};
use crate::access::right::{Need, Who};
use crate::config::model::{ApiMode, Config};
use crate::domain::problem::FieldProblem;
use crate::ops::metrics::RouteLabels;
use crate::tls::credentials::Credentials;
use crate::tls::{self, BadFiles, CertificateFiles, TlsTerms};

/// More workers than this do not help one writer.
const MAX_WORKERS: usize = 4;
/// Edges call now and then over one connection; pages every 2 s.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The API server of a central.
pub fn role(shared: Arc<Shared>, entrance: PeerEntrance) -> ServerRole {
    ServerRole {
        name: "api",
        field: "this_central.api_port",
        place: |config| Some(place(config)),
        secure: {
            let credentials = shared.credentials.clone();
            Arc::new(move |place| secure(place, &credentials))
        },
        serve: Arc::new(move |listener, tls| serve(&shared, &entrance, listener, tls)),
    }
}

/// Where the settings want it.
pub fn place(config: &Config) -> ServeAt {
    let address = SocketAddr::new(config.listen_ip(), config.this_central.api_port);
    let security = &config.security;
    let shows = match (security.api, &security.api_certificate_file) {
        (ApiMode::Http, _) => Shows::Nothing,
        (ApiMode::Https, None) => Shows::Own,
        (ApiMode::Https, Some(certificate)) => Shows::Given(CertificateFiles {
            certificate: certificate.into(),
            key: security.api_key_file.as_ref().unwrap_or(certificate).into(),
        }),
    };
    ServeAt { address, shows }
}

/// What TLS there takes.
///
/// # Errors
/// The setting whose file is of no use, and why.
pub fn secure(place: &ServeAt, credentials: &Credentials) -> Result<Option<TlsTerms>, FieldProblem> {
    let terms = match &place.shows {
        Shows::Nothing => return Ok(None),
        Shows::Own => tls::with_own(credentials),
        Shows::Given(files) => {
            let given = tls::given(files).map_err(|bad| bad_file(&bad, files))?;
            tls::with_given(&given)
        }
    };
    terms.map(Some).map_err(|error| {
        FieldProblem::new(
            "security.api",
            "cannot_listen",
            format!("không dùng được TLS: {error}"),
            format!("no TLS can be spoken: {error}"),
        )
    })
}

fn bad_file(bad: &BadFiles, files: &CertificateFiles) -> FieldProblem {
    let (field, code, message_vi) = match bad {
        BadFiles::Certificate(error) => ("api_certificate_file", "unreadable", unreadable_vi(error)),
        BadFiles::NoCertificate => ("api_certificate_file", "no_certificate", "không có chứng chỉ dạng PEM".to_owned()),
        BadFiles::Key(error) => ("api_key_file", "unreadable", unreadable_vi(error)),
        BadFiles::NoKey => ("api_key_file", "no_key", "không có khóa riêng dạng PEM".to_owned()),
        BadFiles::OtherKey(_) => (
            "api_key_file",
            "other_key",
            "không phải khóa của chứng chỉ này, hoặc loại khóa không dùng được".to_owned(),
        ),
    };
    // The key may be looked for in the certificate's file: that is the field a person filled in.
    let field = if files.key == files.certificate { "api_certificate_file" } else { field };
    FieldProblem::new(format!("security.{field}"), code, message_vi, bad.to_string())
}

fn unreadable_vi(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "không có tệp này".to_owned(),
        io::ErrorKind::PermissionDenied => "chương trình không được phép đọc tệp này".to_owned(),
        _ => format!("không đọc được: {error}"),
    }
}

fn serve(
    shared: &Arc<Shared>,
    entrance: &PeerEntrance,
    listener: TcpListener,
    tls: Option<TlsTerms>,
) -> io::Result<Server> {
    let (shared, entrance) = (shared.clone(), web::Data::new(entrance.clone()));
    let secured = tls.is_some();
    let terms = ServerTerms {
        workers: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS)),
        name: "api",
        room: shared.rooms.api.clone(),
        offences: shared.offences.clone(),
        keep_alive: KEEP_ALIVE,
        head_timeout: HEAD_TIMEOUT,
        tls,
        is_taken_fast: true,
        on_connect: |_, _| {},
    };
    listen::serve(listener, &terms, move || {
        App::new()
            .app_data(entrance.clone())
            .app_data(web::Data::from(shared.rooms.bodies.clone()))
            .app_data(web::Data::new(shared.config.clone()))
            .app_data(web::Data::new(Worker { shared: shared.clone(), secured }))
            .app_data(
                web::QueryConfig::default()
                    .error_handler(|error, _| ApiError::new(Code::InvalidQuery, error.to_string()).into()),
            )
            .app_data(web::PathConfig::default().error_handler(|_, _| ApiError::no_such_path().into()))
            .wrap(from_fn(observe))
            .configure(routes::configure)
    })
}

/// Turns away what is not meant for a route, and counts and protects every answer.
async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(worker) = request.app_data::<web::Data<Worker>>().cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let started = Instant::now();
    let route = route_of(&request);
    let refused = refusal(&request, &worker, route).await;
    let mut answer = match refused {
        Some(error) => request.error_response(error).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    access::note_refusal(&answer, &worker.shared, route);
    note_known(&answer, &worker, route);
    screen::protect(answer.headers_mut());
    let metrics = &worker.shared.metrics;
    metrics.requests.get_or_create(&RouteLabels { route, code: answer.status().as_u16() }).inc();
    metrics.request_seconds.observe(started.elapsed().as_secs_f64());
    Ok(answer)
}

/// An address at which somebody is logged in or shows a key, or that is served as a gate, keeps its connections when there are few.
fn note_known<B>(answer: &ServiceResponse<B>, worker: &Worker, route: &str) {
    let request = answer.request();
    let serves_a_gate = answer.status().is_success()
        && ROUTES
            .iter()
            .find(|(pattern, _)| *pattern == route)
            .is_some_and(|(_, needs)| access::need_of(needs, request.method()) == Some(Need::Gate));
    let caller = access::caller_of(request);
    if serves_a_gate || caller.who != Who::Nobody {
        let sender = access::sender(request);
        worker.shared.rooms.know(caller.from);
        if sender != caller.from {
            worker.shared.rooms.know(sender);
        }
    }
}

/// Why a request does not get to its route.
async fn refusal(request: &ServiceRequest, worker: &Worker, route: &'static str) -> Option<ApiError> {
    let shared = &worker.shared;
    if shared.is_stopping() && route.starts_with("/api/") {
        return Some(ApiError::stopping());
    }
    if let Some(error) = screen::refusal(request.request(), &shared.config(), worker.secured) {
        return Some(error);
    }
    let caller = access::identify(request.request(), worker);
    let per_s = shared.config.borrow().tuning.max_requests_per_second;
    let wait_ms = shared.rates.count(per_s, caller.from, &caller.who).err()?;
    // Whoever floods waits for each answer, and has a bounded number of connections to wait on.
    tokio::time::sleep(room::PAUSE).await;
    let message = "more requests than this address or edge is granted (tuning.max_requests_per_second)";
    Some(ApiError::too_many(Code::TooManyRequests, message, wait_ms))
}

/// The pattern the request matches; `other` if none.
fn route_of(request: &ServiceRequest) -> &'static str {
    let path = request.path();
    // The gates' routes have no parameters: the path is the pattern.
    ROUTES
        .iter()
        .find(|(pattern, _)| *pattern == path)
        .or_else(|| {
            let pattern = request.match_pattern()?;
            ROUTES.iter().find(|(known, _)| *known == pattern)
        })
        .map_or("other", |(pattern, _)| *pattern)
}
