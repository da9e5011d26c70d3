//! Realistic and nasty sets of facts: few plates, stay ids, clocks and requests, so that everything collides.

use proptest::collection::vec;
use proptest::prelude::*;

use super::build::*;
use crate::domain::event::{Body, Reported, RightFee, RightMethod};
use crate::domain::money::Vnd;
use crate::domain::payment::{Method, PaidToo};
use crate::domain::stay::{Fact, PASSAGE_WINDOW_MS, REQUEST_WINDOW_MS, RESENT_WINDOW_MS};

const PLATES: [&str; 3] = [P, Q, "31C11111"];

/// One fact before it is known which others it refers to.
#[derive(Debug, Clone)]
struct Sketch {
    kind: u8,
    central: usize,
    hlc: i64,
    plate: usize,
    stay: usize,
    /// Other facts by number: what a void removes; whose unique id is named.
    others: Vec<usize>,
    request: Option<usize>,
    replaces: Option<usize>,
    name_unique: bool,
    flag: bool,
    fee: i64,
    heard: Option<u8>,
    skew_ms: Option<i64>,
    told_ms: Option<i64>,
    /// Of an exit: a program told it.
    told: bool,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    // Small clocks collide; the others are at and around the edge of the window of a request.
    let hlc = prop_oneof![4 => 1_i64..12, 1 => REQUEST_WINDOW_MS - 2..REQUEST_WINDOW_MS + 12,
        1 => RESENT_WINDOW_MS - 2..RESENT_WINDOW_MS + 12, 1 => 1_i64..5_000];
    let references = (vec(0_usize..32, 0..4), prop::option::weighted(0.5, 0_usize..3));
    let naming = (prop::option::weighted(0.3, 0_usize..4), prop::bool::weighted(0.15));
    let rest = (any::<bool>(), 0_i64..4, prop::option::weighted(0.2, 0_u8..4));
    let skew = prop::option::weighted(0.2, prop_oneof![Just(-90_000_i64), Just(10_i64), Just(90_000_i64)]);
    // At and around the edge of what two times of one passage can be apart.
    let told = prop::option::weighted(0.3, prop_oneof![Just(0), Just(PASSAGE_WINDOW_MS), Just(PASSAGE_WINDOW_MS + 1)]);
    let told = (told, any::<bool>());
    let place = (0_u8..12, 0_usize..3, hlc, 0_usize..3, 0_usize..4);
    (place, references, naming, rest, skew, told).prop_map(
        |(place, references, naming, rest, skew_ms, (told_ms, told))| {
            let (kind, central, hlc, plate, stay) = place;
            let (others, request) = references;
            let (replaces, name_unique) = naming;
            let (flag, fee, heard) = rest;
            Sketch {
                kind,
                central,
                hlc,
                plate,
                stay,
                others,
                request,
                replaces,
                name_unique,
                flag,
                fee,
                heard,
                skew_ms,
                told_ms,
                told,
            }
        },
    )
}

/// A set of up to `most` facts. Authored ones have a place in a log of their own each.
pub fn facts(most: usize) -> impl Strategy<Value = Vec<Fact>> {
    vec(sketch(), 1..=most).prop_map(|sketches| drawn(&sketches, &PLATES, "S", 1))
}

/// Two sets that have nothing in common.
pub fn unlinked_facts(most: usize) -> impl Strategy<Value = (Vec<Fact>, Vec<Fact>)> {
    (vec(sketch(), 1..=most), vec(sketch(), 1..=most)).prop_map(|(mut here, mut there)| {
        // A predecessor's statement and a request link whatever carries them.
        here.iter_mut().for_each(|sketch| sketch.heard = sketch.heard.map(|digest| digest + 100));
        there.iter_mut().for_each(|sketch| sketch.request = sketch.request.map(|request| request + 100));
        // So do the second and the fee of an exit, through one that is told by plate.
        there.iter_mut().for_each(|sketch| sketch.fee += 100);
        let there = drawn(&there, &["51F00001", "51F00002", "51F00003"], "T", 1_000);
        (drawn(&here, &PLATES, "S", 1), there)
    })
}

