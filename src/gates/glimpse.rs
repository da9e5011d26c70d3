//! What can be told of a report that cannot be read: JSON with a comma too many, with a key twice, cut off, a form, XML, or an event of
//! a kind nobody knows. Whatever stands there as a key and its value is taken, and of that what is known by its name.
//!
//! Nothing of it is trusted so far as to be a car's stay: it makes an opening for a car that could not be read, which people look at.

use serde_json::{Map, Value};

use super::report::{CameraId, GateSettings};
use super::request::{MAX_REQUEST_ID_BYTES, bounded, optional_text};
use crate::domain::direction::Direction;
use crate::domain::money::Vnd;
use crate::domain::time::SiteZone;
use crate::domain::told::fields::{self, Fields};
use crate::domain::told::word::folded;
use crate::domain::told::{Note, amount, moment, way};
use crate::ledger::job::{Beside, UnreadOpening};

/// Keys that are looked at: more are of no report.
const MOST_KEYS: usize = 256;
/// Of a key or value that is looked at.
const MAX_TEXT_BYTES: usize = 256;

/// What stands as keys with values anywhere in a text, the first of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse(Value);

impl Glimpse {
    pub fn of(text: &str) -> Self {
        let mut found = Map::new();
        let mut rest = text;
        while let Some((token, after)) = token(rest)
            && found.len() < MOST_KEYS
        {
            rest = after;
            let trimmed = after.trim_start();
            // `"key": value`, `key=value`, `<key>value</key>`.
            let Some(value) = trimmed.strip_prefix([':', '=', '>']).map(str::trim_start) else { continue };
            rest = value;
            if trimmed.starts_with('>') {
                let (told, after) = value.split_at(value.find('<').unwrap_or(value.len()));
                note(&mut found, token, told.trim());
                rest = after;
            } else if value.starts_with(|c: char| matches!(c, '"' | '\'') || is_part_of_word(c))
                && let Some((told, after)) = self::token(value)
            {
                note(&mut found, token, told);
                rest = after;
            }
        }
        Self(Value::Object(found))
    }

    /// The edge it names.
    pub fn edge_id(&self) -> Option<String> {
        CameraId::read(self.fields().get(fields::GATE)).map(|id| id.edge_id())
    }

    /// The opening it tells of, if it tells of one: by what it calls the event, or by a plate at a gate that has a direction. `why`: it
    /// cannot be read, for people.
    pub fn opening(&self, edge_id: &str, gate: GateSettings, zone: &SiteZone, why: &str) -> Option<UnreadOpening> {
        let told = self.fields();
        let words: Vec<String> =
            told.in_order(fields::EVENT).iter().filter_map(|told| told.value.as_str()).map(folded).collect();
        // Of these none says that a barrier has opened.
        if words.iter().any(|word| ["update", "delete", "locationupdate"].contains(&word.as_str())) {
            return None;
        }
        let plate = told.text(fields::PLATE);
        let by_lane = gate.lane.filter(|_| plate.is_some());
        let seen = words.iter().any(|word| word == "detection").then_some(gate.lane.unwrap_or(Direction::Entry));
        let direction = words.iter().find_map(|word| way::read(word)).or(by_lane).or(seen)?;
        let note = Note::new(
            "body",
            "not_read",
            "không đọc được bản tin: lần mở cổng này được giữ lại và hiện trong mục bất thường",
            format!("{why}; the opening is kept and shown"),
        );
        let fee = amount::read(told.get(fields::FEE)).ok().flatten().filter(|fee| *fee <= Vnd::MAX_TOLD);
        Some(UnreadOpening {
            edge_id: edge_id.to_owned(),
            direction,
            text: bounded(&plate.unwrap_or_default()),
            camera_type: gate.vehicle_type,
            request_id: optional_text("event_id", told.text(fields::EVENT_ID), MAX_REQUEST_ID_BYTES).ok().flatten(),
            told_ms: moment::read(told.get(fields::TIME), zone).ok().flatten(),
            fee: fee.filter(|fee| direction == Direction::Exit || *fee > Vnd(0)),
            force: false,
            reason: None,
            beside: Beside::default(),
            notes: vec![note],
        })
    }

    fn fields(&self) -> Fields<'_> {
        Fields::of(&[&self.0])
    }
}

fn note(found: &mut Map<String, Value>, key: &str, told: &str) {
    if key.len() <= MAX_TEXT_BYTES && told.len() <= MAX_TEXT_BYTES {
        let unescaped = serde_json::from_str(&format!("\"{told}\"")).unwrap_or_else(|_| told.to_owned());
        found.entry(key).or_insert(Value::String(unescaped));
    }
}

