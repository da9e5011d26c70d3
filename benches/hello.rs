//! H(c): an actix-web POST that reads a gate's call and answers without doing anything.
//!
//! `cargo bench --bench hello -- --serve 127.0.0.1:8099`, then `parkmesh bench --hello http://127.0.0.1:8099/`.
//! What the product reaches is set against this: the cost of HTTP and JSON alone, same body, same client, same workers.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

/// As many HTTP workers as a central has.
const WORKERS: usize = 2;

/// The documented body of `barrier/open`.
#[derive(Deserialize)]
struct Call {
    edge_id: String,
    plate_id: String,
    plate_view: Option<String>,
    camera_type: Option<String>,
    direction: Option<String>,
    confidence: Option<f64>,
    request_id: Option<String>,
}

/// About as long as the answer of a central.
#[derive(Serialize)]
struct Answer<'a> {
    success: bool,
    action: &'a str,
    event_id: &'a str,
    history_id: u64,
}

async fn hello(call: web::Json<Call>) -> HttpResponse {
    let call = call.into_inner();
    // Every field was read, as a central must.
    let history_id =
        [&call.plate_view, &call.camera_type, &call.request_id].iter().filter(|text| text.is_some()).count();
    HttpResponse::Ok().json(Answer {
        success: call.confidence.is_none_or(f64::is_finite),
        action: call.direction.as_deref().unwrap_or("ENTRY"),
        event_id: &format!("{}_1700000000000_{}", call.edge_id, call.plate_id),
        history_id: history_id as u64,
    })
}

/// Serves until killed; does `work` before each answer.
pub fn serve(address: SocketAddr, work: impl Fn() + Clone + Send + 'static) -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            let work = work.clone();
            let answer = move |call| {
                work();
                hello(call)
            };
            App::new().default_service(web::post().to(answer))
        };
        HttpServer::new(app).workers(WORKERS).bind(address)?.run().await
    })
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--serve").and_then(|at| arguments.get(at + 1)) {
        Some(address) => serve(address.parse().map_err(std::io::Error::other)?, || ()),
        None => {
            println!("hello: a yardstick server; run it with --serve 127.0.0.1:8099");
            Ok(())
        }
    }
}
