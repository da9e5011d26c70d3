//! A site whose every day has 50,000 exits, as its central says it in its log: people, shifts, ways of payment, corrections, payments of a bank.
//!
//! One day has sixteen gates with three shifts each, the next one shift of a lane that all sixteen are of, and so in turns.

use std::collections::BTreeMap;
use std::ops::Range;

use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::{Body, Correction, Draft, Entry, Exit, RightFee};
use parkmesh::domain::ids::{FactId, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::{Method, Paid};
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::received::PaymentReceived;
use parkmesh::domain::shift::{Counted, MoneyChange, ShiftClosed, ShiftFigures, ShiftOpened, shift_id};
use parkmesh::domain::time::SiteZone;
use parkmesh::domain::vietqr::content_of;
use parkmesh::replication::log::{Head, Run};

use crate::returning::{START_MS, log_of, plate_of, runs_after};

pub const CENTRAL: &str = "central-2";
pub const EXITS: usize = 50_000;
const DAY_MS: i64 = 86_400_000;
const GATES: usize = 16;
const SHIFTS: usize = 3;
/// Cars that are inside at any time.
const INSIDE: usize = 1_500;
/// Of five cars one comes once.
const REGULARS: usize = 40_000;
/// Every so-manieth exit is corrected, when so many more have left.
const CORRECTED: usize = 50;
const CORRECTED_AFTER: usize = 350;
const FEE: Vnd = Vnd(20_000);
const RIGHT_FEE: Vnd = Vnd(15_000);

/// What the log says, day by day.
pub struct BusyDays {
    log: LogId,
    head: Head,
    drafts: Vec<Draft>,
    last_ms: i64,
    /// Those that are open, by gate.
    open: BTreeMap<usize, Open>,
}

/// An open shift.
struct Open {
    opened: ShiftOpened,
    figures: ShiftFigures,
}

/// When a day begins, Unix ms.
pub fn starts_ms(day: usize) -> i64 {
    SiteZone::default().day_start_ms(START_MS) + day as i64 * DAY_MS
}

fn is_of_one_lane(day: usize) -> bool {
    day % 2 == 1
}

/// The longest shift of a day.
pub fn first_shift(day: usize) -> String {
    shift_id(CENTRAL, &edge(0), starts_ms(day))
}

fn edge(gate: usize) -> String {
    format!("edge-{gate:02}")
}

/// Who has a gate at an exit of a day.
fn person(day: usize, gate: usize, number: usize) -> String {
    let shift = if is_of_one_lane(day) { 0 } else { gate * SHIFTS + number * SHIFTS / EXITS };
    format!("person-{shift:02}")
}

/// A car of all that ever come.
fn stay(car: usize) -> (String, i64, PlateId) {
    let in_ms = starts_ms(car / EXITS) + (car % EXITS) as i64 * (DAY_MS / EXITS as i64);
    let number = car % EXITS;
    let plate =
        plate_of(if number < REGULARS { number } else { REGULARS + (car / EXITS) * (EXITS - REGULARS) + number });
    (format!("{CENTRAL}_{in_ms}_{plate}"), in_ms, plate)
}

fn method(car: usize) -> Option<Method> {
    match car % 8 {
        0..=3 => Some(Method::Cash),
        4 => Some(Method::Qr),
        5 => Some(Method::Transfer),
        6 => Some(Method::Card),
        _ => None,
    }
}

fn camera_type(car: usize) -> &'static str {
    ["car", "moto", "moto", "truck"][car / 8 % 4]
}

impl BusyDays {
    pub fn new() -> Self {
        let log = log_of(CENTRAL, 1);
        Self { head: Head::empty(&log), log, drafts: Vec::new(), last_ms: 0, open: BTreeMap::new() }
    }

    /// What is said on some days, as it comes from a peer.
    pub fn runs(&mut self, days: Range<usize>) -> Vec<Run> {
        days.flat_map(|day| {
            for number in 0..EXITS {
                self.passage(day, number);
            }
            runs_after(&mut self.head, &self.log, std::mem::take(&mut self.drafts))
        })
        .collect()
    }

    fn say(&mut self, ms: i64, event_id: Option<String>, by: Option<Doer>, body: Body) {
        self.last_ms = ms.max(self.last_ms + 1);
        let hlc = Hlc::new(self.last_ms).expect("a clock");
        self.drafts.push(Draft { hlc, timestamp_ms: ms, skew_ms: None, event_id, body, by });
    }

    fn next_seq(&self) -> u64 {
        self.head.to + self.drafts.len() as u64 + 1
    }

    /// One car comes in, another leaves, and whatever else is due by then.
    fn passage(&mut self, day: usize, number: usize) {
        let car = day * EXITS + number;
        let (event_id, ms, plate) = stay(car);
        if number * SHIFTS % EXITS < SHIFTS && (number == 0 || !is_of_one_lane(day)) {
            self.hand_over(day, number, ms);
        }
        let gate = car / 3 % GATES;
        let entry = Entry {
            camera_type: camera_type(car).to_owned(),
            confidence: Some(0.95),
            request_id: Some(format!("in-{car}")),
            ..Entry::of(plate, edge(gate))
        };
        self.shift(day, gate).figures.entries += 1;
        self.say(ms, Some(event_id), Some(Doer::new(DoerKind::Edge, &edge(gate))), Body::Entry(entry));
        if let Some(leaves) = car.checked_sub(INSIDE) {
            self.leave(day, number, leaves, ms + 1);
        }
        if let Some(leaves) = car.checked_sub(INSIDE + CORRECTED_AFTER).filter(|car| car % CORRECTED == 0) {
            self.correct(day, leaves, ms + 2);
        }
    }

