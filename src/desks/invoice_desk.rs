//! Tells the invoice program what is taken at the exits of this central: what waits, what one POST says, and what its answer means.
//!
//! - Nothing of it is written but the answer, as an event of the own log (`INVOICED`): what was told and not answered is told again, with the same
//!   key, after a restart too. Gates wait for none of it.
//! - One after another, in the order in which exits became known. A program that is away is asked again later; an exit that it refuses is set aside
//!   and asked again later, while the others go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::alarm_desk::{MAX_SHOWN_CHARS, TIMEOUT, call, no_answer};
use crate::alarms::message::NotTold;
use crate::config::invoices::Invoices;
use crate::domain::event::Body;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::invoice::{Invoiced, MAX_CODE_CHARS, MAX_NUMBER_CHARS, MAX_STAY_CHARS};
use crate::domain::money::Vnd;
use crate::domain::payment::{FeeLine, Method, Paid, Part, counted, merged, total};
use crate::domain::problem::is_plain_text;
use crate::domain::time::SiteZone;
use crate::ledger::storage::EventRef;
use crate::store::reader::{ExitToTell, InvoiceDue, InvoiceScan};

/// Exits that are counted as waiting; with more, it is these.
pub const MOST_WAITING: usize = 10_000;
/// The wait after an attempt that came to nothing; it doubles up to the longest. Of all exits together, and of one that was refused.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const FIRST_WAIT_OF_ONE: Duration = Duration::from_secs(60);
const LONGEST_WAIT_OF_ONE: Duration = Duration::from_secs(3_600);

/// How it stands with the invoices, for pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvoiceState {
    /// Whether exits are told at all.
    pub on: bool,
    /// Exits that are still to be told, or told anew; at most 10,000 are counted.
    pub waiting: usize,
    /// Since when the first of them is known, Unix ms; null: none waits.
    pub since_ms: Option<i64>,
    /// How many of them the program refused; they are told again.
    pub refused: usize,
    /// When it answered last, Unix ms; null: not since the start.
    pub told_ms: Option<i64>,
    /// Why the last attempt came to nothing; null: it did not.
    pub failed: Option<String>,
}

/// What pages ask.
#[derive(Debug, Default)]
pub struct InvoiceDesk(Mutex<InvoiceState>);

