//! What somebody changed, told beside the change and in its transaction: neither is there without the other.
//!
//! What is refused, and what changes nothing, leaves no entry here: refusals are told by who refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::audit::{AuditEntry, changes};

use super::job::{Answer, Audited, Job, OpenBarrier};
use super::storage::Storage;
use super::transaction::{Stop, Transaction};

/// What a job changes.
enum Subject {
    Tariff,
    /// For that moment.
    Announced(i64),
    /// Those with these ids.
    Subscriptions(Vec<String>),
    /// Of the certificate with this fingerprint.
    Standing(String),
    /// And the reason that was given.
    Stay(String, Value),
    /// What the payment that a fact tells is for, and the reason that was given.
    Payment(String, Value),
    Car(Box<OpenBarrier>),
    Other,
}

impl<S: Storage> Transaction<'_, S> {
    pub(super) fn audited(&mut self, audited: Audited) -> Result<Answer, Stop<S::Error>> {
        let Audited { job, act } = audited;
        let subject = self.subject(&job)?;
        let before = self.picture(&subject)?;
        let writes = self.writes();
        let answer = self.decide(job)?;
        if self.writes() == writes {
            return Ok(answer);
        }
        let (was, is) = match &subject {
            Subject::Car(request) => (before, opened(request, &answer)),
            Subject::Stay(_, said) | Subject::Payment(_, said) => {
                let (was, is) = changes(&before, &self.picture(&subject)?);
                (was, with(is, said))
            }
            _ => changes(&before, &self.picture(&subject)?),
        };
        let entry = act.done(self.now.wall_ms, was, is);
        self.write()?.put_audit(&entry)?;
        Ok(answer)
    }

    pub(super) fn audit(&mut self, entries: &[AuditEntry]) -> Result<Answer, Stop<S::Error>> {
        for entry in entries {
            self.write()?.put_audit(entry)?;
        }
        Ok(Answer::Noted)
    }

    fn subject(&mut self, job: &Job) -> Result<Subject, S::Error> {
        Ok(match job {
            Job::PutTariff(_) => Subject::Tariff,
            Job::Announce(list) => list.valid_from_ms.map_or(Subject::Other, Subject::Announced),
            Job::ChangeSubscriptions(changes) => {
                Subject::Subscriptions(changes.iter().map(|(id, _)| id.clone()).collect())
            }
            Job::PutStanding(standing) => Subject::Standing(standing.fingerprint.to_string()),
            Job::Correct(request) => Subject::Stay(request.stay_id.clone(), json!({ "reason": request.reason })),
            Job::Void(request) => Subject::Stay(request.stay_id.clone(), json!({ "reason": request.reason })),
            Job::AssignPayment(request) => Subject::Payment(request.fact.clone(), json!({ "reason": request.reason })),
            Job::ReportChange(change) => {
                let stay_id = self.stay_reported_as(&change.edge_id, &change.event_id)?;
                Subject::Stay(stay_id, json!({ "edge": change.edge_id }))
            }
            Job::Open(request) => Subject::Car(Box::new(request.clone())),
            Job::By(done) => return self.subject(&done.job),
            _ => Subject::Other,
        })
    }

    /// How what is changed looks just now.
    fn picture(&mut self, subject: &Subject) -> Result<Value, S::Error> {
        Ok(match subject {
            Subject::Tariff => json!(*self.settings().tariff_at(self.now.wall_ms).0),
            Subject::Announced(from_ms) => {
                let mut ahead = self.settings().announced(self.now.wall_ms);
                json!(ahead.find(|(held_ms, ..)| held_ms == from_ms).map(|(_, tariff, _)| tariff))
            }
            Subject::Subscriptions(ids) => {
                let held = ids.iter().filter_map(|id| Some((id, self.settings().subscription(id)?)));
                json!(held.collect::<BTreeMap<_, _>>())
            }
            Subject::Standing(fingerprint) => json!(self.settings().said_last(fingerprint).map(|(said, _)| said)),
            Subject::Stay(stay_id, _) => match self.read()?.stay(stay_id)? {
                Some(stored) => json!({
                    "event_id": stored.row.stay_id,
                    "plate_id": stored.row.plate_id.as_str(),
                    "plate_view": stored.row.plate_view,
                    "camera_type": stored.row.camera_type,
                    "status": stored.row.status.name(),
                    "collected": stored.row.collected.0,
                }),
                None => Value::Null,
            },
            Subject::Payment(fact, _) => {
                let (stay, done, _) = self.assigned(fact)?.unwrap_or_default();
                json!({ "payment": fact, "event_id": stay, "done": done })
            }
            Subject::Car(request) => match self.vehicle_of(request).inside {
                Some(inside) => json!({
                    "event_id": inside.stay_id,
                    "entered_ms": inside.entry_ms,
                    "gate": format!("{}/{}", inside.entry_central, inside.entry_edge),
                    "fee_due": inside.fee.0,
                }),
                None => Value::Null,
            },
            Subject::Other => Value::Null,
        })
    }
}

/// The fields of the first with those of the second.
fn with(fields: Value, more: &Value) -> Value {
    let mut all = fields.as_object().cloned().unwrap_or_default();
    all.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// What a forced opening came to.
fn opened(request: &OpenBarrier, answer: &Answer) -> Value {
    let plate = request.plate.as_str();
    let told = match answer {
        Answer::Entered { event_id, .. } => {
            json!({ "plate_id": plate, "direction": "ENTRY", "event_id": event_id })
        }
        Answer::Exited { event_id, fee, .. } => {
            json!({ "plate_id": plate, "direction": "EXIT", "event_id": event_id, "fee": fee.0 })
        }
        _ => json!({ "plate_id": plate }),
    };
    match &request.reason {
        Some(reason) => with(told, &json!({ "reason": reason })),
        None => told,
    }
}
