//! Facts in few words.

use std::sync::Arc;

use crate::domain::event::{Body, Confirmed, Correction, Entry, Event, Exit, Void};
use crate::domain::ids::{CentralId, Epoch, FactId, Hlc, LogId};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::stay::Fact;

pub const P: &str = "29A12345";
pub const Q: &str = "30B54321";

pub fn plate(text: &str) -> PlateId {
    PlateId::parse(text).unwrap()
}

/// A fact of a central's log at a clock. The number in the log is the clock unless told otherwise.
fn fact(central: &str, hlc: i64, event_id: &str, body: Body) -> Fact {
    let log = LogId { central: CentralId::new(central).unwrap(), epoch: Epoch(7) };
    Fact::authored(Arc::new(Event {
        log,
        seq: hlc.unsigned_abs(),
        hlc: Hlc::new(hlc).unwrap(),
        timestamp_ms: hlc,
        skew_ms: None,
        source_central: central.to_owned(),
        event_id: Some(event_id.to_owned()),
        heard_from: None,
        body,
        by: None,
    }))
}

pub fn entry(central: &str, hlc: i64, stay: &str, plate_text: &str) -> Fact {
    let body = Entry {
        plate_view: plate_text.to_owned(),
        camera_type: "car".to_owned(),
        ..Entry::of(plate(plate_text), "in")
    };
    fact(central, hlc, stay, Body::Entry(body))
}

pub fn confirmed(central: &str, hlc: i64, stay: &str) -> Fact {
    let body = Confirmed { plate_id: None, edge_id: "in".to_owned(), confirmed_time: String::new() };
    fact(central, hlc, stay, Body::Confirmed(body))
}

/// An exit that names its stay.
pub fn exit(central: &str, hlc: i64, stay: &str, fee: i64) -> Fact {
    let body = Exit { stay: Some(Some(stay.to_owned())), ..Exit::of(Some(plate(P)), central, "out", Vnd(fee)) };
    fact(central, hlc, stay, Body::Exit(body))
}

/// A forced exit at a gate that knew of no stay.
pub fn exit_unknown(central: &str, hlc: i64, own_id: &str, plate_text: &str, fee: i64) -> Fact {
    exit(central, hlc, own_id, fee).change_exit(|exit| {
        exit.stay = Some(None);
        exit.plate_id = Some(plate(plate_text));
        exit.force = true;
        exit.requested_fee = Some(Vnd(fee));
    })
}

pub fn correction(central: &str, hlc: i64, stay: &str, new_plate: &str) -> Fact {
    let body = Correction {
        plate_id: Some(plate(new_plate)),
        plate_view: Some(format!("view {new_plate}")),
        reason: "misread".to_owned(),
        ..Correction::default()
    };
    fact(central, hlc, stay, Body::Correction(body))
}

pub fn void(central: &str, hlc: i64, stay: &str, removes: &[&Fact]) -> Fact {
    void_ids(central, hlc, stay, removes.iter().map(|fact| fact.id.clone()).collect())
}

pub fn void_ids(central: &str, hlc: i64, stay: &str, removes: Vec<FactId>) -> Fact {
    fact(central, hlc, stay, Body::Void(Void { removes, money: Vec::new(), reason: "test".to_owned(), by: None }))
}

/// Changes to a fact just built.
impl Fact {
    pub fn change(mut self, change: impl FnOnce(&mut Event)) -> Self {
        change(Arc::make_mut(&mut self.event));
        if !self.is_heard() {
            self.id = self.event.fact_id();
        }
        self
    }

    pub fn change_entry(self, change: impl FnOnce(&mut Entry)) -> Self {
        self.change(|event| match &mut event.body {
            Body::Entry(entry) => change(entry),
            _ => panic!("no entry"),
        })
    }

    pub fn change_exit(self, change: impl FnOnce(&mut Exit)) -> Self {
        self.change(|event| match &mut event.body {
            Body::Exit(exit) => change(exit),
            _ => panic!("no exit"),
        })
    }

    pub fn seq(self, seq: u64) -> Self {
        self.change(|event| event.seq = seq)
    }

    pub fn at_ms(self, timestamp_ms: i64) -> Self {
        self.change(|event| event.timestamp_ms = timestamp_ms)
    }

    pub fn skewed(self, skew_ms: i64) -> Self {
        self.change(|event| event.skew_ms = Some(skew_ms))
    }

    pub fn request(self, request_id: &str) -> Self {
        self.change(|event| match &mut event.body {
            Body::Entry(entry) => entry.request_id = Some(request_id.to_owned()),
            Body::Exit(exit) => exit.request_id = Some(request_id.to_owned()),
            _ => panic!("no request"),
        })
    }

    pub fn replaces(self, stay: &str) -> Self {
        self.change_entry(|entry| {
            entry.force = true;
            entry.replaces = Some(stay.to_owned());
        })
    }

    /// As said by a predecessor: `digest` stands for the hash of what it said.
    pub fn heard(mut self, digest: u8) -> Self {
        self.id = FactId::Heard([digest; 32]);
        self
    }

    /// The id a stay of this fact has when `base` belongs to another.
    pub fn unique_id(&self, base: &str) -> String {
        crate::domain::stay::row_steps::unique_stay_id(base, &self.id, 8)
    }
}
