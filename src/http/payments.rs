//! Payments that banks and providers tell of: `/api/payments`.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::{Sent, flag};
use super::operation::{Answered, Operation, get, ok, post};
use super::pages::word;
use super::parking::{DECIDED, Today, answer, decide};
use super::spreadsheet::{self, Cell, Style};
use super::state::Worker;
use crate::access::right::{Denied, Need, Role, Who};
use crate::domain::audit::Kind;
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::received::{MAX_REASON_CHARS, MAX_STAY_CHARS, MAX_TEXT_CHARS, PaymentReceived};
use crate::domain::time::SiteZone;
use crate::domain::told::{self, payment::ToldPaid};
use crate::domain::vietqr::contents_in;
use crate::ledger::job::{Answer, AssignPayment, Job};
use crate::store::reader::{ClaimedTransfer, PaymentCursor, ToldPayment};

/// A transfer for a car that left is looked for so far back.
const LATELY_MS: i64 = 7 * 24 * 3_600_000;
/// Most in one answer.
const MOST: usize = 1_000;
const MOST_CLAIMED: usize = 200;
/// Until a bank has told of a transfer it may take so long.
const TOLD_WITHIN_MS: i64 = 10 * 60_000;
/// Read at a time for a table.
const TABLE_PAYMENTS: usize = 500;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/payments", Need::Look, payments, "Payments that banks and providers told of.")
            .query::<PaymentsParameters>()
            .answers::<Payments>("A page of the payments, in their order")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get("/api/payments.csv", Need::Look, export, "The payments of some days as a table for spreadsheets.")
            .query::<PaymentsParameters>()
            .answers_text(&["text/csv"], "The table, sent while it is read")
            .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        get(
            "/api/payments/claimed",
            Need::Look,
            claimed,
            "Exits that say they were paid by transfer, where that is in doubt.",
        )
        .query::<ClaimedParameters>()
        .answers::<Claimed>("Those of some days, at most 200")
        .refuses(&[Code::InvalidField, Code::Busy, Code::Remaking]),
        post("/api/payments", Need::Login, take, "Tell that money came in, for a stay or for nobody knows what.")
            .body::<PaymentRequest>()
            .answers::<PaymentKept>("It is held, now or since before")
            .refuses(DECIDED)
            .refuses(&[Code::ReferenceReused, Code::Forbidden, Code::Busy, Code::Remaking]),
        post(
            "/api/payments/{fact}/assign",
            Need::Amend,
            assign,
            "Say which stay a payment is for, or that it is settled.",
        )
        .body::<AssignRequest>()
        .answers::<OnePayment>("The payment as it now is")
        .refuses(DECIDED)
        .refuses(&[Code::NotFound, Code::Unchanged, Code::Busy, Code::Remaking]),
    ]
}

/// The query of `GET /api/payments`, as sent.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct PaymentsParameters {
    /// Those of one stay, of whatever day.
    #[param(max_length = 256)]
    stay: Option<String>,
    /// First day of the site, `2026-11-28`; absent: today.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    from: Option<String>,
    /// Last day; absent: the first.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    to: Option<String>,
    /// Only those a person should look at: of another amount, of a car that had left, of no stay that is known, under the reference of another.
    #[param(value_type = Option<bool>)]
    odd: Option<String>,
    /// `next_cursor` of the page before.
    #[param(max_length = 128)]
    cursor: Option<String>,
    /// Of a table: the language of the heads.
    #[param(pattern = "^(vi|en)?$")]
    lang: Option<String>,
    /// Of a table.
    #[param(pattern = "^[,;]?$")]
    separator: Option<String>,
}

/// What a payment is for, as a person says: a stay, or that it is settled by hand. Neither: what was said is taken back.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct AssignRequest {
    /// The `event_id` of the stay.
    #[schema(max_length = 256)]
    stay: Option<String>,
    /// Nothing is left to do: sent back, for something else.
    done: bool,
    #[schema(required, nullable = false, pattern = "[^\\s]", max_length = 500)]
    reason: Option<String>,
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OnePayment {
    /// The event that made it so.
    version: String,
    payment: ToldPayment,
}

