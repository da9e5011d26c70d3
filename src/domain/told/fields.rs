//! Fields as programs name them: one meaning, many keys.
//!
//! Keys are compared as words are (see [`folded`](super::word::folded)): `plate_text`, `plateText` and `Plate Text` are one. To teach a key, add it
//! folded to the line of its meaning; a meaning of its own has the next number and a line in [`ALL`].

use std::sync::LazyLock;

use serde_json::Value;

use super::chosen::Saying;
use super::word::fold_into;
use crate::domain::hash::HashMap;
use crate::domain::plate::PlateId;

/// The keys of one meaning, folded, those first that count before others; and its number.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    number: u32,
    words: &'static [&'static str],
}

impl Keys {
    const fn of(number: u32, words: &'static [&'static str]) -> Self {
        Self { number, words }
    }

    const fn bit(self) -> u64 {
        1 << self.number
    }
}

pub const EVENT: Keys = Keys::of(0, &["type", "eventtype", "event", "direction", "huong", "chieu", "lane"]);
pub const GATE: Keys = Keys::of(
    1,
    &[
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
    ],
);
pub const PLATE: Keys = Keys::of(
    2,
    &[
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
    ],
);
pub const PLATE_VIEW: Keys = Keys::of(3, &["plateview"]);
pub const TIME: Keys = Keys::of(
    4,
    &[
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
    ],
);
/// Names of a time that counts where none of those is told.
pub const TIME_TOO: Keys = Keys::of(
    5,
    &[
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
    ],
);
/// Names of the time of an entry, and of an exit.
pub const ENTRY_TIME: Keys = Keys::of(6, &["entrytime", "timein", "giovao"]);
pub const EXIT_TIME: Keys = Keys::of(7, &["exittime", "timeout", "giora"]);
pub const EVENT_ID: Keys = Keys::of(8, &["eventid", "requestid", "uuid"]);
pub const FEE: Keys = Keys::of(
    9,
    &[
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
    ],
);
pub const VEHICLE_TYPE: Keys = Keys::of(10, &["vehicletype", "vehicleclass", "loaixe", "vehicle"]);
pub const CAMERA_TYPE: Keys = Keys::of(11, &["cameratype"]);
pub const CONFIDENCE: Keys =
    Keys::of(12, &["confidence", "plateconfidence", "bestconfidence", "confidencelevel", "score", "dotincay"]);
pub const PAID: Keys = Keys::of(13, &["paid"]);
pub const CARD: Keys = Keys::of(14, &["cardid"]);
pub const LOST_CARD: Keys = Keys::of(15, &["lostcard"]);
pub const IMAGES: Keys = Keys::of(16, &["images"]);
pub const BY: Keys = Keys::of(17, &["by"]);
pub const FORCE: Keys = Keys::of(18, &["force"]);
pub const REASON: Keys = Keys::of(19, &["reason", "lydo"]);
pub const ACTION: Keys = Keys::of(20, &["action"]);
pub const REQUEST_ID: Keys = Keys::of(21, &["requestid"]);
pub const STAY_ID: Keys = Keys::of(22, &["eventid"]);
pub const LOOKUP: Keys = Keys::of(23, &["lookup"]);
pub const DIRECTION: Keys = Keys::of(24, &["direction", "huong", "chieu"]);
pub const CAMERA_NAME: Keys = Keys::of(25, &["cameraname"]);

/// What programs of the predecessor tell of their own lists: documented not to be used.
pub const UNUSED: Keys =
    Keys::of(26, &["source", "entryid", "historyid", "duration", "status", "sourcecentral", "centralid"]);
/// A program doubts what it tells.
pub const IS_ANOMALY: Keys = Keys::of(27, &["isanomaly"]);
/// All meanings, by their numbers.
const ALL: &[Keys] = &[
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
    FORCE,
    REASON,
    ACTION,
    REQUEST_ID,
    STAY_ID,
    LOOKUP,
    DIRECTION,
    CAMERA_NAME,
    UNUSED,
    IS_ANOMALY,
];

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
    IS_ANOMALY,
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

/// Every key there is, with the meanings it has, as bits.
static MEANINGS: LazyLock<HashMap<&[u8], (&str, u64)>> = LazyLock::new(|| {
    let mut meanings = HashMap::default();
    for keys in ALL {
        for word in keys.words {
            meanings.entry(word.as_bytes()).or_insert((*word, 0)).1 |= keys.bit();
        }
    }
    meanings
});