fn drawn(sketches: &[Sketch], plates: &[&str; 3], stays: &str, first_seq: usize) -> Vec<Fact> {
    // First without references to other facts, whose identities do not depend on them.
    let bare: Vec<Fact> =
        (first_seq..).zip(sketches).map(|(seq, sketch)| draw(sketch, seq, plates, stays, &[])).collect();
    (first_seq..).zip(sketches).map(|(seq, sketch)| draw(sketch, seq, plates, stays, &bare)).collect()
}

fn draw(sketch: &Sketch, seq: usize, plates: &[&str; 3], stays: &str, all: &[Fact]) -> Fact {
    let central = ["a", "b", "c"][sketch.central];
    let plate_text = plates[sketch.plate];
    let others: Vec<&Fact> =
        sketch.others.iter().filter(|_| !all.is_empty()).map(|other| &all[other % all.len()]).collect();
    let base = format!("{stays}{}", sketch.stay);
    let stay = match others.first() {
        Some(other) if sketch.name_unique => other.unique_id(&base),
        _ => base,
    };
    let fact = match sketch.kind {
        0..=3 => entry(central, sketch.hlc, &stay, plate_text).change_entry(|entry| {
            entry.force = sketch.flag;
            entry.replaces = sketch.replaces.map(|stay| format!("{stays}{stay}"));
        }),
        4 | 5 => exit(central, sketch.hlc, &stay, sketch.fee).change_exit(|exit| {
            // Absent: the stay is the event id. A v1 predecessor states no plate.
            exit.stay = if sketch.flag { None } else { exit.stay.clone() };
            exit.plate_id = (sketch.fee % 100 != 3).then(|| plate(plate_text));
        }),
        6 | 7 => exit_unknown(central, sketch.hlc, &stay, plate_text, sketch.fee).change_exit(|exit| {
            exit.force = sketch.flag;
            exit.plate_id = exit.plate_id.clone().filter(|_| sketch.fee % 100 != 3 || sketch.flag);
            exit.requested_fee = exit.requested_fee.filter(|_| sketch.flag);
        }),
        8 => confirmed(central, sketch.hlc, &stay),
        9 | 10 => correction(central, sketch.hlc, &stay, plate_text).change(|event| {
            if let Body::Correction(correction) = &mut event.body {
                correction.plate_id = correction.plate_id.clone().filter(|_| sketch.flag);
                let mut named = others.iter().map(|other| other.id.clone());
                if sketch.fee > 1 {
                    let right = |exit| RightFee { exit, before: Vnd(sketch.fee), fee: Vnd(50 + sketch.fee) };
                    correction.right_fee = named.next().map(right);
                }
                if let Some(exit) = sketch.others.get(1).and_then(|_| named.next()) {
                    let (before, method, reference) = (None, Method::Transfer, None);
                    let too = PaidToo { method: Method::Cash, amount: Vnd(sketch.fee), reference: None };
                    let also = if sketch.flag { vec![too] } else { Vec::new() };
                    correction.right_method = Some(RightMethod { exit, before, method, reference, also });
                }
                correction.camera_type = (sketch.fee == 1).then(|| "moto".to_owned());
                correction.undoes = named.collect();
            }
        }),
        _ => void(central, sketch.hlc, &stay, &others),
    };
    let fact = fact.seq(u64::try_from(seq).unwrap()).change(|event| event.skew_ms = sketch.skew_ms);
    let fact = match sketch.request {
        Some(request) if sketch.kind < 8 => fact.request(&format!("r{request}")),
        _ => fact,
    };
    let reported = sketch.told_ms.map(|told_ms| Reported { told_ms, received_ms: sketch.hlc });
    let fact = fact.change(|event| match &mut event.body {
        Body::Entry(entry) => {
            entry.reported = reported;
            entry.told = sketch.told && !entry.force;
        }
        Body::Exit(exit) => {
            exit.reported = reported;
            exit.told = sketch.told && !exit.force;
        }
        _ => {}
    });
    match sketch.heard {
        Some(digest) => fact.heard(digest),
        None => fact,
    }
}