/// A payment as sent. Keys that are not here are ignored.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(default)]
pub struct PaymentRequest {
    /// The bank's or provider's own, a text or a whole number: one payment has one. Told again with it, it is the same payment.
    #[schema(required, nullable = false, value_type = String, min_length = 1, max_length = 64, pattern = "[^\\s]")]
    reference: Option<Value>,
    /// VND, as a number or as people write it; more than 0.
    #[schema(required, nullable = false, value_type = i64, minimum = 1, maximum = 1_000_000_000_000_i64)]
    amount: Option<Value>,
    /// `transfer`, `qr` or `card`, in any of its spellings; absent: `transfer`.
    #[schema(max_length = 32)]
    method: Option<String>,
    /// The `event_id` of the stay it is for. Absent: it is looked for by `text`.
    #[schema(max_length = 256)]
    stay: Option<String>,
    /// What the transfer says it is for. What this program's QR code said, `PM` and eight letters and digits, may stand anywhere in it.
    /// It is kept in one line, and the first 500 characters of it.
    text: Option<String>,
}

/// The payment is held.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaymentKept {
    /// `{log}/{number}`.
    fact: String,
    /// The stay it is for; null: none is known, and it waits to be looked at.
    stay: Option<String>,
    /// It was held before.
    repeated: bool,
    /// Another amount or way had been told under this reference: both are held, and a person has to look.
    conflict: bool,
}

/// Payments.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payments {
    count: usize,
    payments: Vec<ToldPayment>,
    /// `cursor` of the next page, which may be there although none is on this one; null: this is the last.
    next_cursor: Option<String>,
}

/// Which payments are asked for.
struct Asked {
    span_ms: (i64, i64),
    odd: bool,
    cursor: Option<PaymentCursor>,
}

impl PaymentsParameters {
    fn asked(&self, worker: &Worker) -> Result<Asked, ApiError> {
        let odd = flag("odd", self.odd.as_deref())?;
        let zone = worker.zone();
        let given = |day: &Option<String>| day.clone().filter(|day| !day.is_empty());
        let mut first = Today::of(&worker.shared);
        if let Some(day) = given(&self.from) {
            first = first.moved_to("from", day, &zone)?;
        }
        let mut last = first.clone();
        if let Some(day) = given(&self.to) {
            last = last.moved_to("to", day, &zone)?;
        }
        let cursor = self.cursor.as_deref().filter(|cursor| !cursor.is_empty()).map(str::parse).transpose();
        let cursor = cursor.map_err(|()| ApiError::bad_field("cursor", "as an answer gave it"))?;
        Ok(Asked { span_ms: (first.start_ms, last.end_ms), odd, cursor })
    }
}

/// `GET /api/payments`
pub async fn payments(parameters: web::Query<PaymentsParameters>, worker: web::Data<Worker>) -> Answered {
    let parameters = parameters.into_inner();
    let told = |payments: Vec<ToldPayment>, next: Option<PaymentCursor>| Payments {
        count: payments.len(),
        payments,
        next_cursor: next.map(|next| next.to_string()),
    };
    if let Some(stay) = parameters.stay.clone().filter(|stay| !stay.is_empty()) {
        return answer(&worker.shared, move |reader| Ok(told(reader.payments_of(&stay)?, None))).await;
    }
    let Asked { span_ms, odd, cursor } = parameters.asked(&worker)?;
    answer(&worker.shared, move |reader| {
        let (payments, next) = reader.payments_between(span_ms, odd, cursor.as_ref(), MOST)?;
        Ok(told(payments, next))
    })
    .await
}

