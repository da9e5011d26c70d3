//! Logs whose events a test writes by hand: a central that corrects, voids, errs, or speaks a newer version.

use std::sync::Arc;

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Body, Confirmed, Correction, Draft, Entry, Event, Exit, Unread, Void};
use parkmesh::domain::ids::{CentralId, Epoch, FactId, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::replication::log::{ChainHash, EventBytes, Head, Run};

use super::plate;

/// One hand-written log.
pub struct Scribe {
    pub log: LogId,
    events: Vec<(EventBytes, ChainHash)>,
}

impl Scribe {
    pub fn new(central: &str, epoch: u64) -> Self {
        Self { log: LogId { central: CentralId::new(central).unwrap(), epoch: Epoch(epoch) }, events: Vec::new() }
    }

    pub fn head(&self) -> Head {
        let hash = self.events.last().map_or_else(|| ChainHash::genesis(&self.log), |(_, hash)| *hash);
        Head { to: self.events.len() as u64, hash }
    }

    /// The id the next event will have.
    pub fn next_id(&self) -> FactId {
        FactId::Authored { log: self.log.clone(), seq: self.head().to + 1 }
    }

    pub fn say(&mut self, draft: &Draft) -> FactId {
        let bytes = draft.encode(&self.log, self.head().to + 1).unwrap();
        self.say_raw(&bytes)
    }

    /// Writes down what a predecessor said.
    pub fn say_heard(&mut self, draft: &Draft) -> FactId {
        let bytes = draft.encode_heard(&self.log, self.head().to + 1, "old-central", "old-central").unwrap();
        let id = Event::parse(&bytes).unwrap().fact_id();
        self.say_raw(&bytes);
        id
    }

    /// Writes down anything; `SEQ` and `LOG` stand for the place it gets.
    pub fn say_raw(&mut self, bytes: &str) -> FactId {
        let id = self.next_id();
        let bytes = bytes.replace("SEQ", &(self.head().to + 1).to_string()).replace("LOG", &self.log.to_string());
        let hash = self.head().hash.extend(&bytes);
        self.events.push((Arc::from(bytes), hash));
        id
    }

    /// Events `after + 1 ..`, at most `most`, at least one.
    pub fn run(&self, after: u64, most: usize) -> Run {
        let from = usize::try_from(after).unwrap();
        let to = from.saturating_add(most).min(self.events.len());
        let slice = &self.events[from..to];
        let prev = if from == 0 { ChainHash::genesis(&self.log) } else { self.events[from - 1].1 };
        let events = slice.iter().map(|(bytes, _)| bytes.clone()).collect();
        Run { log: self.log.clone(), after, prev, events, hash: slice.last().unwrap().1 }
    }
}

pub fn draft(hlc_ms: i64, stay: &str, body: Body) -> Draft {
    let hlc = Hlc::new(hlc_ms).unwrap();
    Draft { hlc, timestamp_ms: hlc_ms, skew_ms: None, event_id: Some(stay.to_owned()), body, by: None }
}

pub fn entry(hlc_ms: i64, stay: &str, plate_text: &str) -> Draft {
    let body = Entry {
        plate_view: plate_text.to_owned(),
        camera_type: "car".to_owned(),
        ..Entry::of(plate(plate_text), "edge-0")
    };
    draft(hlc_ms, stay, Body::Entry(body))
}

pub fn exit(hlc_ms: i64, stay: &str, plate_text: &str, fee: i64) -> Draft {
    let body = Exit { ..Exit::of(Some(plate(plate_text)), "scribe", "edge-0", Vnd(fee)) };
    draft(hlc_ms, stay, Body::Exit(body))
}

pub fn exit_unknown(hlc_ms: i64, own_id: &str, plate_text: &str, fee: i64) -> Draft {
    change_exit(exit(hlc_ms, own_id, plate_text, fee), |exit| {
        exit.stay = Some(None);
        exit.force = true;
        exit.requested_fee = Some(Vnd(fee));
    })
}

/// An opening for a car that could not be read.
pub fn unread(hlc_ms: i64, direction: Direction, fee: i64) -> Draft {
    let body = Unread {
        edge_id: "edge-0".to_owned(),
        direction,
        text: String::new(),
        camera_type: String::new(),
        fee: Some(Vnd(fee)),
        request_id: None,
        reported: None,
        paid: None,
        card_id: None,
        images: Vec::new(),
        force: false,
        reason: None,
    };
    Draft { event_id: None, ..draft(hlc_ms, "", Body::Unread(body)) }
}

pub fn confirmed(hlc_ms: i64, stay: &str) -> Draft {
    let body = Confirmed { plate_id: None, edge_id: "edge-0".to_owned(), confirmed_time: String::new() };
    draft(hlc_ms, stay, Body::Confirmed(body))
}

pub fn correction(hlc_ms: i64, stay: &str, new_plate: Option<&str>) -> Draft {
    let body = Correction {
        plate_id: new_plate.map(plate),
        plate_view: Some("corrected".to_owned()),
        reason: "misread".to_owned(),
        ..Correction::default()
    };
    draft(hlc_ms, stay, Body::Correction(body))
}

pub fn void(hlc_ms: i64, stay: &str, removes: Vec<FactId>) -> Draft {
    draft(hlc_ms, stay, Body::Void(Void { removes, money: Vec::new(), reason: "test".to_owned(), by: None }))
}

pub fn change_exit(mut draft: Draft, change: impl FnOnce(&mut Exit)) -> Draft {
    match &mut draft.body {
        Body::Exit(exit) => change(exit),
        _ => panic!("no exit"),
    }
    draft
}

pub fn change_entry(mut draft: Draft, change: impl FnOnce(&mut Entry)) -> Draft {
    match &mut draft.body {
        Body::Entry(entry) => change(entry),
        _ => panic!("no entry"),
    }
    draft
}

pub fn with_request(mut draft: Draft, id: &str) -> Draft {
    match &mut draft.body {
        Body::Entry(entry) => entry.request_id = Some(id.to_owned()),
        Body::Exit(exit) => exit.request_id = Some(id.to_owned()),
        _ => panic!("no request"),
    }
    draft
}

/// An event of a type nobody knows.
pub fn unknown_type(hlc_ms: i64) -> String {
    format!(
        r#"{{"type":"VEHICLE_WASHED","source_central":"scribe","timestamp":{hlc_ms},"event_id":"S0","data":{{"soap":true}},"log":"LOG","seq":SEQ,"hlc":{hlc_ms}}}"#
    )
}

/// Events that are none, each with a word of why.
pub const MALFORMED: [(&str, &str); 8] = [
    ("no JSON", "{"),
    ("no object", "[]"),
    (
        "a negative fee",
        r#"{"type":"VEHICLE_EXIT","source_central":"s","timestamp":1733140800000,"event_id":"S0","data":{"exit_central":"s","exit_edge":"e","fee":-1},"log":"LOG","seq":SEQ,"hlc":1733140800000}"#,
    ),
    (
        "a fee nobody has",
        r#"{"type":"VEHICLE_EXIT","source_central":"s","timestamp":1733140800000,"event_id":"S0","data":{"exit_central":"s","exit_edge":"e","fee":9223372036854775807},"log":"LOG","seq":SEQ,"hlc":1733140800000}"#,
    ),
    (
        "a time that is none",
        r#"{"type":"VEHICLE_ENTRY_CONFIRMED","source_central":"s","timestamp":9223372036854775807,"event_id":"S0","data":{},"log":"LOG","seq":SEQ,"hlc":1733140800000}"#,
    ),
    (
        "a clock that is none",
        r#"{"type":"VEHICLE_ENTRY_CONFIRMED","source_central":"s","timestamp":1733140800000,"event_id":"S0","data":{},"log":"LOG","seq":SEQ,"hlc":9007199254740993}"#,
    ),
    (
        "no stay",
        r#"{"type":"VEHICLE_ENTRY_CONFIRMED","source_central":"s","timestamp":1733140800000,"event_id":null,"data":{},"log":"LOG","seq":SEQ,"hlc":1733140800000}"#,
    ),
    (
        "another place",
        r#"{"type":"VEHICLE_ENTRY_CONFIRMED","source_central":"s","timestamp":1733140800000,"event_id":"S0","data":{},"log":"LOG","seq":9999,"hlc":1733140800000}"#,
    ),
];
