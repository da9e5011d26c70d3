//! The gates of a demo: what an edge program and the person beside it do with each car, over real HTTP.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::traffic::{Slip, Trip};
use crate::domain::direction::Direction;
use crate::lab::client::{Address, Caller, ClientError, Reply};
use crate::lab::plates;

/// How long a gate waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a call without an answer, or refused for now, is made again with the same `request_id`.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// What a person takes from a car whose entry their gate does not know, in VND.
const FLAT_FEE_VND: i64 = 10_000;

/// What all gates did, counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that opened a barrier.
    pub opened: u64,
    /// Of these: the person overrode what the central knew.
    pub forced: u64,
    /// Second presses that got the first answer again.
    pub repeated: u64,
    /// Wrong directions that were refused.
    pub refused: u64,
    /// Answers that were not as documented, in words, with how often.
    pub surprises: BTreeMap<String, u64>,
    /// Event ids of acknowledged entries: each must be in every history at the end.
    pub entries: Vec<String>,
}

impl Tally {
    fn surprise(&mut self, what: String) {
        *self.surprises.entry(what).or_default() += 1;
    }
}

/// One gate: one lane of one central with one connection.
#[derive(Debug)]
pub struct Gate {
    edge: String,
    caller: Caller,
    tally: Rc<RefCell<Tally>>,
    presses: u64,
}

impl Gate {
    pub fn new(central: usize, direction: Direction, address: Address, tally: Rc<RefCell<Tally>>) -> Self {
        let lane = if direction == Direction::Entry { "in" } else { "out" };
        let edge = format!("gate-{}-{lane}", central + 1);
        Self { edge, caller: Caller::new(address, PATIENCE), tally, presses: 0 }
    }

    /// Serves cars until no more come.
    pub async fn serve(mut self, mut cars: mpsc::Receiver<Trip>) {
        while let Some(trip) = cars.recv().await {
            if let Err(error) = self.pass(&trip).await {
                self.tally.borrow_mut().surprise(format!("no answer: {error}"));
            }
        }
    }

    async fn pass(&mut self, trip: &Trip) -> Result<(), ClientError> {
        let seen = self.caller.post("/api/edge/detection", &self.call(trip, trip.direction)).await?;
        if !seen.is_success() {
            self.surprised("detection", &seen);
        }
        if trip.slip == Slip::WrongDirection {
            let mut call = self.call(trip, trip.direction.other());
            self.stamp(&mut call);
            let reply = self.press(&call).await?;
            // In a cut the gate may not know better and open: then the car is known there from now on.
            if matches!(reply.text("code"), "already_inside" | "not_inside") {
                self.tally.borrow_mut().refused += 1;
            } else {
                self.opened(&reply, trip.direction.other(), false);
            }
        }
        let mut call = self.call(trip, trip.direction);
        self.stamp(&mut call);
        let mut reply = self.press(&call).await?;
        let forced = matches!(reply.text("code"), "already_inside" | "not_inside");
        if forced {
            // The gate's central knows otherwise (a cut, or a forced exit elsewhere): the person sees the car and decides.
            self.stamp(&mut call);
            merge(&mut call, json!({"force": true}));
            if trip.direction == Direction::Exit {
                merge(&mut call, json!({"fee": FLAT_FEE_VND}));
            }
            reply = self.press(&call).await?;
        }
        self.opened(&reply, trip.direction, forced);
        if trip.slip == Slip::DoublePress && reply.is_success() {
            self.press_again(&call, &reply).await?;
        }
        if reply.is_success() && trip.direction == Direction::Entry {
            let close = json!({"edge_id": self.edge, "plate_id": trip.plate, "event_id": reply.text("event_id")});
            let closed = self.caller.post("/api/edge/barrier/close", &close).await?;
            if !closed.is_success() {
                self.surprised("barrier/close", &closed);
            }
        }
        Ok(())
    }

    async fn press_again(&mut self, call: &Value, first: &Reply) -> Result<(), ClientError> {
        let second = self.press(call).await?;
        let same = second.text("event_id") == first.text("event_id") && second.number("fee") == first.number("fee");
        if second.is_success() && same && second.body.get("repeated") == Some(&Value::Bool(true)) {
            self.tally.borrow_mut().repeated += 1;
        } else {
            self.surprised("second press", &second);
        }
        Ok(())
    }

    /// Makes the call until it is answered with something else than "not now".
    async fn press(&mut self, call: &Value) -> Result<Reply, ClientError> {
        let mut attempt = 1;
        loop {
            let outcome = self.caller.post("/api/edge/barrier/open", call).await;
            let again = match &outcome {
                Ok(reply) => matches!(reply.status, 429 | 503),
                Err(_) => true,
            };
            if !again || attempt == ATTEMPTS {
                return outcome;
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn call(&self, trip: &Trip, direction: Direction) -> Value {
        json!({
            "edge_id": self.edge,
            "plate_id": trip.plate,
            "plate_view": plates::view(&trip.plate),
            "camera_type": if trip.motorbike { "moto" } else { "car" },
            "direction": direction.name(),
            "confidence": 0.95,
        })
    }

    /// Gives the call a `request_id` of its own.
    fn stamp(&mut self, call: &mut Value) {
        self.presses += 1;
        merge(call, json!({"request_id": format!("{}-{}", self.edge, self.presses)}));
    }

    fn opened(&self, reply: &Reply, direction: Direction, forced: bool) {
        if !reply.is_success() {
            return self.surprised(direction.name(), reply);
        }
        let mut tally = self.tally.borrow_mut();
        tally.opened += 1;
        tally.forced += u64::from(forced);
        if direction == Direction::Entry {
            tally.entries.push(reply.text("event_id").to_owned());
        }
    }

    fn surprised(&self, what: &str, reply: &Reply) {
        let code = reply.text("code");
        self.tally.borrow_mut().surprise(format!("{what}: {} {code}", reply.status));
    }
}

fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}