/// What stands under one key.
#[derive(Debug, Clone)]
struct Said<'v> {
    /// Of the object it stands in, before the key: `data.`.
    place: &'static str,
    key: &'v str,
    value: &'v Value,
    /// The key folded, if it has a meaning, and its meanings.
    word: &'static str,
    meanings: u64,
}

/// What an object says, and one that is a part of it.
#[derive(Debug, Clone)]
pub struct Fields<'v> {
    /// What says nothing left out.
    said: Vec<Said<'v>>,
}

impl<'v> Fields<'v> {
    /// The fields of some objects, those of the first before those of the next. What is no object has none.
    pub fn of(objects: &[&'v Value]) -> Self {
        Self::at(objects.iter().map(|object| ("", *object)))
    }

    /// As [`Self::of`], each object with what its place is called, such as `data.`.
    pub fn at(objects: impl Iterator<Item = (&'static str, &'v Value)> + Clone) -> Self {
        let objects = objects.filter_map(|(place, object)| Some((place, object.as_object()?)));
        let mut said = Vec::with_capacity(objects.clone().map(|(_, object)| object.len()).sum());
        let mut folded = Vec::new();
        for (place, object) in objects {
            for (key, value) in object.iter().filter(|(_, value)| says_something(value)) {
                fold_into(&mut folded, key);
                let (word, meanings) = MEANINGS.get(folded.as_slice()).copied().unwrap_or_default();
                said.push(Said { place, key, value, word, meanings });
            }
        }
        Self { said }
    }

    pub fn get(&self, keys: Keys) -> Option<&'v Value> {
        let mut told = self.told(keys.bit());
        let (first, more) = (told.next()?, told.next());
        let counts = more.map_or(Some(first), |_| {
            keys.words.iter().find_map(|word| self.said.iter().find(|said| said.word == *word))
        });
        counts.map(|said| said.value)
    }

    /// As [`Self::get`], a text or a number.
    pub fn text(&self, keys: Keys) -> Option<String> {
        super::text(self.get(keys)).ok().flatten()
    }

    /// All that is told under keys of one meaning, in the order in which it counts.
    pub fn in_order(&self, keys: Keys) -> Vec<Saying<'v>> {
        let mut told: Vec<&Said<'v>> = self.told(keys.bit()).collect();
        if told.len() > 1 {
            told.sort_by_key(|said| keys.words.iter().position(|word| *word == said.word));
        }
        told.into_iter().map(|said| Saying { place: said.place, key: said.key, value: said.value }).collect()
    }

    /// What is told under keys that mean none of `known`.
    pub fn unread<'f>(&'f self, known: &[Keys]) -> impl Iterator<Item = (&'v str, &'v Value)> + 'f {
        let known = known.iter().fold(0, |bits, keys| bits | keys.bit());
        self.said.iter().filter(move |said| said.meanings & known == 0).map(|said| (said.key, said.value))
    }

    /// The keys as they were written, for people.
    pub fn names(&self) -> Vec<&'v str> {
        self.said.iter().map(|said| said.key).collect()
    }

    /// What is told under keys that mean one of these.
    fn told(&self, meanings: u64) -> impl Iterator<Item = &Said<'v>> {
        self.said.iter().filter(move |said| said.meanings & meanings != 0)
    }
}

/// The text of a plate anywhere within a value, as camera programs nest it: `{"results": [{"plate": "29a12345"}]}`. Where several are told at
/// one depth, the first that is a plate, else the first.
pub fn plate_within(value: &Value) -> Option<String> {
    let mut level = vec![value];
    for _ in 0..DEEPEST {
        let told = Fields::of(&level).in_order(PLATE);
        let mut texts = told.iter().filter_map(|told| super::text(Some(told.value)).ok().flatten()).peekable();
        if let Some(first) = texts.peek().cloned() {
            return Some(texts.find(|text| PlateId::told(text).is_ok()).unwrap_or(first));
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

    use super::super::word::folded;
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
        for (number, keys) in (0..).zip(ALL) {
            assert_eq!(keys.number, number, "{keys:?}");
            assert!(keys.words.iter().all(|key| folded(key) == **key), "{keys:?}");
        }
        let (data, top) = (json!({"fee": null, "Score": "0.5"}), json!({"fee": 5_000, "score": 0.1}));
        let fields = Fields::of(&[&data, &top]);
        assert_eq!((fields.get(FEE), fields.text(CONFIDENCE).as_deref()), (Some(&json!(5_000)), Some("0.5")));
        assert_eq!(fields.names(), ["Score", "fee", "score"]);
    }
}
