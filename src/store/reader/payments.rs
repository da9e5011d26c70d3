//! Payments that banks and providers told of, what a person says each is for, and what became of it by the stay it is for.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension as _;
use rusqlite::types::Value;
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::HistoryRow;
use super::{Reader, read_event};
use crate::domain::event::Event;
use crate::domain::ids::FactId;
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, Paid};
use crate::domain::plate::{self, PlateId};
use crate::domain::received::{Known, PaymentReceived, known, teller};
use crate::domain::vietqr::content_of;
use crate::store::books::PAYMENTS_UNDER;
use crate::store::error::StoreError;

/// Of stays that ended so many at most are tried whether a transfer is for them.
const MOST_ENDED: i64 = 50_000;
/// Stays that were taken for one another are followed so far.
const MOST_STEPS: usize = 8;
/// A stay that another counts in place of came in at most so long before or after it, in ms.
const NEAR_MS: i64 = 7 * 24 * 3_600_000;
/// For one page so many payments at most are looked at.
const MOST_LOOKED: usize = 5_000;

/// What a payment is to the stay it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// The car is inside.
    Waiting,
    /// The exit says that it was paid by it.
    Settled,
    /// As [`Self::Settled`], and another amount was taken.
    OtherAmount,
    /// The car has left, and its exit says something else: it may have paid twice.
    Left,
    /// No stay is known that it is for, or that one was removed.
    Unknown,
    /// The same teller had told another amount or way under its reference.
    Conflict,
    /// A person says that nothing is left to do about it.
    Done,
}

impl PaymentState {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Settled => "settled",
            Self::OtherAmount => "other_amount",
            Self::Left => "left",
            Self::Unknown => "unknown",
            Self::Conflict => "conflict",
            Self::Done => "done",
        }
    }

    /// Whether a person should look at it.
    #[must_use]
    pub fn is_odd(self) -> bool {
        matches!(self, Self::OtherAmount | Self::Left | Self::Unknown | Self::Conflict)
    }
}

/// A payment as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToldPayment {
    /// `{log}/{number}`.
    pub fact: String,
    pub reference: String,
    /// When it was told, Unix ms.
    pub at_ms: i64,
    pub method: String,
    /// VND.
    pub amount: i64,
    /// The stay it is for, as far as anybody knows.
    pub stay: Option<String>,
    /// Of that stay, where it is known here.
    pub plate_view: Option<String>,
    /// What the transfer says it is for.
    pub text: Option<String>,
    /// By whose token it was told: `token:bank`.
    pub by: Option<String>,
    /// `waiting`: the car is inside; `settled`: its exit says it was paid by it; `other_amount`: so, and another amount was taken; `left`: the
    /// car has left, and its exit says something else; `unknown`: no stay is known that it is for; `conflict`: another amount or way had been told
    /// under its reference, `conflicts_with`; `done`: a person says that nothing is left to do about it.
    #[schema(pattern = "^(waiting|settled|other_amount|left|unknown|conflict|done)$")]
    pub state: &'static str,
    /// Whether a person should look at it: by its state, unless a person who knew that has said what it is for.
    pub odd: bool,
    /// Who said which stay it is for, or that it is done; null: nobody.
    pub assigned_by: Option<String>,
    /// When, Unix ms.
    pub assigned_ms: Option<i64>,
    pub reason: Option<String>,
    /// What had been told under its reference before; null: nothing else.
    pub conflicts_with: Option<OtherPayment>,
}

/// Another payment under the same reference.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OtherPayment {
    pub method: &'static str,
    /// VND.
    pub amount: i64,
}

/// A place in the order of payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentCursor {
    pub at_ms: i64,
    pub reference: String,
    pub event: i64,
}

/// As an answer gives it, to be sent back as it is.
impl std::fmt::Display for PaymentCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{}", self.at_ms, self.event, self.reference)
    }
}

