//! Whether the histories of several centrals say the same.
//!
//! A row is compared without what is local to a central: its number, whether it was written here, and when.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields of a row that differ between centrals although they agree.
pub const LOCAL_FIELDS: [&str; 4] = ["id", "sync_status", "created_at", "updated_at"];
/// Most differences put into words.
const SHOWN: usize = 3;

/// The history of one central, by the event id of its rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    rows: BTreeMap<String, Value>,
    /// Event ids that came more than once: never right.
    twice: Vec<String>,
}

impl Snapshot {
    /// Takes a row as the history answers it.
    pub fn add(&mut self, mut row: Value) {
        if let Some(fields) = row.as_object_mut() {
            for field in LOCAL_FIELDS {
                fields.remove(field);
            }
        }
        let event_id = row.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.rows.insert(event_id.clone(), row).is_some() {
            self.twice.push(event_id);
        }
    }

    /// The row of this stay.
    pub fn row(&self, event_id: &str) -> Option<&Value> {
        self.rows.get(event_id)
    }

    /// All rows, in the order of their event ids.
    pub fn rows(&self) -> impl Iterator<Item = &Value> {
        self.rows.values()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What two histories disagree about, in words; `None`: they are equal, and neither has a row twice.
pub fn difference(left: (&str, &Snapshot), right: (&str, &Snapshot)) -> Option<String> {
    let mut found = Vec::new();
    for (name, snapshot) in [left, right] {
        found.extend(snapshot.twice.iter().map(|event_id| format!("{event_id} is twice at {name}")));
    }
    for (event_id, row) in &left.1.rows {
        match right.1.rows.get(event_id) {
            None => found.push(format!("{event_id} is missing at {}", right.0)),
            Some(other) if other != row => {
                found.push(format!("{event_id} differs: {} {}", left.0, fields_apart(row, other, right.0)));
            }
            Some(_) => {}
        }
    }
    let missing = right.1.rows.keys().filter(|event_id| !left.1.rows.contains_key(*event_id));
    found.extend(missing.map(|event_id| format!("{event_id} is missing at {}", left.0)));
    let count = found.len();
    found.truncate(SHOWN);
    let more = if count > SHOWN { format!("; and {} more", count - SHOWN) } else { String::new() };
    (count > 0).then(|| found.join("; ") + &more)
}

/// `status="IN" (central-2: "OUT")` for each field that differs.
fn fields_apart(row: &Value, other: &Value, other_name: &str) -> String {
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (row, other) = (fields(row), fields(other));
    let mut names: Vec<&String> = row.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let apart = names.into_iter().filter(|name| row.get(*name) != other.get(*name));
    let shown: Vec<String> =
        apart.map(|name| format!("{name}={} ({other_name}: {})", text(row.get(name)), text(other.get(name)))).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(rows: &[Value]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        rows.iter().for_each(|row| snapshot.add(row.clone()));
        snapshot
    }

    #[test]
    fn local_fields_do_not_matter_and_order_does_not_either() {
        let left = snapshot(&[
            json!({"id": 1, "event_id": "a", "status": "IN", "sync_status": "LOCAL", "created_at": "x"}),
            json!({"id": 2, "event_id": "b", "status": "OUT", "fee": 25_000}),
        ]);
        let right = snapshot(&[
            json!({"id": 9, "event_id": "b", "status": "OUT", "fee": 25_000, "updated_at": "y"}),
            json!({"id": 8, "event_id": "a", "status": "IN", "sync_status": "SYNCED"}),
        ]);
        assert_eq!(difference(("A", &left), ("B", &right)), None);
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let row = json!({"event_id": "a", "status": "IN"});
        let left = snapshot(std::slice::from_ref(&row));
        let empty = Snapshot::default();
        assert_eq!(difference(("A", &left), ("B", &empty)).unwrap(), "a is missing at B");
        assert_eq!(difference(("B", &empty), ("A", &left)).unwrap(), "a is missing at B");
        let other = snapshot(&[json!({"event_id": "a", "status": "OUT"})]);
        let words = difference(("A", &left), ("B", &other)).unwrap();
        assert_eq!(words, r#"a differs: A status="IN" (B: "OUT")"#);
        let twice = snapshot(&[row.clone(), row]);
        assert_eq!(difference(("A", &left), ("B", &twice)).unwrap(), "a is twice at B");
    }
}
