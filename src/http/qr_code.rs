//! Texts as QR codes, for invitations and for transfers: `/api/vietqr` gives the code by which a fee is transferred.

use actix_web::web;
use qrcodegen::{QrCode, QrCodeEcc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::input::number;
use super::operation::{Answered, Operation, get, ok};
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
struct TransferCode {
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
pub async fn code(parameters: web::Query<CodeParameters>, worker: web::Data<Worker>) -> Answered {
    let config = worker.shared.config();
    let account = &config.vietqr;
    let CodeParameters { fee, event_id } = parameters.into_inner();
    let fee = Vnd(number("fee", fee.as_deref(), 0)?);
    if fee <= Vnd(0) || fee > Vnd::MAX_TOLD {
        return Err(ApiError::bad_field("fee", Vnd::out_of_range(Vnd(1), Vnd::MAX_TOLD).1));
    }
    let content = event_id.filter(|id| !id.is_empty()).map(|id| content_of(&id)).unwrap_or_default();
    let text = if account.is_set() { account.code(fee, &content) } else { String::new() };
    let svg = if text.is_empty() { String::new() } else { svg(&text).unwrap_or_default() };
    Ok(ok(TransferCode {
        fee: fee.0,
        content,
        bank: account.bank.clone(),
        account: account.account.clone(),
        holder: account.holder.clone(),
        text,
        svg,
    }))
}

/// The quiet zone around the code, in modules.
const MARGIN: i32 = 4;

/// A text as a QR code, drawn as SVG: one path, black on white, with the margin readers need. `None`: the text is too long for a QR code (some 2,900 bytes).
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * MARGIN;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + MARGIN, y + MARGIN));
        }
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0,0h{side}v{side}h-{side}z"/><path fill="#000" d="{path}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_drawn_and_one_that_is_too_long_is_not() {
        let drawn = svg("parkmesh-invitation:1/central-1").unwrap();
        // The finder pattern of the upper left corner: its first row is seven dark modules.
        for x in 0..7 {
            assert!(drawn.contains(&format!("M{},4h1v1h-1z", x + 4)), "{x}: {drawn}");
        }
        assert!(!drawn.contains("M11,4h"), "then a light one");
        assert_eq!(svg(&"x".repeat(4_000)), None);
    }
}