impl std::str::FromStr for PaymentCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '_');
        let mut next = || parts.next().ok_or(());
        let (at_ms, event, reference) = (next()?, next()?, next()?);
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { at_ms: number(at_ms)?, event: number(event)?, reference: reference.to_owned() })
    }
}

/// A stay, with all it counts in place of.
#[derive(Debug, Default)]
struct Family {
    row: Option<HistoryRow>,
    /// Of that row.
    exit: Option<FactId>,
    /// The ids of all of them.
    stays: BTreeSet<String>,
}

impl Family {
    /// The payments among these that are for it.
    fn of<'e>(&self, found: &'e [Vec<Event>]) -> Vec<Known<'e>> {
        let all = found.iter().flat_map(|events| known(events));
        all.filter(|one| one.stay().is_some_and(|stay| self.stays.contains(stay))).collect()
    }
}

/// Some payments, and where those after them begin; `None`: there are no more.
pub type PaymentPage = (Vec<ToldPayment>, Option<PaymentCursor>);

impl Reader {
    /// Those of a stay and of those it counts in place of, in their order.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn payments_of(&mut self, stay: &str) -> Result<Vec<ToldPayment>, StoreError> {
        let family = self.family(stay)?;
        let found = self.known_of(&family.stays)?;
        let of_it = family.of(&found);
        let mut told: Vec<ToldPayment> = of_it.iter().map(|one| shown(one, &of_it, &family)).collect();
        told.sort_by(|a, b| (a.at_ms, &a.reference, &a.fact).cmp(&(b.at_ms, &b.reference, &b.fact)));
        Ok(told)
    }

    /// The payment that a fact tells; `None`: it tells none.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn payment(&mut self, fact: &str) -> Result<Option<ToldPayment>, StoreError> {
        let Ok(FactId::Authored { log, seq }) = fact.parse() else { return Ok(None) };
        let Some(row) = self.logs.row(&self.connection, &log, seq)? else { return Ok(None) };
        let mut statement = self.connection.prepare_cached("SELECT reference FROM payment WHERE event = ?1")?;
        let reference: Option<String> = statement.query_row([row], |row| row.get(0)).optional()?;
        drop(statement);
        let Some(reference) = reference else { return Ok(None) };
        let events = self.events_under(&reference)?;
        let Some(told) = events.iter().find(|event| event.log == log && event.seq == seq) else { return Ok(None) };
        let of = |event: &Event| match &event.body {
            crate::domain::event::Body::PaymentReceived(payment) => {
                Some((teller(event), payment.method, payment.amount))
            }
            _ => None,
        };
        let one = known(&events).into_iter().find(|one| of(one.told) == of(told));
        one.map(|one| self.payment_shown(&one)).transpose()
    }

    /// Those that were told from `from_ms` until before `to_ms` and lie behind a place, in their order, at most `most`; `odd`: only those a person
    /// should look at.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn payments_between(
        &mut self,
        (from_ms, to_ms): (i64, i64),
        odd: bool,
        after: Option<&PaymentCursor>,
        most: usize,
    ) -> Result<PaymentPage, StoreError> {
        let first = PaymentCursor { at_ms: from_ms, reference: String::new(), event: i64::MIN };
        let PaymentCursor { at_ms, reference, event } = after.filter(|after| after.at_ms >= from_ms).unwrap_or(&first);
        let places: Vec<PaymentCursor> = {
            let sql = "SELECT at_ms, reference, event FROM payment WHERE at_ms >= ?1 AND at_ms < ?2 \
                       AND (at_ms, reference, event) > (?1, ?3, ?4) ORDER BY at_ms, reference, event LIMIT ?5";
            let mut statement = self.connection.prepare_cached(sql)?;
            let limit = i64::try_from(MOST_LOOKED).unwrap_or(i64::MAX);
            let read = |row: &rusqlite::Row<'_>| {
                Ok(PaymentCursor { at_ms: row.get(0)?, reference: row.get(1)?, event: row.get(2)? })
            };
            statement.query_map((at_ms, to_ms, reference, event, limit), read)?.collect::<Result<_, _>>()?
        };
        let (mut told, looked) = (Vec::new(), places.len());
        // All of a reference, which mostly has one.
        let mut under: (String, Vec<(FactId, ToldPayment)>) = Default::default();
        for (number, place) in places.into_iter().enumerate() {
            let fact = self.logs.fact(&self.connection, place.event)?;
            if under.0 != place.reference {
                let events = self.events_under(&place.reference)?;
                let shown = known(&events).into_iter().map(|one| Ok((one.told.fact_id(), self.payment_shown(&one)?)));
                under = (place.reference.clone(), shown.collect::<Result<_, StoreError>>()?);
            }
            // Told again, it is shown where it counts.
            if let Some((_, payment)) = under.1.iter().find(|(of, _)| *of == fact) {
                told.extend(Some(payment.clone()).filter(|payment| !odd || payment.odd));
            }
            let is_last = number + 1 == looked;
            if told.len() == most && !is_last || is_last && looked == MOST_LOOKED {
                return Ok((told, Some(place)));
            }
        }
        Ok((told, None))
    }

    fn payment_shown(&mut self, one: &Known<'_>) -> Result<ToldPayment, StoreError> {
        let Some(stay) = one.stay() else { return Ok(shown(one, std::slice::from_ref(one), &Family::default())) };
        let family = self.family(stay)?;
        let found = self.known_of(&family.stays)?;
        Ok(shown(one, &family.of(&found), &family))
    }

    /// The stay of that id, or the one that was taken for it since; and the ids of all it counts in place of, with its own.
    fn family(&mut self, stay: &str) -> Result<Family, StoreError> {
        let mut stays = BTreeSet::from([stay.to_owned()]);
        let Some(row) = self.stay_that_counts(stay)? else { return Ok(Family { stays, ..Family::default() }) };
        stays.insert(row.event_id.clone());
        let sql = "SELECT event_id, superseded_by FROM history WHERE plate_id = ?1 AND entry_ms >= ?2 AND entry_ms <= ?3 \
                   AND superseded_by IS NOT NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let span = (&row.plate_id, row.entry_ms.saturating_sub(NEAR_MS), row.entry_ms.saturating_add(NEAR_MS));
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let superseded: Vec<(String, String)> = statement.query_map(span, read)?.collect::<Result<_, _>>()?;
        for _ in 0..MOST_STEPS {
            let more = superseded.iter().filter(|(_, by)| stays.contains(by)).map(|(id, _)| id.clone());
            let more: Vec<String> = more.filter(|id| !stays.contains(id)).collect();
            if more.is_empty() {
                break;
            }
            stays.extend(more);
        }
        drop(statement);
        let exit = self.exit_fact(&row.event_id)?;
        Ok(Family { row: Some(row), exit, stays })
    }

    fn exit_fact(&mut self, stay: &str) -> Result<Option<FactId>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT exit_event FROM history WHERE event_id = ?1")?;
        let event: Option<Value> = statement.query_row([stay], |row| row.get(0)).optional()?;
        drop(statement);
        Ok(match event {
            Some(Value::Integer(event)) => Some(self.logs.fact(&self.connection, event)?),
            Some(Value::Blob(digest)) => <[u8; 32]>::try_from(digest).ok().map(FactId::Heard),
            _ => None,
        })
    }

    /// What is told under each reference of which something is said to be for one of these stays.
    fn known_of(&mut self, stays: &BTreeSet<String>) -> Result<Vec<Vec<Event>>, StoreError> {
        let mut references = BTreeSet::new();
        for stay in stays {
            let sql = "SELECT reference FROM payment WHERE stay = ?1 \
                       UNION ALL SELECT reference FROM payment_assigned WHERE stay = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let found = statement.query_map([stay], |row| row.get::<_, String>(0))?;
            references.extend(found.collect::<Result<Vec<_>, _>>()?);
        }
        references.iter().map(|reference| self.events_under(reference)).collect()
    }

    fn events_under(&self, reference: &str) -> Result<Vec<Event>, StoreError> {
        let sql = format!("SELECT bytes FROM event WHERE id IN ({PAYMENTS_UNDER})");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([reference])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.extend(Event::parse(&read_event(row.get_ref(0)?)?).ok());
        }
        Ok(events)
    }

    /// The stay of that id, or the one that was taken for it since.
    pub(super) fn stay_that_counts(&mut self, stay: &str) -> Result<Option<HistoryRow>, StoreError> {
        let mut row = self.stay(stay)?;
        for _ in 0..MOST_STEPS {
            let Some(next) = row.as_ref().and_then(|row| row.superseded_by.clone()) else { break };
            row = self.stay(&next)?;
        }
        Ok(row)
    }

    /// The stay that a transfer is for by what it says, one of `contents`: of a car inside, of one that left since `since_ms`, or of one that was taken
    /// for another since.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn stay_of_content(&mut self, contents: &[String], since_ms: i64) -> Result<Option<String>, StoreError> {
        if contents.is_empty() {
            return Ok(None);
        }
        let inside = "SELECT event_id FROM history WHERE status = 'IN' AND status <> 'OUT'".to_owned();
        let left = format!(
            "SELECT event_id FROM history WHERE exit_ms >= {since_ms} ORDER BY exit_ms DESC LIMIT {MOST_ENDED}"
        );
        let superseded = format!(
            "SELECT event_id FROM history WHERE status = 'SUPERSEDED' AND status <> 'OUT' AND entry_ms >= {since_ms} \
             ORDER BY entry_ms DESC LIMIT {MOST_ENDED}"
        );
        let mut found = None;
        for sql in [inside, left, superseded] {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                let stay = row.get_ref(0)?.as_str().map_err(|_| StoreError::Value("event_id".into()))?;
                if contents.contains(&content_of(stay)) {
                    found = Some(stay.to_owned());
                    break;
                }
            }
            if found.is_some() {
                break;
            }
        }
        let Some(stay) = found else { return Ok(None) };
        let counts = self.stay_that_counts(&stay)?;
        Ok(Some(counts.map_or(stay, |row| row.event_id)))
    }
}

