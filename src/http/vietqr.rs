//! The code by which a fee is transferred: `/api/vietqr`.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, get};
use super::qr;
use super::query::number;
use super::state::Worker;
use crate::access::right::Need;
use crate::domain::money::Vnd;
use crate::domain::vietqr::content_of;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/vietqr", Need::Look, code, "The QR code by which a bank's app transfers a fee.")
            .query::<CodeParameters>()
            .answers::<TransferCode>("The code")
            .refuses(&[Code::InvalidField]),
    ]
}

/// The query of `GET /api/vietqr`, as sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CodeParameters {
    /// VND, at least 1.
    #[param(value_type = i64, minimum = 1, maximum = 100_000_000)]
    fee: Option<String>,
    /// The stay it is for; absent: the transfer does not say.
    #[param(max_length = 256)]
    event_id: Option<String>,
}

/// A transfer that is yet to be made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TransferCode {
    success: bool,
    /// VND.
    fee: i64,
    /// What the transfer says it is for, by which it is found at the bank: `PM` and eight letters and digits, the same at every central for
    /// one stay. Give it as `paid.reference` with the exit.
    content: String,
    /// The bank by its NAPAS number; empty: the settings name no account, and there is no code.
    bank: String,
    account: String,
    holder: String,
    /// What the code says.
    text: String,
    /// The code as a picture, SVG.
    svg: String,
}

/// `GET /api/vietqr`
pub async fn code(parameters: web::Query<CodeParameters>, worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let config = worker.shared.config();
    let account = &config.vietqr;
    let CodeParameters { fee, event_id } = parameters.into_inner();
    let fee = Vnd(number("fee", fee.as_deref(), 0)?);
    if fee <= Vnd(0) || fee > Vnd::MAX_TOLD {
        return Err(ApiError::bad_field("fee", "an amount in VND, 1 to 100,000,000"));
    }
    let content = event_id.filter(|id| !id.is_empty()).map(|id| content_of(&id)).unwrap_or_default();
    let text = if account.is_set() { account.code(fee, &content) } else { String::new() };
    let svg = if text.is_empty() { String::new() } else { qr::svg(&text).unwrap_or_default() };
    Ok(HttpResponse::Ok().json(TransferCode {
        success: true,
        fee: fee.0,
        content,
        bank: account.bank.clone(),
        account: account.account.clone(),
        holder: account.holder.clone(),
        text,
        svg,
    }))
}
