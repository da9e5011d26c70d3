//! What predecessors say: written down once, one fact whoever wrote it down, never more than our own events say.

use parkmesh::domain::event::Draft;
use parkmesh::domain::row::StayStatus;
use parkmesh::ledger::job::{Answer, Hearing, Job, Told};

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;

const STAY: &str = "old-1_1733140800000_29A12345";

fn told(draft: Draft) -> Told {
    Told { draft, source_central: "old-1".to_owned(), from: "old-1".to_owned() }
}

fn hear(central: &mut Central, drafts: Vec<Draft>) -> Vec<Hearing> {
    let answer = central.ask(Job::Hear(drafts.into_iter().map(told).collect())).unwrap();
    check(central);
    match answer {
        Answer::Heard(hearings) => hearings,
        other => panic!("nothing heard: {other:?}"),
    }
}

#[test]
fn what_is_said_is_written_down_with_who_said_it_and_counts_once() {
    let mut central = Central::new(0);
    let visit = vec![say::entry(START_MS, STAY, P), say::exit(START_MS + HOUR_MS, STAY, P, 25_000)];
    assert_eq!(hear(&mut central, visit.clone()), [Hearing::New, Hearing::New]);
    let row = central.row(STAY);
    assert_eq!((row.status, row.source_central.as_str(), row.collected.0), (StayStatus::Out, "old-1", 25_000));
    let event = central.last_event();
    assert_eq!(event.heard_from.as_deref(), Some("old-1"));
    assert_eq!(event.hlc.ms(), START_MS + HOUR_MS, "the time that is claimed");
    for _ in 0..2 {
        assert_eq!(hear(&mut central, visit.clone()), [Hearing::Known, Hearing::Known]);
        central = central.restart();
    }
    assert_eq!(central.ledger.events(), 2);
}

#[test]
fn two_centrals_that_hear_the_same_agree_and_it_earns_once() {
    let (mut a, mut b) = (Central::new(0), Central::new(1));
    let visit = |edge: &str| {
        let entry = say::change_entry(say::entry(START_MS, STAY, P), |entry| entry.camera_type = edge.to_owned());
        vec![entry, say::exit(START_MS + HOUR_MS, STAY, P, 25_000)]
    };
    // The same words, and a field that has no part in the identity.
    hear(&mut a, visit("car"));
    hear(&mut b, visit("moto"));
    a.hear(&mut b);
    b.hear(&mut a);
    assert_eq!((a.rows(), a.ledger.digest()), (b.rows(), b.ledger.digest()));
    assert_eq!((a.rows().len(), a.row(STAY).collected.0, a.ledger.events()), (1, 25_000, 4));
    check(&mut a);
    check(&mut b);
    a.rebuild(1);
    assert_eq!(a.ledger.digest(), b.ledger.digest());
}

#[test]
fn an_echo_of_our_own_event_is_not_written_down() {
    let mut central = Central::new(0);
    let stay = central.enters(entry("edge-1", P));
    central.wait(2 * HOUR_MS);
    let (_, fee, _) = central.exits(exit("edge-1", P));
    let echo = vec![say::entry(START_MS - 999, &stay, P), say::exit(START_MS + 2 * HOUR_MS, &stay, P, fee)];
    assert_eq!(hear(&mut central, echo), [Hearing::Known, Hearing::Known]);
    // Another plate under that id, another fee at another time: something else happened.
    let other = vec![say::entry(START_MS, &stay, Q), say::exit(START_MS + HOUR_MS, &stay, P, 1)];
    assert_eq!(hear(&mut central, other), [Hearing::New, Hearing::New]);
}

#[test]
fn an_exit_heard_before_its_entry_is_a_row_of_its_own_until_that_comes() {
    let mut central = Central::new(0);
    hear(&mut central, vec![say::exit(START_MS + HOUR_MS, STAY, P, 25_000)]);
    assert_eq!(central.rows().len(), 1);
    assert_eq!(central.row(STAY).entry_ms, START_MS + HOUR_MS);
    hear(&mut central, vec![say::entry(START_MS, STAY, P)]);
    assert_eq!(central.rows().len(), 1);
    assert_eq!((central.row(STAY).status, central.row(STAY).entry_ms), (StayStatus::Out, START_MS));
}

#[test]
fn what_cannot_be_written_down_is_refused_and_holds_up_nothing() {
    let mut central = Central::new(0);
    let endless = say::change_entry(say::entry(START_MS, "S-1", P), |entry| entry.plate_view = "x".repeat(20_000));
    let hearings = hear(&mut central, vec![endless, say::entry(START_MS, STAY, P)]);
    assert!(matches!(hearings.as_slice(), [Hearing::Refused(_), Hearing::New]), "{hearings:?}");
}

#[test]
fn a_lower_copy_takes_the_place_of_a_higher_one_whenever_it_arrives() {
    // The centrals read the local time of the predecessor in different zones.
    let mut scribes = [Scribe::new("central-8", 1), Scribe::new("central-9", 1)];
    for (scribe, shift_ms) in scribes.iter_mut().zip([HOUR_MS, 0]) {
        scribe.say_heard(&say::entry(START_MS + shift_ms, STAY, P));
        scribe.say_heard(&say::exit(START_MS + 2 * HOUR_MS + shift_ms, STAY, P, 25_000));
        scribe.say_heard(&say::exit(START_MS + 3 * HOUR_MS + shift_ms, "unknown", P, 5_000));
    }
    let mut digests = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let mut central = Central::new(0);
        for scribe in order {
            central.ask(Job::Store(scribes[scribe].run(0, 3))).unwrap();
            check(&mut central);
            central.settle();
            check(&mut central);
        }
        assert_eq!(central.row(STAY).entry_ms, START_MS);
        digests.push(central.ledger.digest());
    }
    assert_eq!(digests[0], digests[1]);
}