/// The plate that the id of a stay was made of.
fn plate_in(stay: Option<&str>) -> Option<String> {
    let text = stay?.split('~').next()?.rsplit('_').next()?;
    PlateId::parse(text).ok().as_ref().map(plate::view)
}

/// `of_stay`: all that came in for its stay, of which `family` is what is known.
fn shown(one: &Known<'_>, of_stay: &[Known<'_>], family: &Family) -> ToldPayment {
    let PaymentReceived { reference, method, amount, text, .. } = one.payment;
    let row = family.row.as_ref();
    let state = state_of(one, of_stay, family);
    // Whoever assigned it knew how the car had left.
    let is_seen = matches!(state, PaymentState::OtherAmount | PaymentState::Left)
        && one.assigned.is_some_and(|(_, said)| said.exit.is_some() && said.exit == family.exit);
    ToldPayment {
        fact: one.told.fact_id().to_string(),
        reference: reference.clone(),
        at_ms: one.told.timestamp_ms,
        method: method.name().to_owned(),
        amount: amount.0,
        stay: one.stay().map(str::to_owned),
        plate_view: row.map(|row| row.plate_view.clone()).or_else(|| plate_in(one.stay())),
        text: text.clone(),
        by: Some(teller(one.told)).filter(|by| !by.is_empty()),
        state: state.name(),
        odd: state.is_odd() && !is_seen,
        assigned_by: one.assigned.map(|(said, _)| teller(said)),
        assigned_ms: one.assigned.map(|(said, _)| said.timestamp_ms),
        reason: one.assigned.map(|(_, assigned)| assigned.reason.clone()),
        conflicts_with: one
            .contradicts
            .map(|other| OtherPayment { method: other.method.name(), amount: other.amount.0 }),
    }
}