impl InvoiceDesk {
    pub fn state(&self) -> InvoiceState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn show(&self, state: InvoiceState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Since when an exit waits, and how often the program refused it.
#[derive(Debug, Clone, Default)]
struct Waits {
    known_ms: i64,
    refusals: u32,
    not_before: Option<Instant>,
}

/// What waits. Made anew from the log after a start.
#[derive(Debug, Default)]
pub struct InvoiceQueue {
    pub scan: InvoiceScan,
    waiting: BTreeMap<EventRef, Waits>,
    /// What was told last and not answered: it may have been heard, so it is told again as it was.
    pub held: Option<InvoicePost>,
    attempts: u32,
    not_before: Option<Instant>,
    told_ms: Option<i64>,
    failed: Option<String>,
}

impl InvoiceQueue {
    /// How many more may be looked for.
    pub fn room(&self) -> usize {
        MOST_WAITING.saturating_sub(self.waiting.len())
    }

    pub fn add(&mut self, exits: Vec<ExitToTell>) {
        for (exit, known_ms) in exits {
            self.waiting.entry(exit).or_insert(Waits { known_ms, ..Waits::default() });
        }
    }

    /// The exit that is to be told now: what may have been heard already, or the first that does not wait after a refusal.
    pub fn next(&self, now: Instant) -> Option<EventRef> {
        if self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        if let Some(held) = &self.held {
            return Some(held.exit.clone());
        }
        let ready = self.waiting.iter().filter(|(_, waits)| waits.not_before.is_none_or(|at| at <= now));
        ready.min_by_key(|(exit, waits)| (waits.known_ms, *exit)).map(|(exit, _)| exit.clone())
    }

    /// It was answered and that is written, or nothing is to be told of it any more.
    pub fn settled(&mut self, exit: &EventRef) {
        self.waiting.remove(exit);
        self.held = None;
    }

    pub fn answered(&mut self, now_ms: i64) {
        (self.told_ms, self.failed, self.attempts, self.not_before) = (Some(now_ms), None, 0, None);
    }

    /// `part`: from 0 to 1, by which centrals do not knock all at once.
    pub fn failed(&mut self, post: Option<InvoicePost>, reason: NotTold, part: f64, now: Instant) {
        let after = |first: Duration, longest: Duration, times: u32| {
            now + first.saturating_mul(1 << times.min(16)).min(longest).mul_f64(0.5 + part / 2.0)
        };
        self.failed = Some(reason.to_string());
        match (reason, post) {
            (NotTold::Ever(_), Some(post)) => {
                self.held = None;
                if let Some(waits) = self.waiting.get_mut(&post.exit) {
                    waits.not_before = Some(after(FIRST_WAIT_OF_ONE, LONGEST_WAIT_OF_ONE, waits.refusals));
                    waits.refusals += 1;
                }
            }
            (_, post) => {
                self.held = post.or(self.held.take());
                self.not_before = Some(after(FIRST_WAIT, LONGEST_WAIT, self.attempts));
                self.attempts += 1;
            }
        }
    }

    /// New settings: what waits because of the old ones does so no longer.
    pub fn settings_changed(&mut self) {
        *self = Self { told_ms: self.told_ms, ..Self::default() };
    }

    /// Up to where all exits of the log of this one are settled, once this one is.
    pub fn done_to(&self, exit: &EventRef) -> u64 {
        let open = self.waiting.keys().filter(|other| other.log == exit.log && *other != exit);
        self.scan.done_to(&exit.log, open.map(|other| other.seq))
    }

    pub fn state(&self) -> InvoiceState {
        InvoiceState {
            on: true,
            waiting: self.waiting.len(),
            since_ms: self.waiting.values().map(|waits| waits.known_ms).min(),
            refused: self.waiting.values().filter(|waits| waits.refusals > 0).count(),
            told_ms: self.told_ms,
            failed: self.failed.clone(),
        }
    }
}

/// One POST, and what is kept of it once it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct InvoicePost {
    pub exit: EventRef,
    /// What a program knows it by that hears it twice.
    pub key: String,
    pub body: Value,
    exit_ms: i64,
    stay: String,
    amount: Vnd,
    /// The clock of what was answered before.
    pub after: Option<Hlc>,
}

/// What the program answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceAnswer {
    pub number: Option<String>,
    pub code: Option<String>,
    /// The amount that it knows the key with, if it says so: what it heard before a restart may have been corrected since.
    pub told_amount: Option<Vnd>,
}

