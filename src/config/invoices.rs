//! Who makes invoices of what is taken at exits: the part `invoices` of the settings. Nothing leaves the machine unless an address stands here.

use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::alarms::{Secret, secret, url};
use super::read::{boolean, plain_text, whole_number};
use super::reader::{ConfigFields, Problems, Wrong};
use crate::domain::problem::FieldProblem;
use crate::domain::time::{SiteZone, is_date};

const AFTER_SECONDS: RangeInclusive<u64> = 0..=3_600;
const SECRET_FIELDS: [&str; 2] = ["url", "token"];

/// The invoice program, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invoices {
    /// Where each exit of this central is told; absent: nowhere. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub url: Option<Secret>,
    /// Sent with it as `Authorization: Bearer`. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Secret>,
    /// The first day of the site whose exits are told, `2026-12-01`: those of before have their invoices elsewhere.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    pub from: Option<String>,
    /// An exit is told so long after it became known: a gate may still take it back, or say what was taken.
    #[schema(maximum = 3_600)]
    pub after_seconds: u32,
    /// Also exits at which nothing was taken.
    pub free: bool,
}

impl Default for Invoices {
    fn default() -> Self {
        Self { url: None, token: None, from: None, after_seconds: 20, free: false }
    }
}

impl Invoices {
    /// From which moment on exits are told where, Unix ms; `None`: nowhere.
    pub fn told_to(&self, zone: &SiteZone) -> Option<(&str, i64)> {
        let from = format!("{} 00:00:00", self.from.as_ref()?);
        // A day without a midnight, by a change of clocks, begins when it begins.
        let from_ms = zone.parse_local_text(&from).ok()?;
        Some((&self.url.as_ref()?.0, from_ms))
    }

    /// `text` without what is nobody's business, whoever said it.
    pub fn hide(&self, text: &str) -> String {
        Secret::hide_all([&self.url, &self.token].into_iter().flatten(), text)
    }
}

/// Takes out of settings as JSON what is nobody's business; gives the names of what is set.
pub fn take_secrets(settings: &mut Value) -> Vec<&'static str> {
    let Some(invoices) = settings.get_mut("invoices").and_then(Value::as_object_mut) else { return Vec::new() };
    SECRET_FIELDS.into_iter().filter(|field| invoices.remove(*field).is_some()).collect()
}

pub(super) fn read(root: &mut ConfigFields<'_>, report: &mut Problems) -> Invoices {
    let default = Invoices::default();
    let mut fields = root.part("invoices", report);
    let before = report.problems.len();
    let url = fields.optional("url", report, url).flatten();
    let token = fields.optional("token", report, secret).flatten();
    let from = fields.optional("from", report, day).flatten();
    let after = fields.optional("after_seconds", report, |value| whole_number(value, AFTER_SECONDS));
    let after_seconds = after.and_then(|n| u32::try_from(n).ok()).unwrap_or(default.after_seconds);
    let free = fields.optional("free", report, boolean).unwrap_or(default.free);
    if url.is_some() && from.is_none() && report.problems.len() == before {
        report.problems.push(FieldProblem::missing(fields.name("from")));
    }
    fields.done(report);
    Invoices { url, token, from, after_seconds, free }
}

/// A day; an empty text, as a form sends it, is none.
fn day(value: &Value) -> Result<Option<String>, Wrong> {
    let text = plain_text(value, 10)?;
    match text.as_str() {
        "" => Ok(None),
        text if is_date(text) => Ok(Some(text.to_owned())),
        _ => Err(("bad_day", "phải là một ngày, ví dụ 2026-12-01".into(), "must be a day, as 2026-12-01".into())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::model::Config;
    use crate::config::{change, read};

    fn config(invoices: &Value) -> Result<Config, Vec<String>> {
        let json = json!({"this_central": {"id": "a", "ip": "10.0.0.1"}, "invoices": invoices});
        let fields = |problems: Vec<FieldProblem>| problems.into_iter().map(|problem| problem.field).collect();
        read::config(&json).map(|read| read.config).map_err(fields)
    }

    #[test]
    fn it_is_off_unless_an_address_and_a_first_day_are_given() {
        let zone = SiteZone::default();
        assert_eq!(config(&json!({})).unwrap().invoices.told_to(&zone), None);
        assert_eq!(config(&json!({"from": "2026-12-01", "url": ""})).unwrap().invoices.told_to(&zone), None);
        let set = config(&json!({"url": "https://hd.example.vn/x", "token": "t", "from": "2026-12-01"})).unwrap();
        let from_ms = 1_796_058_000_000;
        assert_eq!(set.invoices.told_to(&zone), Some(("https://hd.example.vn/x", from_ms)), "midnight in Vietnam");
        for (key, value, wrong) in [
            ("url", json!("https://x"), "from"),
            ("url", json!("ftp://x"), "url"),
            ("from", json!("1/12/2026"), "from"),
            ("from", json!("2026-02-30"), "from"),
            ("after_seconds", json!(3_601), "after_seconds"),
            ("free", json!("yes"), "free"),
        ] {
            assert_eq!(config(&json!({key: value})), Err(vec![format!("invoices.{wrong}")]));
        }
    }

    #[test]
    fn secrets_are_in_the_file_and_nowhere_else() {
        let set = config(&json!({"url": "https://x/secret-1", "token": "secret-2", "from": "2026-12-01"})).unwrap();
        let mut shown = set.to_json();
        assert_eq!(take_secrets(&mut shown), ["url", "token"]);
        let none = Config::new(set.this_central.clone(), Vec::new()).to_json();
        let (was, is) = crate::domain::audit::changes(&none, &set.to_json());
        let url = "https://hd.example.vn:8443/in/pathofsecrets?key=keyofsecrets&v=1";
        let told = config(&json!({"url": url, "token": "token of secrets", "from": "2026-12-01"})).unwrap().invoices;
        for said in [
            "Cannot POST /in/pathofsecrets?key=keyofsecrets&v=1",
            r"no route \/in\/pathofsecrets",
            r#"{"query": {"key": "keyofsecrets", "v": "1"}}"#,
            "Bearer token of secrets",
            "dG9rZW4gb2Ygc2VjcmV0cw==",
        ] {
            let shown = told.hide(said);
            assert!(
                !shown.contains("secrets") && !shown.contains("c2VjcmV0") && !shown.contains("2VjcmV0c"),
                "{shown}"
            );
        }
        for text in [shown.to_string(), format!("{set:?}"), format!("{was:?}{is:?}")] {
            assert!(!text.contains("secret") && text.contains("2026-12-01"), "{text}");
        }
        assert_eq!(set.to_file_json().to_string().matches("secret").count(), 2);
        assert_eq!(change::merge(&set, &shown).unwrap().config, set, "what is not named is kept");
        let mut other = set.clone();
        other.invoices.token = None;
        assert!(other.version() != set.version());
        other.invoices.token = Some(Secret("another".into()));
        assert_eq!(other.version(), set.version(), "nobody can try secrets against the name of a state");
        assert_eq!(set.invoices.hide("no https://x/secret-1 for secret-2"), "no (hidden) for (hidden)");
    }
}
