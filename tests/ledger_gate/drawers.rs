//! Whose word the money of a shift is: a drawer answers for what its own gate told and its own central said, once, whatever other centrals write.

use parkmesh::domain::direction::Direction;
use parkmesh::domain::event::{Draft, Exit};
use parkmesh::domain::ids::Hlc;
use parkmesh::domain::money::Vnd;
use parkmesh::domain::payment::Method;
use parkmesh::domain::row::StayStatus;
use parkmesh::domain::shift::ShiftFigures;
use parkmesh::domain::told::payment::ToldPaid;
use parkmesh::ledger::job::{CorrectStay, Job, Report};
use proptest::prelude::*;

use crate::ledger_support::check::check;
use crate::ledger_support::say::{self, Scribe};
use crate::ledger_support::*;
use crate::reporting::report;
use crate::shifts::{closed, closing, live, opening, person, reckoned, set, told_late, unread_exit, visit};

const FEE: i64 = 20_000;
const R: &str = "31C11111";

/// The gate's own central, with an open shift, and another one.
fn two() -> ([Central; 2], String) {
    let (mut here, mut there) = (Central::new(0), Central::new(1));
    let id = set(&mut here, opening("edge-1", "lan"));
    there.now_ms = here.now_ms;
    ([here, there], id)
}

fn both_know([here, there]: &mut [Central; 2]) {
    there.hear(here);
    here.hear(there);
    let now_ms = here.now_ms.max(there.now_ms) + MINUTE_MS;
    for central in [here, there] {
        central.now_ms = now_ms;
        central.settle();
    }
}

fn said(stay: &str, change: &dyn Fn(&mut CorrectStay)) -> Job {
    let mut said = CorrectStay { stay_id: stay.to_owned(), reason: "nhầm".to_owned(), ..CorrectStay::default() };
    change(&mut said);
    Job::Correct(said).by(person("lead"))
}

/// What the drawer answers for, exits and VND, and what is beyond.
fn found(central: &mut Central, id: &str) -> (i64, i64, i64) {
    let of = reckoned(central, id);
    (of.figures.exits(), of.figures.revenue(), of.elsewhere.revenue())
}

/// A car whose plate was misread twice: money stays with who took it, however often others say whose car it was.
#[test]
fn who_says_again_elsewhere_whose_an_exit_was_moves_no_money() {
    let (mut centrals, id) = two();
    let first = visit(&mut centrals[0], "edge-1", P, &person("lan"), FEE, Method::Cash);
    let second = centrals[0].enters(entry("edge-2", Q));
    centrals[0].enters(entry("edge-2", R));
    both_know(&mut centrals);
    // The opening of a car nobody could read, likewise.
    centrals[0].ask(Job::Unread(unread_exit(Some(Vnd(7_000)))).by(person("lan"))).unwrap();
    let opened = centrals[0].last_event().fact_id().to_string();
    both_know(&mut centrals);
    centrals[1].ask(said(&opened, &|said| said.plate = Some(plate("30C11111")))).unwrap();
    both_know(&mut centrals);
    let read = centrals[1].rows().into_iter().find(|row| row.plate_id == plate("30C11111")).unwrap().stay_id;
    for (stay, now) in [(&first, Q), (&second, R)] {
        centrals[1].ask(said(stay, &|said| said.exit_plate = Some(plate(now)))).unwrap();
        both_know(&mut centrals);
        for central in &mut centrals {
            assert_eq!(found(central, &id), (2, FEE + 7_000, 0), "given to {now}");
            check(central);
        }
    }
    centrals[1].ask(said(&read, &|said| said.plate = Some(plate("30C22222")))).unwrap();
    both_know(&mut centrals);
    for central in &mut centrals {
        assert_eq!(found(central, &id), (2, FEE + 7_000, 0));
        check(central);
    }
}