fn state_of(one: &Known<'_>, of_stay: &[Known<'_>], family: &Family) -> PaymentState {
    if one.is_done() {
        return PaymentState::Done;
    }
    if one.is_conflict() {
        return PaymentState::Conflict;
    }
    let Some(row) = family.row.as_ref().filter(|row| row.status != "VOID") else { return PaymentState::Unknown };
    if row.exit_ms.is_none() {
        return if row.status == "IN" { PaymentState::Waiting } else { PaymentState::Left };
    }
    let codes: Vec<String> = family.stays.iter().map(|stay| content_of(stay)).collect();
    match row.payment.paid.as_ref().and_then(|paid| said_of(one, of_stay, &codes, paid)) {
        None => PaymentState::Left,
        // Until a person corrects the fee.
        Some(true) if row.payment.unpaid != 0 && row.collected == row.fee => PaymentState::OtherAmount,
        Some(true) if row.payment.paid.as_ref().is_some_and(|paid| paid.total() == Vnd(row.collected)) => {
            PaymentState::Settled
        }
        Some(_) => PaymentState::OtherAmount,
    }
}

/// Whether an exit says as much of a payment as came in; `None`: it says nothing of it. `of_stay`: what came in for its stay, whose `codes` our
/// own QR codes gave to transfers.
///
/// A way that names a payment is for that one alone. Those by a code, or without a reference, are for all the others together: so what came in
/// twice is not said by either.
fn said_of(one: &Known<'_>, of_stay: &[Known<'_>], codes: &[String], paid: &Paid) -> Option<bool> {
    let counting: Vec<&PaymentReceived> =
        of_stay.iter().filter(|other| other.counts()).map(|other| other.payment).collect();
    let sum = |parts: &[Vnd]| parts.iter().copied().sum::<Vnd>();
    let all = sum(&counting.iter().map(|payment| payment.amount).collect::<Vec<_>>());
    let names = |told: Option<&str>, payment: &PaymentReceived| told == Some(payment.reference.as_str());
    // As gates told it that had one way: the last of several means all.
    let means_all = paid.also.is_empty()
        && paid.amount == all
        && counting.iter().any(|payment| names(paid.reference.as_deref(), payment));
    let named = paid.ways().filter(|(.., told)| names(*told, one.payment));
    let named: Vec<Vnd> = named.map(|(_, part, _)| part).collect();
    if !named.is_empty() {
        return Some(means_all || sum(&named) == one.payment.amount);
    }
    let mut others = counting;
    others.retain(|payment| !paid.ways().any(|(.., told)| names(told, payment)));
    let is_of_a_bank = |method: Method| {
        matches!(method, Method::Qr | Method::Transfer) || others.iter().any(|payment| payment.method == method)
    };
    let is_for_them = |told: Option<&str>| told.is_none_or(|told| codes.iter().any(|code| code == told));
    let shared = paid.ways().filter(|(method, _, told)| is_of_a_bank(*method) && is_for_them(*told));
    let shared: Vec<Vnd> = shared.map(|(_, part, _)| part).collect();
    if shared.is_empty() {
        return means_all.then_some(true);
    }
    Some(sum(&shared) == sum(&others.iter().map(|payment| payment.amount).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doer::{Doer, DoerKind};
    use crate::domain::event::Body;
    use crate::domain::ids::Hlc;
    use crate::domain::payment::PaidToo;

    fn told(seq: u64, reference: &str, method: Method, amount: i64) -> Event {
        let (reference, stay, amount) = (reference.to_owned(), Some("S".to_owned()), Vnd(amount));
        Event {
            log: "central-1/08d9a3bd83fce662".parse().unwrap(),
            seq,
            hlc: Hlc::new(i64::try_from(seq).unwrap()).unwrap(),
            timestamp_ms: 1,
            skew_ms: None,
            source_central: "central-1".into(),
            event_id: None,
            heard_from: None,
            by: Some(Doer::new(DoerKind::Token, "bank")),
            body: Body::PaymentReceived(PaymentReceived { reference, method, amount, stay, text: None }),
        }
    }

    /// 10,000 by transfer and 15,000 by QR came in for a stay; what its exit says of either.
    #[test]
    fn an_exit_says_a_payment_by_its_reference_or_else_by_way_and_amount() {
        let code = content_of("S");
        let paid = |ways: &[(Method, i64, Option<&str>)]| {
            let way = |(method, amount, reference): &(Method, i64, Option<&str>)| PaidToo {
                method: *method,
                amount: Vnd(*amount),
                reference: reference.map(str::to_owned),
            };
            let mut also: Vec<PaidToo> = ways.iter().map(way).collect();
            let PaidToo { method, amount, reference } = also.remove(0);
            Paid { method, amount, reference, also }
        };
        let (transfer, qr, cash) = (Method::Transfer, Method::Qr, Method::Cash);
        let events = [told(1, "FT1", transfer, 10_000), told(2, "FT2", qr, 15_000)];
        let of_stay: Vec<Known<'_>> = events.iter().flat_map(|event| known(std::slice::from_ref(event))).collect();
        for (ways, expected) in [
            (vec![(transfer, 10_000, Some("FT1")), (qr, 15_000, Some("FT2"))], [Some(true), Some(true)]),
            (vec![(cash, 15_000, None), (transfer, 10_000, Some("FT1"))], [Some(true), None]),
            (vec![(transfer, 9_000, Some("FT1"))], [Some(false), None]),
            (vec![(qr, 25_000, Some(&code))], [Some(true), Some(true)]),
            // As gates told it that had one way: the last of several means all.
            (vec![(qr, 25_000, Some("FT2"))], [Some(true), Some(true)]),
            (vec![(transfer, 25_000, None)], [Some(true), Some(true)]),
            (vec![(transfer, 10_000, None)], [Some(false), Some(false)]),
            // The way was changed after the code was shown.
            (vec![(Method::Card, 25_000, Some(&code))], [None, None]),
            // Another payment, as much as it is.
            (vec![(transfer, 10_000, Some("FT9"))], [None, None]),
            (vec![(cash, 25_000, None)], [None, None]),
        ] {
            let codes = std::slice::from_ref(&code);
            let said: Vec<_> = of_stay.iter().map(|one| said_of(one, &of_stay, codes, &paid(&ways))).collect();
            assert_eq!(said, expected, "{ways:?}");
        }
        // Paid twice.
        let twice = [told(1, "FT1", transfer, 20_000), told(2, "FT2", transfer, 20_000)];
        let of_stay: Vec<Known<'_>> = twice.iter().flat_map(|event| known(std::slice::from_ref(event))).collect();
        for (ways, expected) in [
            (vec![(qr, 20_000, Some(code.as_str()))], [Some(false), Some(false)]),
            (vec![(transfer, 20_000, None)], [Some(false), Some(false)]),
            (vec![(transfer, 20_000, Some("FT1"))], [Some(true), None]),
            (vec![(transfer, 40_000, None)], [Some(true), Some(true)]),
        ] {
            let codes = std::slice::from_ref(&code);
            let said: Vec<_> = of_stay.iter().map(|one| said_of(one, &of_stay, codes, &paid(&ways))).collect();
            assert_eq!(said, expected, "{ways:?}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for reference in ["FT1", "a_b_c", ""] {
            let cursor = PaymentCursor { at_ms: -5, reference: reference.to_owned(), event: 7 };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "1", "1_2", "x_2_FT"] {
            assert!(wrong.parse::<PaymentCursor>().is_err(), "{wrong}");
        }
    }
}