/// `GET /api/payments.csv`: all of them, read and sent a page at a time.
pub async fn export(parameters: web::Query<PaymentsParameters>, worker: web::Data<Worker>) -> Answered {
    let shared = worker.shared.clone();
    let parameters = parameters.into_inner();
    let style = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?;
    let Asked { span_ms, odd, cursor } = parameters.asked(&worker)?;
    let name = format!("parkmesh-{}-payments-{}.csv", shared.config().this_central.id, Today::of(&shared).day());
    let zone = worker.zone();
    spreadsheet::export(shared, &name, spreadsheet::heads(HEADS, style), cursor, move |reader, cursor| {
        let (page, next) = reader.payments_between(span_ms, odd, cursor.as_ref(), TABLE_PAYMENTS)?;
        let rows: Vec<_> = page.into_iter().map(|payment| line(payment, style.english, &zone)).collect();
        Ok((spreadsheet::lines(&rows, style), next.map(Some)))
    })
    .await
}

/// The query of `GET /api/payments/claimed`, as sent.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ClaimedParameters {
    /// First day of the site, `2026-11-28`; absent: today.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    from: Option<String>,
    /// Last day; absent: the first.
    #[param(pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    to: Option<String>,
}

/// Transfers that gates say there were.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Claimed {
    count: usize,
    /// In the order of the exits.
    exits: Vec<ClaimedTransfer>,
    /// False: there are more, which are not looked at.
    whole: bool,
}

/// `GET /api/payments/claimed`
pub async fn claimed(parameters: web::Query<ClaimedParameters>, worker: web::Data<Worker>) -> Answered {
    let ClaimedParameters { from, to } = parameters.into_inner();
    let asked = PaymentsParameters { from, to, ..PaymentsParameters::default() }.asked(&worker)?;
    let settled_ms = worker.shared.clock.now_ms().saturating_sub(TOLD_WITHIN_MS);
    answer(&worker.shared, move |reader| {
        let (exits, whole) = reader.claimed_transfers(asked.span_ms, settled_ms, MOST_CLAIMED)?;
        Ok(Claimed { count: exits.len(), exits, whole })
    })
    .await
}

/// The columns of the table.
const HEADS: &[(&str, &str)] = &[
    ("Báo lúc", "Told at"),
    ("Mã giao dịch", "Reference"),
    ("Cách trả", "Paid by"),
    ("Số tiền (đ)", "Amount (VND)"),
    ("Biển số", "Plate"),
    ("Tình trạng", "State"),
    ("Nội dung chuyển khoản", "Text of the transfer"),
    ("Nguồn báo", "Told by"),
    ("Người xử lý", "Settled by"),
    ("Lý do", "Reason"),
    ("Mã lượt", "Stay id"),
    ("Mã khoản", "Fact"),
];

fn line(payment: ToldPayment, is_english: bool, zone: &SiteZone) -> Vec<Cell> {
    let maybe = |text: Option<String>| Cell::Text(text.unwrap_or_default());
    vec![
        Cell::Time(zone.local_text(payment.at_ms)),
        Cell::Text(payment.reference),
        Cell::Text(word(is_english, "paid", &payment.method).into_owned()),
        Cell::Number(Some(payment.amount)),
        maybe(payment.plate_view),
        Cell::Text(word(is_english, "payment", payment.state).into_owned()),
        maybe(payment.text),
        maybe(payment.by),
        maybe(payment.assigned_by),
        maybe(payment.reason),
        maybe(payment.stay),
        Cell::Text(payment.fact),
    ]
}