/// A central that went bad writes what a gate told anew, over and over, in every way that makes it another exit.
#[test]
fn what_a_gate_told_is_in_its_drawer_once_however_often_another_writes_it_anew() {
    for is_opening in [false, true] {
        let ([mut here, mut there], id) = two();
        let own = if is_opening {
            here.ask(Job::Unread(unread_exit(Some(Vnd(FEE)))).by(person("lan"))).unwrap();
            here.last_event()
        } else {
            visit(&mut here, "edge-1", P, &person("lan"), FEE, Method::Cash);
            here.last_event()
        };
        let mut bad = Scribe::new("central-9", 1);
        if !is_opening {
            bad.say(&say::void(here.wall_ms(), own.event_id.as_deref().unwrap(), vec![own.fact_id()]));
        }
        let mut of = own.fact_id();
        for number in 0..24_i64 {
            let out = say::exit_unknown(here.wall_ms(), &format!("bad-{number}"), "66A66666", FEE);
            let mut draft = say::change_exit(out, |exit: &mut Exit| {
                (exit.exit_central, exit.exit_edge) = ("central-1".to_owned(), "edge-1".to_owned());
                exit.taken_by = Some(person("lan"));
                exit.plate_id = Some(plate(&format!("66A{:05}", number % 5)));
                exit.stay = Some(None);
                exit.request_id = Some(if is_opening { format!("\u{1}read {of}") } else { of.to_string() });
                exit.doubts = vec!["fee_uncertain".to_owned()];
                exit.requested_fee = Some(Vnd(number % 7));
                exit.force = number % 2 == 0;
                exit.told = number % 3 == 0;
            });
            let days = number / 4 * 8;
            draft = Draft {
                timestamp_ms: own.timestamp_ms,
                hlc: Hlc::new(own.hlc.ms() + number - days * DAY_MS).unwrap(),
                ..draft
            };
            let anew = bad.say(&draft);
            // Some are in place of one before, which counts or does not.
            if number % 6 == 5 && !is_opening {
                if number > 10 {
                    bad.say(&say::void(here.wall_ms(), &format!("bad-{number}"), vec![anew.clone()]));
                }
                of = anew;
            }
        }
        let all = bad.run(0, 99);
        there.ask(Job::Store(all.clone())).unwrap();
        there.hear(&mut here);
        here.ask(Job::Store(all)).unwrap();
        for central in [&mut here, &mut there] {
            central.settle();
            let (exits, drawer, _) = found(central, &id);
            assert!(exits <= 1 && drawer <= FEE, "{exits} exits and {drawer} VND, of an opening: {is_opening}");
            check(central);
        }
        assert_eq!(reckoned(&mut here, &id), reckoned(&mut there, &id));
    }
}

/// A gate that heard no answer told both; a central that went bad writes each anew.
#[test]
fn an_exit_that_was_told_on_both_sides_of_a_cut_counts_once_though_another_writes_both_anew() {
    let ([mut here, mut there], id) = two();
    here.enters(entry("edge-1", P));
    there.hear(&mut here);
    let told = [&mut here, &mut there].map(|central| {
        central.wait(2 * HOUR_MS);
        let told = report(Direction::Exit, Some("r1"), Some(central.wall_ms()));
        central.ask(Job::Report(Report { edge_id: "edge-1".to_owned(), ..told }).by(person("lan"))).unwrap();
        central.last_event()
    });
    let once = found(&mut here, &id);
    assert_eq!(once.0, 1);
    let mut bad = Scribe::new("central-9", 1);
    let removed = told.iter().map(|told| told.fact_id()).collect();
    bad.say(&say::void(here.wall_ms(), told[0].event_id.as_deref().unwrap(), removed));
    for (number, own) in (1..).zip(&told) {
        let out = say::exit_unknown(here.wall_ms(), &format!("bad-{number}"), &format!("66A6666{number}"), once.1);
        let draft = say::change_exit(out, |exit: &mut Exit| {
            (exit.exit_central, exit.exit_edge) = (format!("central-{number}"), "edge-1".to_owned());
            exit.taken_by = Some(person("lan"));
            exit.stay = Some(None);
            exit.request_id = Some(own.fact_id().to_string());
            exit.doubts = vec!["fee_uncertain".to_owned()];
        });
        let hlc = Hlc::next(own.hlc.ms(), Some(own.hlc));
        bad.say(&Draft { timestamp_ms: own.timestamp_ms, hlc, ..draft });
    }
    let all = bad.run(0, 99);
    there.ask(Job::Store(all.clone())).unwrap();
    there.hear(&mut here);
    here.hear(&mut there);
    here.ask(Job::Store(all)).unwrap();
    for central in [&mut here, &mut there] {
        central.settle();
        let (exits, drawer, _) = found(central, &id);
        assert!(exits <= 1 && drawer <= once.1, "{exits} exits and {drawer} VND");
        let taken: Vec<i64> = central.ledger.storage().takings.values().map(|taking| taking.fee.0).collect();
        assert_eq!(taken, [once.1]);
        check(central);
    }
}

