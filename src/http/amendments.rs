//! What people change afterwards: `PUT` and `DELETE /api/parking/history/{event_id}`.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::Sent;
use super::operation::{Answered, Operation, delete, ok, put};
use super::parking::{DECIDED, decide};
use super::state::Worker;
use crate::access::right::Need;
use crate::domain::audit::Kind;
use crate::domain::money::Vnd;
use crate::domain::plate::{self, PlateId};
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::told::vehicle::{self, ToldVehicle};
use crate::domain::told::{self, Note};
use crate::gates::request::{PaidTold, from_login};
use crate::ledger::job::{Answer, CorrectStay, Job, VoidStay};

const OF_A_STAY: &[Code] = &[Code::NotFound, Code::AlreadyVoid];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        put(
            "/api/parking/history/{event_id}",
            Need::Amend,
            correct,
            "Correct plate, type, fee or way of payment of a stay, or take back its removal.",
        )
        .body::<CorrectionRequest>()
        .answers::<Amended<'_>>("The stay as it now is")
        .refuses(DECIDED)
        .refuses(OF_A_STAY)
        .refuses(&[Code::Unchanged]),
        delete("/api/parking/history/{event_id}", Need::Amend, void, "Remove a stay that did not happen.")
            .body::<VoidRequest>()
            .answers::<Amended<'_>>("The stay as it now is")
            .refuses(DECIDED)
            .refuses(OF_A_STAY),
    ]
}

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// A correction as sent: at least one of the first eight. Keys that are not here are ignored.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(default)]
pub struct CorrectionRequest {
    /// As people write it.
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    plate_id: Option<String>,
    /// A way to write the plate.
    #[schema(max_length = 20)]
    plate_view: Option<String>,
    /// The type of vehicle, in any of its spellings. What was taken stays as it is.
    #[schema(max_length = 32, pattern = "[^\\s]")]
    camera_type: Option<String>,
    /// What was really taken at the exit, in đồng.
    #[schema(minimum = 0, maximum = 100_000_000)]
    fee: Option<i64>,
    /// How it was really paid at the exit: a method, or `{method, reference}`; in several ways: a list of `{method, amount, reference}`, of which
    /// one may go without an amount and is paid what is left. What was taken stays as it is.
    #[schema(value_type = Option<PaidTold>)]
    paid: Option<Value>,
    /// What was paid beyond what was taken was given back, at second exits too, whether or not it is known how it was paid.
    excess_given_back: bool,
    /// The exit was that of this car, and not of the one of this stay, which is inside still. Sent alone.
    #[schema(pattern = "^[ .-]*([A-Za-z0-9Đđ][ .-]*){6,12}$")]
    exit_plate_id: Option<String>,
    /// `false`: it was removed and is not; with it comes back what was removed.
    void: Option<bool>,
    #[schema(required, nullable = false, pattern = "[^\\s]", max_length = 500)]
    reason: Option<String>,
    /// Not used: who changes it is known by the login or token.
    #[schema(value_type = Option<String>)]
    by: Option<Value>,
}

/// A removal as sent. Keys that are not here are ignored.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(default)]
pub struct VoidRequest {
    #[schema(required, nullable = false, pattern = "[^\\s]", max_length = 500)]
    reason: Option<String>,
    /// Not used: who removes it is known by the login or token.
    #[schema(value_type = Option<String>)]
    by: Option<Value>,
}

/// A stay after what a person changed. All but the first four are null where the row went up in another.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Amended<'a> {
    message: &'a str,
    event_id: &'a str,
    /// The event that made it so.
    version: &'a str,
    status: Option<&'a str>,
    plate_id: Option<&'a str>,
    plate_view: Option<&'a str>,
    camera_type: Option<&'a str>,
    /// All that was taken for it, as corrected.
    collected: Option<i64>,
    /// The stay that counts in its place.
    superseded_by: Option<&'a str>,
    /// What was told and is not used. Absent: all is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// `PUT /api/parking/history/{event_id}`
pub async fn correct(
    path: web::Path<String>,
    caller: Caller,
    Sent(correction): Sent<CorrectionRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let notes = notes(correction.by.as_ref());
    let job = correction.into_job(path.into_inner()).map_err(|problems| ApiError::bad_fields(&problems))?;
    let act = caller.act(Kind::Correction, &job.stay_id);
    amend(&worker, Job::Correct(job).audited(act).by(caller.who.doer()), "Đã sửa lượt gửi xe", notes).await
}

/// `DELETE /api/parking/history/{event_id}`
pub async fn void(
    path: web::Path<String>,
    caller: Caller,
    Sent(void): Sent<VoidRequest>,
    worker: web::Data<Worker>,
) -> Answered {
    let notes = notes(void.by.as_ref());
    let job = void.into_job(path.into_inner()).map_err(|problems| ApiError::bad_fields(&problems))?;
    let act = caller.act(Kind::Void, &job.stay_id);
    amend(&worker, Job::Void(job).audited(act).by(caller.who.doer()), "Đã hủy lượt gửi xe", notes).await
}