    /// The shift of a gate: on a day of one lane that of its first.
    fn shift(&mut self, day: usize, gate: usize) -> &mut Open {
        let gate = if is_of_one_lane(day) { 0 } else { gate };
        self.open.get_mut(&gate).expect("a shift")
    }

    /// Ends the shifts that are open and begins the next.
    fn hand_over(&mut self, day: usize, number: usize, ms: i64) {
        for (_, Open { opened, figures }) in std::mem::take(&mut self.open) {
            let counted = Some(vec![Counted { log: self.log.clone(), to: self.next_seq() - 1 }]);
            let by = Some(Doer::new(DoerKind::Person, "lead"));
            let closed = ShiftClosed {
                shift: opened.shift,
                edge_id: opened.edge_id,
                until_ms: ms,
                opening_cash: opened.opening_cash,
                counted_cash: figures.expected_cash(opened.opening_cash),
                inside: INSIDE as u64,
                figures,
                counted,
                note: None,
            };
            self.say(ms, None, by, Body::ShiftClosed(closed));
        }
        for gate in 0..if is_of_one_lane(day) { 1 } else { GATES } {
            let lane_edges = if is_of_one_lane(day) { (1..GATES).map(edge).collect() } else { Vec::new() };
            let opened = ShiftOpened {
                shift: shift_id(CENTRAL, &edge(gate), ms),
                edge_id: edge(gate),
                lane_edges,
                from_ms: ms,
                opening_cash: Vnd(500_000),
                inside: INSIDE as u64,
            };
            let by = Doer::new(DoerKind::Person, &person(day, gate, number));
            self.say(ms, None, Some(by), Body::ShiftOpened(opened.clone()));
            self.open.insert(gate, Open { opened, figures: ShiftFigures::default() });
        }
    }

    fn leave(&mut self, day: usize, number: usize, car: usize, ms: i64) {
        let (event_id, _, plate) = stay(car);
        let gate = car / 5 % GATES;
        let method = method(car);
        let transferred = method.filter(|method| matches!(method, Method::Qr | Method::Transfer));
        // A bank tells nearly all of it.
        if let Some(method) = transferred.filter(|_| car % 40 != 4) {
            let payment = PaymentReceived {
                reference: format!("FT{car}"),
                method,
                amount: FEE,
                stay: Some(event_id.clone()),
                text: Some(format!("MBVCB.63.{}.CT tu 0011", content_of(&event_id))),
            };
            self.say(ms, None, Some(Doer::new(DoerKind::Token, "bank")), Body::PaymentReceived(payment));
        }
        let reference = transferred.map(|_| content_of(&event_id));
        let is_forced = car % 200 == 7;
        let exit = Exit {
            duration: "43 phút".to_owned(),
            camera_type: Some(camera_type(car).to_owned()),
            request_id: Some(format!("out-{car}")),
            force: is_forced,
            reason: is_forced.then(|| "mất thẻ".to_owned()),
            paid: method.map(|method| Paid { method, amount: FEE, reference, also: Vec::new() }),
            ..Exit::of(Some(plate), CENTRAL, edge(gate), FEE)
        };
        let by = match car % 2 {
            0 => Doer::new(DoerKind::Person, &person(day, gate, number)),
            _ => Doer::new(DoerKind::Edge, &edge(gate)),
        };
        let counted = [(method.map_or("", Method::name), 1, FEE.0)];
        self.shift(day, gate).figures.take(counted, camera_type(car));
        self.say(ms, Some(event_id), Some(by), Body::Exit(exit));
    }

    /// Less was taken than the gate said: some of these come after the shift of the exit was closed.
    fn correct(&mut self, day: usize, car: usize, ms: i64) {
        let (event_id, ..) = stay(car);
        // What was said on the day before is not corrected.
        let is_it = |draft: &Draft| matches!(&draft.body, Body::Exit(_)) && draft.event_id.as_ref() == Some(&event_id);
        let Some(at) = self.drafts.iter().rposition(is_it) else { return };
        let draft = &self.drafts[at];
        let Body::Exit(exit) = &draft.body else { return };
        let exit_id = FactId::Authored { log: self.log.clone(), seq: self.head.to + at as u64 + 1 };
        let change = MoneyChange {
            exit: exit_id.clone(),
            central: CENTRAL.to_owned(),
            edge_id: exit.exit_edge.clone(),
            exit_ms: draft.timestamp_ms,
            taken_by: draft.by.as_ref().and_then(Doer::text).unwrap_or_default(),
            method: exit.paid.as_ref().map_or("", |paid| paid.method.name()).to_owned(),
            before: FEE,
            after: RIGHT_FEE,
        };
        let (exit_ms, method) = (change.exit_ms, change.method.clone());
        let shift = self.shift(day, car / 5 % GATES);
        if exit_ms >= shift.opened.from_ms {
            shift.figures.take([(method.as_str(), 0, change.change())], camera_type(car));
        }
        let correction = Correction {
            right_fee: Some(RightFee { exit: exit_id, before: FEE, fee: RIGHT_FEE }),
            money: vec![change],
            reason: "tính nhầm giờ".to_owned(),
            ..Correction::default()
        };
        self.say(ms, Some(event_id), Some(Doer::new(DoerKind::Person, "lead")), Body::Correction(correction));
    }
}