impl InvoicePost {
    /// What is told of an exit. `central`: who tells it, of which `site`.
    pub fn of(exit: &EventRef, due: &InvoiceDue, zone: &SiteZone, central: &str, site: &str) -> Self {
        let InvoiceDue { event, taken, row, before } = due;
        let fact = FactId::Authored { log: exit.log.clone(), seq: exit.seq }.to_string();
        let amount = taken.as_ref().map_or(Vnd(0), |taken| taken.amount);
        let row = row.as_ref();
        let (plate, view, gate, lines, paid, of_event) = match &event.body {
            Body::Exit(told) => {
                let plate = told.plate_id.as_ref().map(|plate| plate.as_str().to_owned());
                let view = told.plate_view.clone().or_else(|| plate.clone());
                (
                    plate,
                    view,
                    told.exit_edge.as_str(),
                    told.lines.as_slice(),
                    told.paid.as_ref(),
                    told.camera_type.as_deref(),
                )
            }
            Body::Unread(told) => {
                (None, None, told.edge_id.as_str(), [].as_slice(), told.paid.as_ref(), Some(told.camera_type.as_str()))
            }
            _ => (None, None, "", [].as_slice(), None, None),
        };
        let stay = row.map_or_else(|| event.exit_stay().unwrap_or(&fact).to_owned(), |row| row.event_id.clone());
        // Whatever others call their stays.
        let stay = if is_plain_text(&stay, MAX_STAY_CHARS) { stay } else { fact.clone() };
        // Of an exit without an entry the row has the time of the exit in its place.
        let entered_ms = row.map(|row| row.entry_ms).filter(|entered_ms| *entered_ms < event.timestamp_ms);
        let at = |ms: i64| json!({"ms": ms, "text": zone.local_text(ms)});
        let vehicle_type =
            taken.as_ref().map(|taken| taken.camera_type.as_str()).or(row.map(|row| row.camera_type.as_str()));
        let key = match before {
            None => fact.clone(),
            Some(before) => format!("{fact}@{}", before.fact),
        };
        let corrected = row.filter(|row| row.payment.paid.is_some()).and_then(|row| row.payment.paid.as_ref());
        let body = json!({
            "kind": if before.is_some() { "change" } else { "exit" },
            "key": key,
            "exit": fact,
            "stay": stay,
            "site": site,
            "central": central,
            "gate": gate,
            "plate_id": row.map(|row| row.plate_id.clone()).or(plate),
            "plate_view": row.map(|row| row.plate_view.clone()).or(view),
            "vehicle_type": vehicle_type.or(of_event).unwrap_or_default(),
            "entered": entered_ms.map(at),
            "left": at(event.timestamp_ms),
            "amount": amount.0,
            "lines": summed(lines, amount),
            "paid": taken.as_ref().map(|taken| ways(&taken.method, amount, &taken.also, corrected.or(paid))).unwrap_or_default(),
            "by": taken.as_ref().map(|taken| taken.by.as_str()).filter(|by| !by.is_empty()),
            "before": before.as_ref().map(|before| json!({
                "number": before.number, "code": before.code, "amount": before.amount.0,
            })),
        });
        let after = before.as_ref().map(|before| before.hlc);
        Self { exit: exit.clone(), key, body, exit_ms: event.timestamp_ms, stay, amount, after }
    }

    /// Tells it. Must run on a thread of actix.
    ///
    /// # Errors
    /// [`NotTold`], without what is nobody's business.
    pub async fn run(&self, url: &str, invoices: &Invoices) -> Result<InvoiceAnswer, NotTold> {
        let mut headers = vec![("idempotency-key", self.key.clone())];
        headers.extend(invoices.token.as_ref().map(|token| ("authorization", format!("Bearer {}", token.0))));
        let sent = call(url, &headers, Some(self.body.to_string()));
        let outcome = tokio::time::timeout(TIMEOUT, sent).await.unwrap_or_else(|_| Err(no_answer()));
        let shown = |said: String| invoices.hide(&said).chars().take(MAX_SHOWN_CHARS).collect();
        outcome.and_then(|(status, answer)| heard(status, &answer)).map_err(|reason| match reason {
            NotTold::Yet(said) => NotTold::Yet(shown(said)),
            NotTold::Ever(said) => NotTold::Ever(shown(said)),
        })
    }

    /// What is kept of it. `done_to`: see [`Invoiced`].
    pub fn noted(&self, answer: InvoiceAnswer, done_to: u64) -> Invoiced {
        let exit = FactId::Authored { log: self.exit.log.clone(), seq: self.exit.seq };
        let InvoiceAnswer { number, code, told_amount } = answer;
        let amount = told_amount.unwrap_or(self.amount);
        Invoiced { exit, exit_ms: self.exit_ms, stay: self.stay.clone(), amount, number, code, done_to }
    }
}

