//! Trying whether alarms arrive: `/api/alarms/test`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{self, SHORT_LIMIT_BYTES};
use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, post};
use super::state::Worker;
use crate::access::right::Need;
use crate::desks::alarm_desk::Errand;
use crate::domain::naming::SITE;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post(
            "/api/alarms/test",
            Need::Administer,
            test,
            "Send a message to a channel of the alarms, and hear what it says.",
        )
        .body::<TestRequest>()
        .answers::<Tested>("What the receiver answered")
        .refuses(&[Code::NotFound]),
    ]
}

/// Which channel is tried.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct TestRequest {
    /// The id of a channel of the settings in force.
    channel: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tested {
    success: bool,
    channel: String,
    /// The receiver took it.
    told: bool,
    /// What it said, or why it could not be asked; without secrets, at most 300 characters.
    answer: String,
}

/// `POST`: past the messages that wait, and never repeated.
pub async fn test(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let asked: TestRequest = body::json(&request, payload, SHORT_LIMIT_BYTES).await?;
    let config = worker.shared.config();
    let channel = config.alarms.channels.iter().find(|channel| channel.id == asked.channel);
    let Some(channel) = channel else {
        return Err(ApiError::not_found(format!("no channel {} in the settings (alarms.channels)", asked.channel)));
    };
    let held = worker.shared.held();
    let site = held.settings.name(SITE).unwrap_or(&config.site.name);
    let central = config.this_central.id.as_str();
    let errand = Errand::test(channel, &config.alarms, central, site, worker.shared.clock.now_ms());
    let (told, answer) = match errand.run().await {
        Ok(answer) => (true, answer),
        Err(reason) => (false, reason.to_string()),
    };
    Ok(HttpResponse::Ok().json(Tested { success: true, channel: asked.channel, told, answer }))
}
