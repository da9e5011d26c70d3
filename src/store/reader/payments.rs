//! Payments that banks and providers told of, and what became of each by the stay it is for.

use rusqlite::Row;
use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;
use super::rows::HistoryRow;
use crate::domain::money::Vnd;
use crate::domain::payment::Method;
use crate::domain::plate::{self, PlateId};
use crate::domain::vietqr::content_of;
use crate::store::error::StoreError;

/// Of stays that ended so many at most are tried whether a transfer is for them.
const MOST_ENDED: i64 = 50_000;
/// Stays that were taken for one another are followed so far.
const MOST_STEPS: usize = 8;

/// Told twice, as in a cut, the first that names a stay counts, else the first: by clock, and of two with one clock by the name of the
/// log, as the numbers of logs are this file's own.
const FIRST: &str = "NOT EXISTS (SELECT 1 FROM payment AS earlier WHERE earlier.reference = payment.reference \
                     AND (earlier.stay IS NULL, earlier.hlc, (SELECT name FROM log WHERE no = earlier.event >> 40), earlier.event) \
                     < (payment.stay IS NULL, payment.hlc, (SELECT name FROM log WHERE no = payment.event >> 40), payment.event))";
const COLUMNS: &str = "event, at_ms, reference, stay, method, amount, text, told_by";

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
        }
    }

    /// Whether a person should look at it.
    #[must_use]
    pub fn is_odd(self) -> bool {
        matches!(self, Self::OtherAmount | Self::Left | Self::Unknown)
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
    /// The stay it is for, as far as its author knew.
    pub stay: Option<String>,
    /// Of that stay, where it is known here.
    pub plate_view: Option<String>,
    /// What the transfer says it is for.
    pub text: Option<String>,
    /// By whose token it was told: `token:bank`.
    pub by: Option<String>,
    /// `waiting`: the car is inside; `settled`: its exit says it was paid by it; `other_amount`: so, and another amount was taken; `left`: the
    /// car has left, and its exit says something else; `unknown`: no stay is known that it is for.
    #[schema(pattern = "^(waiting|settled|other_amount|left|unknown)$")]
    pub state: &'static str,
}

impl Reader {
    /// Those of a stay, in their order.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn payments_of(&mut self, stay: &str) -> Result<Vec<ToldPayment>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM payment WHERE stay = ?1 AND {FIRST} ORDER BY at_ms, reference");
        self.payments(&sql, [stay], |_| true)
    }

    /// Those that were told from `from_ms` until before `to_ms`, in their order, at most `most`; `odd`: only those a person should look at.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn payments_between(
        &mut self,
        from_ms: i64,
        to_ms: i64,
        odd: bool,
        most: usize,
    ) -> Result<Vec<ToldPayment>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM payment WHERE at_ms >= ?1 AND at_ms < ?2 AND {FIRST} ORDER BY at_ms, reference"
        );
        let mut found = self.payments(&sql, (from_ms, to_ms), |state| !odd || state.is_odd())?;
        found.truncate(most);
        Ok(found)
    }

    fn payments(
        &mut self,
        sql: &str,
        parameters: impl rusqlite::Params,
        is_asked: impl Fn(PaymentState) -> bool,
    ) -> Result<Vec<ToldPayment>, StoreError> {
        let read = |row: &Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                ToldPayment {
                    fact: String::new(),
                    at_ms: row.get(1)?,
                    reference: row.get(2)?,
                    stay: row.get(3)?,
                    plate_view: None,
                    method: row.get(4)?,
                    amount: row.get(5)?,
                    text: row.get(6)?,
                    by: row.get(7)?,
                    state: "",
                },
            ))
        };
        let rows: Vec<_> = {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(parameters, read)?.collect::<Result<_, _>>()?
        };
        let mut told = Vec::new();
        for (event, payment) in rows {
            let row = payment.stay.as_deref().map(|stay| self.stay_that_counts(stay)).transpose()?.flatten();
            let all = payment.stay.as_deref().map(|stay| self.paid_for(stay)).transpose()?;
            let state = state_of(&payment, all.unwrap_or(payment.amount), row.as_ref());
            if is_asked(state) {
                let fact = self.logs.fact(&self.connection, event)?.to_string();
                let plate_view = row.map(|row| row.plate_view).or_else(|| plate_in(payment.stay.as_deref()));
                told.push(ToldPayment { fact, plate_view, state: state.name(), ..payment });
            }
        }
        Ok(told)
    }

    /// What came in for a stay in all.
    fn paid_for(&self, stay: &str) -> Result<i64, StoreError> {
        let sql = format!("SELECT coalesce(sum(amount), 0) FROM payment WHERE stay = ?1 AND {FIRST}");
        Ok(self.connection.prepare_cached(&sql)?.query_row([stay], |row| row.get(0))?)
    }

    /// The stay of that id, or the one that was taken for it since.
    fn stay_that_counts(&mut self, stay: &str) -> Result<Option<HistoryRow>, StoreError> {
        let mut row = self.stay(stay)?;
        for _ in 0..MOST_STEPS {
            let Some(next) = row.as_ref().and_then(|row| row.superseded_by.clone()) else { break };
            row = self.stay(&next)?;
        }
        Ok(row)
    }

    /// The stay that a transfer is for by what it says, one of `contents`: of a car inside, or of one that left since `since_ms`.
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
        for sql in [inside, left] {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                let stay = row.get_ref(0)?.as_str().map_err(|_| StoreError::Value("event_id".into()))?;
                if contents.contains(&content_of(stay)) {
                    return Ok(Some(stay.to_owned()));
                }
            }
        }
        Ok(None)
    }
}

/// The plate that the id of a stay was made of.
fn plate_in(stay: Option<&str>) -> Option<String> {
    let text = stay?.split('~').next()?.rsplit('_').next()?;
    PlateId::parse(text).ok().as_ref().map(plate::view)
}

/// `all`: what came in for that stay in all.
fn state_of(payment: &ToldPayment, all: i64, row: Option<&HistoryRow>) -> PaymentState {
    let Some(row) = row.filter(|row| row.status != "VOID") else { return PaymentState::Unknown };
    if row.exit_ms.is_none() {
        return if row.status == "IN" { PaymentState::Waiting } else { PaymentState::Left };
    }
    let told = row.payment.paid.as_ref();
    let is_named = |reference: &str| {
        reference == payment.reference || payment.stay.as_deref().is_some_and(|stay| reference == content_of(stay))
    };
    // A gate that says no reference says at least that it was not paid in cash; one that names the last of several means all of them.
    let same_way = |method: Method| method.name() == payment.method || matches!(method, Method::Qr | Method::Transfer);
    let Some(paid) = told else { return PaymentState::Left };
    let way = paid.ways().find(|(method, _, told)| same_way(*method) && told.is_none_or(is_named));
    let is_all = same_way(paid.method) && paid.total() == Vnd(all);
    match way {
        None if !is_all => PaymentState::Left,
        _ if all == row.collected => PaymentState::Settled,
        // The rest of the fee was paid in another way.
        Some((_, part, _)) if part == Vnd(payment.amount) && paid.total() == Vnd(row.collected) => {
            PaymentState::Settled
        }
        _ => PaymentState::OtherAmount,
    }
}