/// `POST /api/payments/{fact}/assign`
pub async fn assign(
    path: web::Path<String>,
    caller: Caller,
    Sent(AssignRequest { stay, done, reason }): Sent<AssignRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let (fact, stay, reason) = (path.into_inner(), given(stay), given(reason));
    let mut problems = Vec::new();
    if done && stay.is_some() {
        let (vi, en) = ("hoặc chọn lượt, hoặc ghi đã xử lý", "either a stay, or that it is done");
        problems.push(FieldProblem::new("done", "invalid", vi, en));
    }
    if stay.as_ref().is_some_and(|stay| !is_plain_text(stay, MAX_STAY_CHARS)) {
        problems.push(FieldProblem::bad_text("stay", MAX_STAY_CHARS));
    }
    match &reason {
        None => problems.push(FieldProblem::missing("reason")),
        Some(reason) if !is_plain_text(reason, MAX_REASON_CHARS) => {
            problems.push(FieldProblem::bad_text("reason", MAX_REASON_CHARS));
        }
        Some(_) => {}
    }
    if !problems.is_empty() {
        return Err(ApiError::bad_fields(&problems));
    }
    let act = caller.act(Kind::Correction, &fact);
    let job = AssignPayment { fact: fact.clone(), stay, done, reason: reason.unwrap_or_default() };
    match decide(&worker, Job::AssignPayment(job).audited(act).by(caller.who.doer())).await? {
        Answer::PaymentAssigned { version } => {
            let found = worker.shared.readers.ask(move |reader| reader.payment(&fact)).await?;
            Ok(ok(OnePayment { version, payment: found.ok_or_else(ApiError::internal)? }))
        }
        _ => Err(ApiError::internal()),
    }
}

/// `POST /api/payments`
pub async fn take(caller: Caller, Sent(sent): Sent<PaymentRequest>, worker: web::Data<Worker>) -> Answered {
    // Money is told by who sees the account: a program, or who may correct it.
    if matches!(caller.who, Who::Person { role: Role::Operator, .. }) {
        return Err(ApiError::denied(Denied::NotAllowed));
    }
    // It may stand behind what is kept of the text.
    let in_text = contents_in(sent.text.as_deref().unwrap_or_default());
    let mut payment = sent.read().map_err(|problems| ApiError::bad_fields(&problems))?;
    let is_told = payment.stay.is_some();
    if !is_told {
        let mut contents = contents_in(&payment.reference);
        contents.extend(in_text);
        let since_ms = worker.shared.clock.now_ms().saturating_sub(LATELY_MS);
        payment.stay = worker.shared.readers.ask(move |reader| reader.stay_of_content(&contents, since_ms)).await?;
    }
    let by = caller.who.doer();
    let mut answer = decide(&worker, Job::TakePayment(payment.clone()).by(by.clone())).await;
    if answer.as_ref().is_err_and(|error| error.code() == Code::ReferenceReused.name()) && !is_told {
        // Its stay was taken for another since it was told first, which the adapter cannot know.
        payment.stay = None;
        answer = decide(&worker, Job::TakePayment(payment).by(by)).await;
    }
    match answer? {
        Answer::PaymentKept { fact, stay, repeated, conflict } => {
            Ok(ok(PaymentKept { fact, stay, repeated, conflict }))
        }
        _ => Err(ApiError::internal()),
    }
}