/// What the fee of an exit, and the word of its gate on it, come to by the rule alone.
#[derive(Debug, Clone, Copy)]
struct Meant {
    fee: i64,
    /// What the gate's own central said last.
    word: i64,
    /// What it had said before it removed the exit, if that is the last it said.
    before: Option<i64>,
    is_removed: bool,
}

impl Meant {
    fn drawer(self) -> i64 {
        if self.is_removed { 0 } else { self.word.min(self.fee) }
    }

    fn counts(self) -> i64 {
        if self.is_removed { 0 } else { self.fee }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is said at either central, one after the other: fees, removals and their undoing, whose car it was. And the late facts of a closed
    /// sheet are what it comes to since.
    #[test]
    fn a_drawer_answers_for_what_its_gate_told_and_its_own_central_said(
        steps in prop::collection::vec((any::<bool>(), 0..9_usize), 1..=9),
        closes_after in 0..6_usize,
    ) {
        let (mut centrals, id) = two();
        let mut stays = vec![(visit(&mut centrals[0], "edge-1", P, &person("lan"), FEE, Method::Cash), P)];
        for car in [Q, R] {
            stays.push((centrals[0].enters(entry("edge-2", car)), car));
        }
        both_know(&mut centrals);
        let mut at = 0;
        let mut meant = Meant { fee: FEE, word: FEE, before: None, is_removed: false };
        for (number, (is_there, change)) in steps.iter().enumerate() {
            let stay = stays[at].0.clone();
            let job = match change {
                0..=2 => said(&stay, &|said| said.fee = Some(Vnd([10_000, 20_000, 30_000][*change]))),
                3 => void(&stay).by(person("lead")),
                4 => said(&stay, &|said| said.restore = true),
                5..=7 => said(&stay, &|said| said.exit_plate = Some(plate(stays[change - 5].1))),
                _ => said(&stay, &|said| {
                    said.paid = Some(ToldPaid::by([Method::Qr, Method::Cash][number % 2]));
                }),
            };
            if number == closes_after {
                set(&mut centrals[0], closing(&id, "lan", false));
            }
            let was_removed = meant.is_removed;
            let is_done = centrals[usize::from(*is_there)].ask(job).is_ok();
            if is_done {
                match change {
                    0..=2 => {
                        meant.fee = [10_000, 20_000, 30_000][*change];
                        if !is_there {
                            (meant.word, meant.before) = (meant.fee, None);
                        }
                    }
                    3 => {
                        meant.is_removed = true;
                        if !is_there {
                            (meant.before, meant.word) = (meant.before.or(Some(meant.word)), 0);
                        }
                    }
                    4 if was_removed => {
                        meant.is_removed = false;
                        // Whoever removed it: its own central says that it stands, with what was told there.
                        if !is_there {
                            meant.word = meant.before.take().unwrap_or(meant.word);
                        }
                    }
                    4 => {}
                    5..=7 => at = change - 5,
                    _ => {}
                }
            }
            both_know(&mut centrals);
            for central in &mut centrals {
                let (exits, drawer, beyond) = found(central, &id);
                let case = format!("step {number} of {steps:?}, done: {is_done}: {meant:?}");
                prop_assert_eq!((exits, drawer), (i64::from(!meant.is_removed), meant.drawer()), "{}", case);
                prop_assert_eq!(drawer + beyond, meant.counts(), "{}", case);
                let taken: i64 = central.ledger.storage().takings.values().map(|taking| taking.fee.0).sum();
                prop_assert_eq!(taken, meant.counts(), "{}", case);
                if number >= closes_after {
                    let since = live(central, &id).since(&closed(central, &id).figures);
                    prop_assert_eq!(told_late(central, &id).1, since.revenue(), "{}", case);
                }
            }
        }
        centrals.iter_mut().for_each(check);
    }
}

/// The sheet says of what nobody has to hand in that it is another's word: who removes an exit at its gate has said that nothing was taken.
#[test]
fn who_undoes_elsewhere_what_a_gate_removed_adds_nothing_to_its_drawer() {
    let (mut centrals, id) = two();
    let stay = visit(&mut centrals[0], "edge-1", P, &person("lan"), FEE, Method::Cash);
    both_know(&mut centrals);
    let restore = said(&stay, &|said| said.restore = true);
    for (is_removed_there, is_restored_there, drawer) in
        [(true, true, FEE), (false, false, FEE), (true, false, FEE), (false, true, 0)]
    {
        centrals[usize::from(is_removed_there)].ask(void(&stay).by(person("lead"))).unwrap();
        both_know(&mut centrals);
        assert_eq!(found(&mut centrals[0], &id), (0, 0, 0));
        assert_eq!(centrals[0].rows()[0].status, StayStatus::Void);
        centrals[usize::from(is_restored_there)].ask(restore.clone()).unwrap();
        both_know(&mut centrals);
        assert_eq!(found(&mut centrals[0], &id), (1, drawer, FEE - drawer), "{is_removed_there} {is_restored_there}");
        centrals.iter_mut().for_each(check);
    }
    // Its own central says that it was taken after all.
    centrals[0].ask(said(&stay, &|said| said.fee = Some(Vnd(FEE)))).unwrap();
    both_know(&mut centrals);
    assert_eq!(reckoned(&mut centrals[1], &id).elsewhere, ShiftFigures::default());
    assert_eq!(found(&mut centrals[0], &id), (1, FEE, 0));
}

/// What others make of it meanwhile changes nothing of what the gate said last.
#[test]
fn a_gate_that_removes_again_what_others_restored_says_with_its_undoing_what_it_had_said_first() {
    let (mut centrals, id) = two();
    let stay = visit(&mut centrals[0], "edge-1", P, &person("lan"), FEE, Method::Cash);
    set(&mut centrals[0], closing(&id, "lan", false));
    both_know(&mut centrals);
    let (remove, restore) = (void(&stay).by(person("lead")), said(&stay, &|said| said.restore = true));
    let more = said(&stay, &|said| said.fee = Some(Vnd(FEE + 10_000)));
    for (number, (is_there, job, late)) in [
        (false, &remove, -FEE),
        (true, &restore, -FEE),
        (true, &more, -FEE),
        (false, &remove, -FEE),
        (false, &restore, 0),
    ]
    .into_iter()
    .enumerate()
    {
        centrals[usize::from(is_there)].ask(job.clone()).unwrap();
        both_know(&mut centrals);
        for central in &mut centrals {
            assert_eq!(told_late(central, &id).1, late, "{number}");
            let since = live(central, &id).since(&closed(central, &id).figures);
            assert_eq!(since.revenue(), late, "{number}");
        }
    }
    centrals.iter_mut().for_each(check);
}

/// What is undone is what stood: a removal that was undone before is not undone once more.
#[test]
fn an_exit_that_is_removed_and_restored_again_and_again_moves_its_money_once_each_time() {
    let (mut centrals, id) = two();
    let stay = visit(&mut centrals[0], "edge-1", P, &person("lan"), FEE, Method::Cash);
    set(&mut centrals[0], closing(&id, "lan", false));
    both_know(&mut centrals);
    for number in 0..6 {
        let who = &mut centrals[usize::from(number % 3 == 2)];
        who.ask(void(&stay).by(person("lead"))).unwrap();
        both_know(&mut centrals);
        assert_eq!(told_late(&mut centrals[1], &id).1, -FEE, "removed, {number}");
        centrals[0].ask(said(&stay, &|said| said.restore = true)).unwrap();
        both_know(&mut centrals);
        assert_eq!(told_late(&mut centrals[1], &id).1, 0, "restored, {number}");
    }
    centrals.iter_mut().for_each(check);
}