async fn amend(worker: &Worker, job: Job, message: &str, notes: Vec<Note>) -> Answered {
    match decide(worker, job).await? {
        Answer::Amended { stay_id, version, row } => {
            let row = row.as_ref().map(|stored| &stored.row);
            Ok(ok(Amended {
                message,
                event_id: &stay_id,
                version: &version,
                status: row.map(|row| row.status.name()),
                plate_id: row.map(|row| row.plate_id.as_str()),
                plate_view: row.map(|row| row.plate_view.as_str()),
                camera_type: row.map(|row| row.camera_type.as_str()),
                collected: row.map(|row| row.collected.0),
                superseded_by: row.and_then(|row| row.superseded_by.as_deref()),
                notes,
            }))
        }
        _ => Err(ApiError::internal()),
    }
}

impl CorrectionRequest {
    fn into_job(self, stay_id: String) -> Result<CorrectStay, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (plate_id, plate_view) = (given(self.plate_id), given(self.plate_view));
        let restore = self.void == Some(false);
        let camera_type = given(self.camera_type).and_then(|text| match vehicle::read(&text) {
            ToldVehicle::Known(name) => Some(name.to_owned()),
            ToldVehicle::Other(name) => Some(name),
            ToldVehicle::Nothing => {
                let (vi, en) = ("hãy chọn loại xe", "name a type of vehicle");
                problems.push(FieldProblem::new("camera_type", "missing", vi, en));
                None
            }
        });
        let fee = self.fee.map(Vnd);
        if fee.is_some_and(|fee| !(Vnd(0)..=Vnd::MAX_TOLD).contains(&fee)) {
            let (vi, en) = Vnd::out_of_range(Vnd(0), Vnd::MAX_TOLD);
            problems.push(FieldProblem::new("fee", "out_of_range", vi, en));
        }
        let paid = told::payment::read(self.paid.as_ref()).unwrap_or_else(|error| {
            problems.push(FieldProblem::new(error.field(), "invalid", "hãy chọn cách trả", error.to_string()));
            None
        });
        if paid.as_ref().is_some_and(|paid| paid.also.is_empty() && paid.amount.is_some()) {
            let (vi, en) = ("số tiền đã thu sửa ở fee", "what was taken is corrected by fee");
            problems.push(FieldProblem::new("paid.amount", "invalid", vi, en));
        }
        if self.void == Some(true) {
            let (vi, en) = ("để hủy lượt, gửi DELETE", "to remove a stay, send DELETE");
            problems.push(FieldProblem::new("void", "invalid", vi, en));
        }
        let nothing = plate_id.is_none() && plate_view.is_none() && camera_type.is_none() && fee.is_none();
        let nothing = nothing && self.paid.as_ref().is_none_or(Value::is_null) && !restore && !self.excess_given_back;
        let exit_plate_id = given(self.exit_plate_id);
        if exit_plate_id.is_some() && !nothing {
            let (vi, en) = ("hãy gửi riêng, chỉ cùng lý do", "send it alone, with the reason");
            problems.push(FieldProblem::new("exit_plate_id", "invalid", vi, en));
        }
        if nothing && exit_plate_id.is_none() && problems.is_empty() {
            problems.push(FieldProblem::new(
                "plate_id",
                "missing",
                "hãy cho biết cần sửa gì: plate_id, plate_view, camera_type, fee, paid, excess_given_back, exit_plate_id, hoặc void: false",
                "say what to correct: plate_id, plate_view, camera_type, fee, paid, excess_given_back, exit_plate_id, or void: false",
            ));
        }
        let mut read = |field: &'static str, text: String| match PlateId::alone(&text) {
            Ok(plate) => Some(plate),
            Err(error) => {
                problems.push(FieldProblem::new(
                    field,
                    "invalid_plate",
                    "biển số gồm 6 đến 12 chữ A-Z và số, không kể dấu cách, '-' và '.'",
                    error.to_string(),
                ));
                None
            }
        };
        let plate = plate_id.and_then(|text| read("plate_id", text));
        let exit_plate = exit_plate_id.and_then(|text| read("exit_plate_id", text));
        let plate_view = plate_view.and_then(|text| match plate::check_view(&text) {
            Ok(view) => view.map(str::to_owned),
            Err(error) => {
                problems.push(FieldProblem::new(
                    "plate_view",
                    "bad_text",
                    "cách ghi biển số tối đa 20 ký tự, không có ký tự điều khiển",
                    error.to_string(),
                ));
                None
            }
        });
        let reason = reason(self.reason, &mut problems);
        if problems.is_empty() {
            let excess_back = self.excess_given_back;
            Ok(CorrectStay {
                stay_id,
                plate,
                plate_view,
                camera_type,
                fee,
                paid,
                excess_back,
                exit_plate,
                restore,
                reason,
            })
        } else {
            Err(problems)
        }
    }
}