/// The next word or quoted text, and what stands behind it. A quote that is not closed ends with the line.
fn token(text: &str) -> Option<(&str, &str)> {
    let start = text.find(|c: char| matches!(c, '"' | '\'') || is_part_of_word(c))?;
    let text = text.get(start..)?;
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Some(text.split_at(text.find(|c| !is_part_of_word(c)).unwrap_or(text.len())));
    };
    let inner = text.get(1..)?;
    let mut escaped = false;
    let end = inner.find(|c| {
        let is_end = !escaped && (c == quote || c == '\n');
        escaped = c == '\\' && !escaped;
        is_end
    });
    let (told, after) = inner.split_at(end.unwrap_or(inner.len()));
    Some((told, after.strip_prefix(quote).unwrap_or(after)))
}

/// Of what programs write without quotes: names, numbers, plates, times.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '%')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_and_values_are_found_in_whatever_they_are_written() {
        let all = json!({"type": "EXIT", "camera_id": "e1", "plate": "29A-123.45"});
        for text in [
            r#"{"type":"EXIT","camera_id":"e1","plate":"29A-123.45",}"#,
            r#"{"type" : "EXIT", "data": {"camera_id":"e1", "plate":"29A-123.45""#,
            "{'type': 'EXIT', 'camera_id': 'e1', 'plate': '29A-123.45'}",
            "type=EXIT&camera_id=e1&plate=29A-123.45",
            "type: EXIT\ncamera_id: e1\nplate: 29A-123.45\n",
            "<Event><type>EXIT</type><camera_id> e1 </camera_id><plate>29A-123.45</plate></Event>",
            r#"<Event type="EXIT" camera_id="e1" plate="29A-123.45"/>"#,
            r#"{"type":"EXIT","type":"ENTRY","camera_id":"e1","plate":"29A-123.45"}"#,
        ] {
            let Glimpse(Value::Object(found)) = Glimpse::of(text) else { panic!("{text}") };
            for (key, value) in all.as_object().unwrap() {
                assert_eq!(found.get(key), Some(value), "{key} in {text}: {found:?}");
            }
        }
        assert_eq!(Glimpse::of(r#"{"camera_id":"C\u1ed5ng A","#).edge_id().as_deref(), Some("Cong-A"));
        assert_eq!(Glimpse::of(r#"{"path":"C:\cam\1.jpg","camera_id":5"#).edge_id().as_deref(), Some("5"));
        for none in ["", "nonsense", "{", "\"", "\\", "'", "=", "a=", "<", "<a>", "::::", "\u{feff}"] {
            assert_eq!(Glimpse::of(none).edge_id(), None, "{none}");
        }
    }

    fn opening(text: &str, lane: Option<Direction>) -> Option<UnreadOpening> {
        let gate = GateSettings { lane, vehicle_type: "moto".into() };
        Glimpse::of(text).opening("e1", gate, &SiteZone::default(), "it is no JSON")
    }

    #[test]
    fn an_opening_is_told_by_its_kind_or_by_a_plate_at_a_lane() {
        let out = Some(Direction::Exit);
        for (text, lane, direction) in [
            (r#"{"type":"ENTRY","#, None, Some(Direction::Entry)),
            (r#"{"type":"hỏng","direction":"ra","#, None, out),
            (r#"{"type":"forward","plate":"29A12345"}"#, out, out),
            (r#"{"type":"DETECTION","#, None, Some(Direction::Entry)),
            (r#"{"type":"DETECTION","#, out, out),
            (r#"{"type":"HELLO","plate":"29A12345"}"#, None, None),
            (r#"{"type":"HELLO"}"#, out, None),
            (r#"{"type":"UPDATE","direction":"ra","#, out, None),
            (r#"{"type":"LOCATION_UPDATE","plate":"29A12345","#, out, None),
            ("", out, None),
        ] {
            assert_eq!(opening(text, lane).map(|opening| opening.direction), direction, "{text}");
        }
    }

    #[test]
    fn what_it_tells_beside_is_kept_as_far_as_it_can_be_read() {
        let text = r#"{"type":"EXIT","event_id":"x-1","timestamp":1733140800,"fee":"25.000 đ","plate":"29A-123.45","#;
        let kept = opening(text, None).unwrap();
        let told = (kept.text.as_str(), kept.request_id.as_deref(), kept.told_ms, kept.fee);
        assert_eq!(told, ("29A-123.45", Some("x-1"), Some(1_733_140_800_000), Some(Vnd(25_000))));
        assert_eq!((kept.camera_type.as_str(), kept.notes[0].code), ("moto", "not_read"));
        let long = format!(r#"{{"type":"EXIT","fee":"{0}","event_id":"{0}","plate":"{0}""#, "9".repeat(200));
        let kept = opening(&long, None).unwrap();
        assert_eq!((kept.fee, kept.request_id, kept.text.len()), (None, None, 64));
    }

    #[test]
    fn however_long_it_is_little_of_it_is_kept() {
        let many: String = (0..100_000).map(|number| format!("k{number}=1&")).collect();
        let Glimpse(Value::Object(found)) = Glimpse::of(&many) else { panic!() };
        assert_eq!(found.len(), MOST_KEYS);
        let long = format!(r#"{{"image":"{}","camera_id":"e1""#, "A".repeat(1_000_000));
        assert_eq!(Glimpse::of(&long).edge_id().as_deref(), Some("e1"));
    }
}
