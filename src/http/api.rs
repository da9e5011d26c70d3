//! The server of the HTTP API: its workers, its time limits, and what happens to every request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::Error;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, ResponseError, web};

use super::access;
use super::code::Code;
use super::error::ApiError;
use super::limits;
use super::routes::{self, ROUTES};
use super::screen;
use super::server::{Place, Role, SHUTDOWN_TIMEOUT_S};
use super::state::{Shared, Worker};
use super::ws_peer::PeerEntrance;
use crate::actors::edge_gateway::EdgeGateway;
use crate::actors::supervise::{self, Surroundings};
use crate::config::model::Config;
use crate::ops::metrics::RouteLabels;

/// More workers than this do not help one writer.
const MAX_WORKERS: usize = 4;
/// Edges call now and then over one connection; pages every 2 s.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The API server of a central.
#[must_use]
pub fn role(shared: Arc<Shared>, around: Surroundings, entrance: PeerEntrance) -> Role {
    Role {
        name: "api",
        field: "this_central.api_port",
        place: |config| Some(place(config)),
        serve: Arc::new(move |listener, _| serve(&shared, &around, &entrance, listener)),
    }
}

/// Where the settings want it.
#[must_use]
pub fn place(config: &Config) -> Place {
    let address = SocketAddr::new(config.listen_ip(), config.this_central.api_port);
    Place { address, secured: false }
}

fn serve(
    shared: &Arc<Shared>,
    around: &Surroundings,
    entrance: &PeerEntrance,
    listener: TcpListener,
) -> io::Result<Server> {
    let (shared, around, entrance) = (shared.clone(), around.clone(), web::Data::new(entrance.clone()));
    let connections = shared.connections.clone();
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS));
    let server = HttpServer::new(move || {
        let (writer, config) = (shared.writer.clone(), shared.config.clone());
        let gateway =
            supervise::start(&around, "edge_gateway", move || EdgeGateway::new(writer.clone(), config.clone()));
        App::new()
            .app_data(entrance.clone())
            .app_data(web::Data::new(shared.config.clone()))
            .app_data(web::Data::new(Worker { gateway, shared: shared.clone() }))
            .app_data(
                web::QueryConfig::default()
                    .error_handler(|error, _| ApiError::new(Code::InvalidQuery, error.to_string()).into()),
            )
            .app_data(web::PathConfig::default().error_handler(|_, _| ApiError::no_such_path().into()))
            .wrap(from_fn(observe))
            .configure(routes::configure)
    })
    .on_connect(move |io, kept| connections.accepted(io, kept))
    .workers(workers)
    .tcp_nodelay(true)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
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
    let refused = refusal(&request, &worker.shared, route).await;
    let mut answer = match refused {
        Some(error) => request.into_response(error).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    screen::protect(answer.headers_mut());
    let metrics = &worker.shared.metrics;
    metrics.requests.get_or_create(&RouteLabels { route, code: answer.status().as_u16() }).inc();
    metrics.request_seconds.observe(started.elapsed().as_secs_f64());
    Ok(answer)
}

/// Why a request does not get to its route.
async fn refusal(request: &ServiceRequest, shared: &Shared, route: &'static str) -> Option<HttpResponse> {
    if shared.is_stopping() && route.starts_with("/api/") {
        let mut refusal = ApiError::stopping().error_response();
        refusal.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        return Some(refusal);
    }
    if let Some(error) = screen::refusal(request.request(), &shared.config()) {
        return Some(error.error_response());
    }
    let caller = access::identify(request.request(), shared);
    let per_s = shared.config.borrow().tuning.max_requests_per_second;
    let wait_ms = shared.rates.count(per_s, caller.from, &caller.who).err()?;
    // Whoever floods waits for each answer, and has a bounded number of connections to wait on.
    tokio::time::sleep(limits::PAUSE).await;
    let message = "more requests than this address or edge is granted (tuning.max_requests_per_second)";
    Some(ApiError::too_many(Code::TooManyRequests, message, wait_ms).error_response())
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
        .map_or("other", |(pattern, _)| pattern)
}