/// The lines of a fee, with what a correction changed as a line of its own: they sum to what was taken.
fn summed(lines: &[FeeLine], amount: Vnd) -> Vec<FeeLine> {
    let missing = Vnd(amount.0.saturating_sub(total(lines).0));
    let mut lines = lines.to_vec();
    if missing != Vnd(0) {
        let part = if lines.is_empty() { Part::Told } else { Part::ByHand };
        lines.push(FeeLine::new(part, missing));
    }
    merged(lines)
}

/// The ways in which it was paid, which sum to it: as they are counted, each with its reference where it was told.
fn ways(method: &str, amount: Vnd, also: &[(Method, Vnd)], told: Option<&Paid>) -> Vec<Value> {
    let reference = |way: &str| {
        let ways = told.into_iter().flat_map(Paid::ways);
        ways.filter(|(method, ..)| method.name() == way).find_map(|(.., reference)| reference.map(str::to_owned))
    };
    let of_way = |(way, _, amount): (&str, i64, i64)| {
        let known = Some(way).filter(|way| !way.is_empty());
        json!({"method": known, "amount": amount, "reference": reference(way)})
    };
    counted(method, amount.0, also).filter(|(_, exits, amount)| *exits > 0 || *amount > 0).map(of_way).collect()
}

/// What an answer means: with `number` in it, it is done, `null` for no invoice. Any other is none of an invoice program.
fn heard(status: u16, answer: &str) -> Result<InvoiceAnswer, NotTold> {
    let said = if answer.trim().is_empty() { format!("{status}") } else { format!("{status}: {}", answer.trim()) };
    match status {
        200..=299 => {}
        // This very exit is nothing it takes; with all others it is the address, the secret, or the day.
        400 | 409 | 413 | 415 | 422 => return Err(NotTold::Ever(said)),
        _ => return Err(NotTold::Yet(said)),
    }
    let fields: Value = serde_json::from_str(answer).unwrap_or_default();
    let text = |field: &str, most: usize| match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) if is_plain_text(text.trim(), most) => Ok(Some(text.trim().to_owned())),
        Some(_) => Err(NotTold::Ever(format!("{field} is no text of at most {most} characters, in one line: {said}"))),
    };
    if fields.get("number").is_none() {
        return Err(NotTold::Yet(format!("an answer without a number of an invoice: {said}")));
    }
    let told_amount = match fields.get("told_amount") {
        None | Some(Value::Null) => None,
        Some(amount) => {
            let amount = amount.as_i64().map(Vnd).filter(|amount| amount.is_fee());
            Some(amount.ok_or_else(|| NotTold::Ever(format!("told_amount is no whole number of đồng: {said}")))?)
        }
    };
    Ok(InvoiceAnswer { number: text("number", MAX_NUMBER_CHARS)?, code: text("code", MAX_CODE_CHARS)?, told_amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(seq: u64) -> EventRef {
        EventRef { log: "central-1/08d9a3bd83fce662".parse().unwrap(), seq }
    }

    fn post(seq: u64) -> InvoicePost {
        let (key, stay) = (format!("k{seq}"), "S".to_owned());
        InvoicePost { exit: exit(seq), key, body: Value::Null, exit_ms: 1, stay, amount: Vnd(5), after: None }
    }

    #[test]
    fn an_answer_is_a_number_no_invoice_or_none_of_an_invoice_program() {
        let number = |number: &str| Ok(InvoiceAnswer { number: Some(number.into()), code: None, told_amount: None });
        assert_eq!(heard(200, r#"{"number": "1C26MAA-42"}"#), number("1C26MAA-42"));
        assert_eq!(heard(201, r#"{"number": 42, "more": true}"#), number("42"));
        let code = InvoiceAnswer { number: Some("42".into()), code: Some("M1-26-X".into()), told_amount: None };
        assert_eq!(heard(200, r#"{"number": " 42 ", "code": "M1-26-X"}"#), Ok(code.clone()));
        let told = InvoiceAnswer { told_amount: Some(Vnd(25_000)), ..code };
        assert_eq!(heard(200, r#"{"number": "42", "code": "M1-26-X", "told_amount": 25000}"#), Ok(told.clone()));
        assert_eq!(
            (post(1).noted(told, 0).amount, post(1).amount),
            (Vnd(25_000), Vnd(5)),
            "the invoice says what it was told"
        );
        let none = InvoiceAnswer { number: None, code: None, told_amount: None };
        assert_eq!(post(1).noted(none.clone(), 0).amount, Vnd(5));
        for made_none in [r#"{"number": null}"#, r#"{"number": ""}"#] {
            assert_eq!(heard(200, made_none), Ok(none.clone()));
        }
        for (status, answer) in [(200, ""), (200, "<html>"), (200, "{}"), (404, "x"), (500, "x"), (429, ""), (301, "")]
        {
            assert!(matches!(heard(status, answer), Err(NotTold::Yet(_))), "{status} {answer}");
        }
        let long = format!(r#"{{"number": "{}"}}"#, "9".repeat(65));
        for (status, answer) in [
            (422, "no plate"),
            (409, ""),
            (200, r#"{"number": [1]}"#),
            (200, r#"{"number": 1, "told_amount": -1}"#),
            (200, long.as_str()),
        ] {
            assert!(matches!(heard(status, answer), Err(NotTold::Ever(_))), "{status} {answer}");
        }
    }

    #[test]
    fn one_that_is_refused_waits_alone_and_one_that_may_have_been_heard_is_told_again_first() {
        let mut queue = InvoiceQueue::default();
        let now = Instant::now();
        queue.add(vec![(exit(7), 70), (exit(5), 50), (exit(6), 60), (exit(5), 99)]);
        assert_eq!((queue.next(now), queue.state().since_ms), (Some(exit(5)), Some(50)));
        queue.failed(Some(post(5)), NotTold::Ever("no".into()), 0.0, now);
        assert_eq!((queue.next(now), queue.state().refused), (Some(exit(6)), 1));
        assert_eq!(queue.next(now + LONGEST_WAIT_OF_ONE), Some(exit(5)), "it is asked again");
        queue.failed(Some(post(6)), NotTold::Yet("away".into()), 1.0, now);
        assert_eq!(queue.next(now), None);
        let later = now + LONGEST_WAIT;
        assert_eq!(queue.next(later), Some(exit(6)), "what may have been heard is told as it was");
        assert!(queue.held.is_some());
        queue.settled(&exit(6));
        queue.answered(1);
        assert_eq!((queue.next(now), queue.state().waiting, queue.state().failed), (Some(exit(7)), 2, None));
        assert_eq!(queue.done_to(&exit(7)), 0, "as long as 5 is not settled");
    }

    #[test]
    fn lines_and_ways_sum_to_what_was_taken() {
        use crate::domain::payment::PaidToo;
        let lines = [FeeLine::new(Part::Hour, Vnd(20_000)), FeeLine::new(Part::Unpaid, Vnd(-5_000))];
        for amount in [0, 15_000, 9_000] {
            assert_eq!(total(&summed(&lines, Vnd(amount))), Vnd(amount));
            assert_eq!(total(&summed(&[], Vnd(amount))), Vnd(amount));
        }
        let too = PaidToo { method: Method::Transfer, amount: Vnd(10_000), reference: Some("FT1".into()) };
        let told = Paid { method: Method::Cash, amount: Vnd(5_000), reference: None, also: vec![too] };
        let said = ways("cash", Vnd(15_000), &[(Method::Transfer, Vnd(10_000))], Some(&told));
        assert_eq!(
            json!(said),
            json!([{"method": "cash", "amount": 5_000, "reference": null}, {"method": "transfer", "amount": 10_000, "reference": "FT1"}])
        );
        assert_eq!(json!(ways("", Vnd(7), &[], None)), json!([{"method": null, "amount": 7, "reference": null}]));
    }
}