impl PaymentRequest {
    fn read(self) -> Result<PaymentReceived, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut problem = |field: &'static str, code: &'static str, vi: String, en: String| {
            problems.push(FieldProblem::new(field, code, vi, en));
        };
        let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let reference = match self.reference {
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(Value::String(text)) => given(Some(text)),
            None | Some(Value::Null) => None,
            Some(_) => {
                let (vi, en) = ("mã giao dịch là chữ hoặc số nguyên", "the reference is a text or a whole number");
                return Err(vec![FieldProblem::new("reference", "invalid", vi.to_owned(), en.to_owned())]);
            }
        };
        let (stay, text) = (given(self.stay), self.text.as_deref().map(one_line).filter(|text| !text.is_empty()));
        let method = given(self.method).unwrap_or_else(|| "transfer".to_owned());
        // As it is told at a gate, part by part.
        let told = json!({"method": method, "amount": self.amount, "reference": reference});
        let paid = match told::payment::read(Some(&told)) {
            Ok(paid) => paid,
            Err(error) => {
                let field = error.field().strip_prefix("paid.").unwrap_or("method");
                let vi = match field {
                    "amount" => "hãy cho biết số tiền, số nguyên đồng",
                    "reference" => "mã giao dịch tối đa 64 ký tự, một dòng",
                    _ => "hãy chọn cách trả: transfer, qr, card, cash, account",
                };
                problem(field, "invalid", vi.to_owned(), error.to_string());
                None
            }
        };
        if paid.as_ref().is_some_and(|paid| !matches!(paid.method, Method::Qr | Method::Transfer | Method::Card)) {
            let (vi, en) = ("chỉ nhận transfer, qr, card", "only transfer, qr and card come in by a bank or provider");
            problem("method", "invalid", vi.to_owned(), en.to_owned());
        }
        if reference.is_none() {
            problem(
                "reference",
                "missing",
                "hãy cho biết mã giao dịch".to_owned(),
                "the reference of the payment is needed".to_owned(),
            );
        }
        let amount = paid.as_ref().and_then(|paid| paid.amount);
        if paid.is_some() && !amount.is_some_and(|amount| (Vnd(1)..=Vnd::MAX_FEE).contains(&amount)) {
            let (vi, en) = Vnd::out_of_range(Vnd(1), Vnd::MAX_FEE);
            problem("amount", "out_of_range", vi, en);
        }
        if stay.as_ref().is_some_and(|stay| !is_plain_text(stay, MAX_STAY_CHARS)) {
            let vi = format!("tối đa {MAX_STAY_CHARS} ký tự, một dòng");
            problem("stay", "bad_text", vi, format!("at most {MAX_STAY_CHARS} characters, in one line"));
        }
        match (paid, amount, reference) {
            (Some(ToldPaid { method, .. }), Some(amount), Some(reference)) if problems.is_empty() => {
                Ok(PaymentReceived { reference, method, amount, stay, text })
            }
            _ => Err(problems),
        }
    }
}

/// What banks write in several lines, and longer than is kept, is no reason to lose the money.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_read_as_adapters_tell_it_or_refused_with_what_is_wrong() {
        let read = |json: Value| serde_json::from_value::<PaymentRequest>(json).unwrap().read();
        let kept = read(json!({"reference": " FT24 ", "amount": "25.000 đ", "method": "VietQR", "text": "PM23456789"}))
            .unwrap();
        assert_eq!((kept.reference.as_str(), kept.amount, kept.method), ("FT24", Vnd(25_000), Method::Qr));
        assert_eq!(read(json!({"reference": "x", "amount": 1})).unwrap().method, Method::Transfer);
        assert_eq!(read(json!({"reference": 24336123, "amount": 1})).unwrap().reference, "24336123");
        let long = format!("PM23456789\r\n\tCT\u{0} tu {}", "0".repeat(600));
        let text = read(json!({"reference": "x", "amount": 1, "text": long})).unwrap().text.unwrap();
        assert!(text.starts_with("PM23456789 CT tu 0") && text.chars().count() == MAX_TEXT_CHARS, "{text}");
        for (json, wrong) in [
            (json!({"reference": true, "amount": 1}), vec!["reference"]),
            (json!({"reference": 1.5, "amount": 1}), vec!["reference"]),
            (json!({}), vec!["reference", "amount"]),
            (json!({"reference": "x"}), vec!["amount"]),
            (json!({"reference": "x", "amount": 0}), vec!["amount"]),
            (json!({"reference": "x", "amount": -5}), vec!["amount"]),
            (json!({"reference": "x", "amount": 1_000_000_000_001_i64}), vec!["amount"]),
            (json!({"reference": "x", "amount": "lots"}), vec!["amount"]),
            (json!({"reference": "x", "amount": 5, "method": "bitcoin"}), vec!["method"]),
            (json!({"reference": "x", "amount": 5, "method": "cash"}), vec!["method"]),
            (json!({"reference": "x", "amount": 5, "method": "miễn phí"}), vec!["method"]),
            (json!({"reference": "x".repeat(65), "amount": 5}), vec!["reference"]),
            (json!({"reference": "x", "amount": 5, "stay": "x".repeat(257)}), vec!["stay"]),
        ] {
            let found = read(json.clone()).unwrap_err();
            assert_eq!(found.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), wrong, "{json}");
            assert!(found.iter().all(|problem| !problem.message_vi.is_empty()), "{json}");
        }
    }
}
