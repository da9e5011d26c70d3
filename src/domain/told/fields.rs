//! Fields as programs name them: one meaning, many keys.
//!
//! Keys are compared as words are (see [`folded`]): `plate_text`, `plateText` and `Plate Text` are one. To teach a key, add it
//! folded to the line of its meaning.

use serde_json::Value;

use super::word::folded;

/// The keys of one meaning, folded, those first that count before others.
pub type Keys = &'static [&'static str];

pub const EVENT: Keys = &["type", "eventtype", "event", "direction", "huong", "chieu", "lane"];
pub const GATE: Keys = &[
    "cameraid",
    "edgeid",
    "camera",
    "edge",
    "gateid",
    "gate",
    "deviceid",
    "device",
    "cong",
    "macong",
    "devicename",
    "deviceserial",
    "channelname",
    "channelid",
    "channel",
    "ipaddress",
    "ipaddr",
];
pub const PLATE: Keys = &[
    "platetext",
    "plateid",
    "plate",
    "platenumber",
    "plateno",
    "licenseplate",
    "licenseplatenumber",
    "licenceplate",
    "licenceplatenumber",
    "numberplate",
    "vehicleplate",
    "platenum",
    "carnumber",
    "carplatenumber",
    "lpr",
    "carplate",
    "bestplatenumber",
    "recognizedlicenseplate",
    "plateutf8",
    "plateascii",
    "license",
    "licence",
    "registration",
    "bienso",
    "biensoxe",
    "bienkiemsoat",
    "bks",
    "bsx",
];
pub const PLATE_VIEW: Keys = &["plateview"];
pub const TIME: Keys = &[
    "timestamp",
    "time",
    "datetime",
    "eventtime",
    "capturetimestamp",
    "capturetime",
    "accuratetime",
    "detectedat",
    "occurredat",
    "thoigian",
    "ts",
];
/// Names of a time that counts where none of those is told.
pub const TIME_TOO: Keys = &[
    "epochtime",
    "epoch",
    "unixtime",
    "unix",
    "snaptime",
    "triggertime",
    "recognizetime",
    "recognitiontime",
    "createdat",
    "date",
];
/// Names of the time of an entry, and of an exit.
pub const ENTRY_TIME: Keys = &["entrytime", "timein", "giovao"];
pub const EXIT_TIME: Keys = &["exittime", "timeout", "giora"];
pub const EVENT_ID: Keys = &["eventid", "requestid", "uuid"];
pub const FEE: Keys = &[
    "fee",
    "amount",
    "phi",
    "sotien",
    "tien",
    "parkingfee",
    "totalfee",
    "thanhtien",
    "paidamount",
    "charge",
    "cost",
    "money",
];
pub const VEHICLE_TYPE: Keys = &["vehicletype", "vehicleclass", "loaixe", "vehicle"];
pub const CAMERA_TYPE: Keys = &["cameratype"];
pub const CONFIDENCE: Keys =
    &["confidence", "plateconfidence", "bestconfidence", "confidencelevel", "score", "dotincay"];
pub const PAID: Keys = &["paid"];
pub const CARD: Keys = &["cardid"];
pub const LOST_CARD: Keys = &["lostcard"];
pub const IMAGES: Keys = &["images"];
pub const BY: Keys = &["by"];
pub const FORCE: Keys = &["force"];
pub const REASON: Keys = &["reason", "lydo"];
pub const ACTION: Keys = &["action"];
pub const REQUEST_ID: Keys = &["requestid"];
pub const STAY_ID: Keys = &["eventid"];
pub const LOOKUP: Keys = &["lookup"];
pub const DIRECTION: Keys = &["direction", "huong", "chieu"];
pub const CAMERA_NAME: Keys = &["cameraname"];

/// What programs of the predecessor tell of their own lists: documented not to be used.
pub const UNUSED: Keys = &["source", "entryid", "historyid", "duration", "status", "sourcecentral", "centralid"];
/// All that is read of an event.
pub const KNOWN: &[Keys] = &[
    EVENT,
    GATE,
    PLATE,
    PLATE_VIEW,
    TIME,
    TIME_TOO,
    ENTRY_TIME,
    EXIT_TIME,
    EVENT_ID,
    FEE,
    VEHICLE_TYPE,
    CAMERA_TYPE,
    CONFIDENCE,
    PAID,
    CARD,
    LOST_CARD,
    IMAGES,
    BY,
    DIRECTION,
    CAMERA_NAME,
    UNUSED,
];

/// All that is read of a call for the barrier to open.
pub const OF_OPEN: &[Keys] = &[
    GATE,
    PLATE,
    ACTION,
    PLATE_VIEW,
    DIRECTION,
    CAMERA_TYPE,
    VEHICLE_TYPE,
    CONFIDENCE,
    REQUEST_ID,
    FORCE,
    REASON,
    FEE,
    PAID,
    CARD,
    LOST_CARD,
    IMAGES,
    BY,
    UNUSED,
];
/// All that is read of one that says that it closed.
pub const OF_CLOSE: &[Keys] = &[GATE, PLATE, STAY_ID, ACTION, UNUSED];
/// All that is read of a camera's look at a car.
pub const OF_DETECTION: &[Keys] =
    &[GATE, PLATE, PLATE_VIEW, DIRECTION, CAMERA_TYPE, VEHICLE_TYPE, CONFIDENCE, TIME, LOOKUP, UNUSED];

