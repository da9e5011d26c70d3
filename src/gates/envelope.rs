//! What programs wrap their events in: `{"event": {…}}`, `{"events": [{…}, {…}]}`, a list, a text of its own.

use serde_json::{Map, Value};

use crate::domain::told::fields::{self, Fields};
use crate::domain::told::word::folded;

/// Events in one body, at most: a program that was alone for a night tells them all at once.
pub const MOST_EVENTS: usize = 1_000;
/// The keys under which programs put what happened, folded.
const WRAPPERS: [&str; 10] =
    ["event", "events", "payload", "body", "message", "data", "record", "records", "item", "items"];
/// How deep events are wrapped.
const DEEPEST: usize = 4;
/// What stands beside them goes for each of them, up to this length: not a picture, a thousand times.
const MAX_SHARED_BYTES: usize = 256;

/// The events in what was sent, in order, at most one more than [`MOST_EVENTS`]. What is none is a part of it too.
pub fn events(sent: Value) -> Vec<Value> {
    let mut found = Vec::new();
    unpack(sent, &Map::new(), 0, &mut found);
    found
}

fn unpack(sent: Value, around: &Map<String, Value>, depth: usize, found: &mut Vec<Value>) {
    if found.len() > MOST_EVENTS {
        return;
    }
    match sent {
        Value::Array(items) if depth < DEEPEST && !items.is_empty() => {
            for item in items {
                unpack(item, around, depth + 1, found);
            }
        }
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) if depth < DEEPEST => {
                unpack(inner, around, depth + 1, found);
            }
            _ => found.push(Value::String(text)),
        },
        Value::Object(mut fields) => {
            for (key, value) in around {
                fields.entry(key).or_insert_with(|| value.clone());
            }
            let said = Value::Object(fields);
            match wrapper(&said).filter(|_| depth < DEEPEST).map(ToOwned::to_owned) {
                Some(key) => {
                    let Value::Object(mut fields) = said else { return };
                    let inner = fields.remove(&key).unwrap_or_default();
                    fields.retain(|_, value| is_short(value));
                    unpack(inner, &fields, depth + 1, found);
                }
                None => found.push(said),
            }
        }
        other => found.push(other),
    }
}

/// Under which key the event is, of an object that does not say itself what happened.
fn wrapper(said: &Value) -> Option<&String> {
    if Fields::of(&[said]).in_order(fields::EVENT).iter().any(|told| !is_made_of_parts(told.value)) {
        return None;
    }
    let holds = |value: &Value| match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
        other => other.is_object(),
    };
    let mut parts = said.as_object()?.iter();
    parts.find(|(key, value)| holds(value) && WRAPPERS.contains(&folded(key).as_str())).map(|(key, _)| key)
}

fn is_made_of_parts(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn is_short(value: &Value) -> bool {
    value.as_str().map_or(!is_made_of_parts(value), |text| text.len() <= MAX_SHARED_BYTES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_in_what_programs_wrap_them_in() {
        let event = json!({"type": "ENTRY", "camera_id": 1, "data": {"plate_text": "29A12345"}});
        for (sent, count) in [
            (event.clone(), 1),
            (json!({"event": event}), 1),
            (json!({"Payload": {"events": [event, event]}}), 2),
            (json!([event]), 1),
            (json!([event.to_string(), {"event": event}]), 2),
            (Value::String(event.to_string()), 1),
            (json!({"data": event}), 1),
        ] {
            assert_eq!(events(sent.clone()), vec![event.clone(); count], "{sent}");
        }
        let beside =
            json!({"camera_id": 1, "picture": "A".repeat(300), "body": {"type": "ENTRY", "plate": "29A12345"}});
        assert_eq!(events(beside), [json!({"camera_id": 1, "type": "ENTRY", "plate": "29A12345"})]);
    }

    #[test]
    fn what_is_no_wrapper_stays_as_it_is() {
        for sent in [
            json!({"type": "ENTRY", "event": {"type": "EXIT"}}),
            json!({"direction": "OUT", "data": [{"plate": "29A12345"}]}),
            json!({"event": "ENTRY", "payload": {}}),
            json!({"events": []}),
            json!({"data": "29A12345"}),
            json!({}),
            json!([]),
            json!(42),
            json!("x"),
            Value::Null,
        ] {
            assert_eq!(events(sent.clone()), [sent]);
        }
    }

    #[test]
    fn however_it_is_wrapped_it_stays_bounded() {
        let mut deep = json!({"type": "ENTRY"});
        for _ in 0..100 {
            deep = json!({"event": [deep]});
        }
        assert_eq!(events(deep).len(), 1);
        assert_eq!(events(Value::Array(vec![json!({}); 100_000])).len(), MOST_EVENTS + 1);
    }
}
