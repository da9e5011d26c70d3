//! The old program's tariff and subscriptions.
//!
//! They arrive with the lowest clock there is: whatever a person set, here or at another central that is heard of later, counts
//! against a file.

use serde_json::{Map, Value};

use super::{ImportError, Importer, Outcome, Refusals};
use crate::domain::problem::FieldProblem;
use crate::domain::subscription::{self, Subscription};
use crate::domain::tariff::Tariff;
use crate::ledger::job::{Answer, Job};

/// The fields of a subscription that mean something; the old program's pages may have added others.
const KNOWN: [&str; 9] =
    ["id", "plate_number", "owner_name", "type", "status", "start_date", "end_date", "phone", "note"];
const KNOWN_FEES: [&str; 4] = ["fee_base", "fee_per_hour", "fee_overnight", "fee_daily_max"];

pub(super) fn tariff(importer: &mut Importer, fees: &Value, refusals: Refusals<'_>) -> Result<Outcome, ImportError> {
    let known: Value = match fees {
        Value::Object(fields) => Value::Object(only(fields, &KNOWN_FEES)),
        other => other.clone(),
    };
    let tariff = match Tariff::from_json(&known) {
        Ok(tariff) => tariff,
        Err(problems) => {
            refusals("tariff", &in_words(&problems));
            return Ok(Outcome { refused: 1, ..Outcome::default() });
        }
    };
    let (held, version) = importer.ledger.settings().tariff();
    if version.is_some() {
        if *held == tariff {
            return Ok(Outcome { known: 1, ..Outcome::default() });
        }
        refusals("tariff", "another tariff was set here already; change it on the page if this one is right");
        return Ok(Outcome { refused: 1, ..Outcome::default() });
    }
    importer.decide(Job::ImportTariff(tariff))?;
    Ok(Outcome { taken: 1, events: 1, ..Outcome::default() })
}

pub(super) fn subscriptions(
    importer: &mut Importer,
    list: &[Value],
    refusals: Refusals<'_>,
) -> Result<Outcome, ImportError> {
    let mut outcome = Outcome::default();
    let mut wanted: Vec<Subscription> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let name = |id: &str| format!("subscription {} {id:?}", index + 1);
        match read(item) {
            Ok(read) if wanted.iter().any(|known| known.id == read.id) => {
                outcome.refused += 1;
                refusals(&name(&read.id), "its id stands in the file twice");
            }
            Ok(read) => {
                if importer.ledger.settings().subscription(&read.id) == Some(&read) {
                    outcome.known += 1;
                } else if importer.ledger.settings().is_known_subscription(&read.id) {
                    outcome.refused += 1;
                    refusals(
                        &name(&read.id),
                        "it was changed or removed here already; change it on the page if this one is right",
                    );
                } else {
                    wanted.push(read);
                }
            }
            Err(problems) => {
                outcome.refused += 1;
                let id = item.get("id").map(ToString::to_string).unwrap_or_default();
                refusals(&name(&id), &in_words(&problems));
            }
        }
    }
    if let Answer::SubscriptionsSet { changed, .. } = importer.decide(Job::ImportSubscriptions(wanted))? {
        outcome.taken = changed as u64;
        outcome.events = changed as u64;
    }
    Ok(outcome)
}

/// One entry, however loosely the old pages wrote it.
fn read(item: &Value) -> Result<Subscription, Vec<FieldProblem>> {
    let loose = match item {
        Value::Object(fields) => {
            let mut fields = only(fields, &KNOWN);
            fields.retain(|_, value| !value.is_null());
            for value in fields.values_mut() {
                if value.is_number() {
                    *value = value.to_string().into();
                }
            }
            Value::Object(fields)
        }
        other => other.clone(),
    };
    let mut list = subscription::list_from_json(&Value::Array(vec![loose]))?;
    list.pop().ok_or_else(Vec::new)
}

fn only(fields: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let kept = fields.iter().filter(|(name, _)| known.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn in_words(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