/// How far below the top a plate is looked for.
const DEEPEST: usize = 6;

/// What an object says, and one that is a part of it.
#[derive(Debug, Clone)]
pub struct Fields<'v> {
    /// Folded, what says nothing left out.
    said: Vec<(String, &'v str, &'v Value)>,
}

impl<'v> Fields<'v> {
    /// The fields of some objects, those of the first before those of the next. What is no object has none.
    pub fn of(objects: &[&'v Value]) -> Self {
        let fields = objects.iter().filter_map(|object| object.as_object()).flatten();
        let said = fields.filter(|(_, value)| says_something(value));
        Self { said: said.map(|(key, value)| (folded(key), key.as_str(), value)).collect() }
    }

    pub fn get(&self, keys: Keys) -> Option<&'v Value> {
        keys.iter().find_map(|key| self.said.iter().find(|(said, ..)| said == key)).map(|(.., value)| *value)
    }

    /// As [`Self::get`], a text or a number.
    pub fn text(&self, keys: Keys) -> Option<String> {
        super::text(self.get(keys)).ok().flatten()
    }

    /// What is told under several keys of one meaning, as they were written.
    pub fn all<'f>(&'f self, keys: Keys) -> impl Iterator<Item = (&'v str, &'v Value)> + 'f {
        self.said.iter().filter(|(said, ..)| keys.contains(&said.as_str())).map(|(_, key, value)| (*key, *value))
    }

    /// What is told under keys that mean none of `known`.
    pub fn unread<'f>(&'f self, known: &'f [Keys]) -> impl Iterator<Item = (&'v str, &'v Value)> + 'f {
        let is_known = move |said: &str| known.iter().any(|keys| keys.contains(&said));
        self.said.iter().filter(move |(said, ..)| !is_known(said)).map(|(_, key, value)| (*key, *value))
    }

    /// The keys as they were written, for people.
    pub fn names(&self) -> Vec<&'v str> {
        self.said.iter().map(|(_, key, _)| *key).collect()
    }
}

/// The text of a plate anywhere within a value, as camera programs nest it: `{"results": [{"plate": "29a12345"}]}`.
pub fn plate_within(value: &Value) -> Option<String> {
    let mut level = vec![value];
    for _ in 0..DEEPEST {
        if let Some(text) = Fields::of(&level).text(PLATE) {
            return Some(text);
        }
        level = level.into_iter().flat_map(parts).collect();
    }
    None
}

fn parts(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plate_is_found_under_every_key_that_programs_give_it() {
        for said in [
            json!({"plate_text": "29A12345"}),
            json!({"plate": "29A12345"}),
            json!({"plateNumber": "29A12345"}),
            json!({"PlateNumber": "29A12345"}),
            json!({"license_plate": "29A12345"}),
            json!({"licensePlate": "29A12345"}),
            json!({"license_plate_number": "29A12345"}),
            json!({"best_plate_number": "29A12345", "best_plate": {"plate": "29A12346"}}),
            json!({"plateUTF8": "29A12345"}),
            json!({"license": "29A12345"}),
            json!({"Biển số": "29A12345"}),
            json!({"bien_so": "29A12345"}),
            json!({"lpr": "29A12345"}),
            json!({"carNumber": "29A12345"}),
            json!({"PlateNum": "29A12345"}),
            json!({"plate_text": null, "plate_id": "", "plate": "29A12345"}),
            json!({"results": [{"plate": "29A12345", "score": 0.9, "candidates": [{"plate": "29A1234S"}]}]}),
            json!({"result": {"PlateResult": {"license": "29A12345"}}}),
            json!({"plate": {"props": {"plate": [{"value": 1}]}}, "Plate": {"PlateNumber": "29A12345"}}),
        ] {
            assert_eq!(plate_within(&said).as_deref(), Some("29A12345"), "{said}");
        }
        for none in [json!({}), json!([]), json!("29A12345"), json!({"colour": "29A12345"}), json!({"plate": true})] {
            assert_eq!(plate_within(&none), None, "{none}");
        }
    }

    #[test]
    fn keys_are_written_folded_and_a_part_fills_what_the_first_lacks() {
        for keys in KNOWN {
            assert!(keys.iter().all(|key| folded(key) == **key), "{keys:?}");
        }
        let (data, top) = (json!({"fee": null, "Score": "0.5"}), json!({"fee": 5_000, "score": 0.1}));
        let fields = Fields::of(&[&data, &top]);
        assert_eq!((fields.get(FEE), fields.text(CONFIDENCE).as_deref()), (Some(&json!(5_000)), Some("0.5")));
        assert_eq!(fields.names(), ["Score", "fee", "score"]);
    }
}