impl VoidRequest {
    fn into_job(self, stay_id: String) -> Result<VoidStay, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let reason = reason(self.reason, &mut problems);
        if problems.is_empty() { Ok(VoidStay { stay_id, reason }) } else { Err(problems) }
    }
}

/// What was changed is asked about later, so nothing is changed without a reason.
fn reason(text: Option<String>, problems: &mut Vec<FieldProblem>) -> String {
    let text = text.unwrap_or_default().trim().to_owned();
    if text.is_empty() {
        let (vi, en) = ("hãy ghi lý do", "say why: a reason is kept with every change");
        problems.push(FieldProblem::new("reason", "missing", vi, en));
    } else if !is_plain_text(&text, MAX_REASON_CHARS) {
        problems.push(FieldProblem::bad_text("reason", MAX_REASON_CHARS));
    }
    text
}

/// Who says who does it is told that it is not his to say.
fn notes(by: Option<&Value>) -> Vec<Note> {
    by.filter(|by| !by.is_null()).map(|_| from_login("by")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(json: serde_json::Value) -> Vec<(String, &'static str)> {
        let request: CorrectionRequest = serde_json::from_value(json).unwrap();
        let problems = request.into_job("S".to_owned()).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.field, problem.code)).collect()
    }

    #[test]
    fn a_correction_says_what_and_why() {
        assert_eq!(problems(json!({"plate_id": "29a-123.45", "reason": "đọc nhầm"})), []);
        assert_eq!(problems(json!({"plate_view": "29A-123.45", "reason": "x", "by": "Lan"})), []);
        assert_eq!(problems(json!({"exit_plate_id": "29A-123.45", "reason": "x"})), []);
        assert_eq!(problems(json!({"paid": {"method": "chuyển khoản", "reference": "FT1"}, "reason": "x"})), []);
        assert_eq!(problems(json!({"camera_type": "xe máy", "fee": 0, "void": false, "reason": "x"})), []);
        for (json, expected) in [
            (json!({"reason": "x"}), vec![("plate_id", "missing")]),
            (json!({"plate_id": " ", "reason": "x"}), vec![("plate_id", "missing")]),
            (json!({"plate_id": "29A12345"}), vec![("reason", "missing")]),
            (json!({"camera_type": "unknown", "reason": "x"}), vec![("camera_type", "missing")]),
            (json!({"fee": -1, "reason": "x"}), vec![("fee", "out_of_range")]),
            (json!({"fee": 100_000_001, "reason": "x"}), vec![("fee", "out_of_range")]),
            (json!({"paid": "gold", "reason": "x"}), vec![("paid.method", "invalid")]),
            (json!({"paid": 5, "reason": "x"}), vec![("paid", "invalid")]),
            (json!({"paid": {"method": "cash", "amount": 1}, "reason": "x"}), vec![("paid.amount", "invalid")]),
            (json!({"paid": null, "reason": "x"}), vec![("plate_id", "missing")]),
            (json!({"void": true, "reason": "x"}), vec![("void", "invalid")]),
            (json!({"exit_plate_id": "29A1", "reason": "x"}), vec![("exit_plate_id", "invalid_plate")]),
            (json!({"exit_plate_id": "29A12345", "fee": 1, "reason": "x"}), vec![("exit_plate_id", "invalid")]),
            (json!({"fee": 0}), vec![("reason", "missing")]),
            (json!({"plate_id": "29A12345", "reason": " \t"}), vec![("reason", "missing")]),
            (json!({"plate_id": "29A1", "reason": "x"}), vec![("plate_id", "invalid_plate")]),
            (json!({"plate_id": "29A1234?", "reason": ""}), vec![("plate_id", "invalid_plate"), ("reason", "missing")]),
            (json!({"plate_view": "x".repeat(21), "reason": "x"}), vec![("plate_view", "bad_text")]),
            (json!({"plate_id": "29A12345", "reason": "x".repeat(501)}), vec![("reason", "bad_text")]),
            (json!({"plate_id": "29A12345", "reason": "a\u{7}b", "by": "x".repeat(101)}), vec![("reason", "bad_text")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(field, code)| (field.to_owned(), code)).collect();
            assert_eq!(problems(json.clone()), expected, "{json}");
        }
    }

    #[test]
    fn blanks_around_a_reason_are_not_kept() {
        let request = VoidRequest { reason: Some("  nhầm xe ".to_owned()), by: None };
        let job = request.into_job("S".to_owned()).unwrap();
        assert_eq!(job.reason, "nhầm xe");
    }
}
