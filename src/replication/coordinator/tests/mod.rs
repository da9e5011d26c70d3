//! The rules of the coordinator, each by what it wants done.

mod sources;

use super::*;
use super::{Wait, WaitReason};
use crate::domain::ids::Epoch;
use crate::replication::log::{ChainHash, Doubt, EventBytes, Run};
use crate::wire::frame::SyncRefusal;

const IDLE_MS: u64 = 10 * 60 * 1_000;

/// A coordinator under test (of central `c0`), the clock and the disk.
struct Rig {
    coordinator: Coordinator,
    now: Now,
    held: Have,
}

impl Rig {
    /// Linked with these peers: `c1` by socket 1 and so on; a later link of it is 11.
    fn linked(peers: &[u64]) -> Self {
        let now = Now { mono_ms: 5_000, wall_ms: 0 };
        let mut rig = Self { coordinator: Coordinator::new(), now, held: Have::default() };
        for peer in peers {
            rig.report(*peer, PeerReport::LinkUp { link: SocketId(*peer) });
        }
        rig
    }

    fn report(&mut self, peer: u64, report: PeerReport) -> Vec<String> {
        self.coordinator.report(self.now, &self.held, &id(peer), report);
        self.take()
    }

    fn has(&mut self, peer: u64, log: &LogId, to: u64) -> Vec<String> {
        let head = head(log, to);
        self.report(peer, PeerReport::Has { link: SocketId(peer), log: log.clone(), head })
    }

    fn run(&mut self, peer: u64, log: &LogId, after: u64, to: u64) -> Vec<String> {
        self.send(peer, run(log, after, to), true)
    }

    fn send(&mut self, peer: u64, run: Run, current: bool) -> Vec<String> {
        self.report(peer, PeerReport::Run { link: SocketId(peer), run, current })
    }

    fn commit(&mut self, log: &LogId, to: u64) -> Vec<String> {
        self.held.set(log, head(log, to));
        self.coordinator.committed(self.now, &self.held, log, head(log, to));
        self.take()
    }

    fn fail(&mut self, log: &LogId) -> Vec<String> {
        self.coordinator.store_failed(self.now, &self.held, log);
        self.take()
    }

    fn refuse(&mut self, log: &LogId, doubt: Doubt) -> Vec<String> {
        self.coordinator.store_refused(self.now, &self.held, log, "", doubt);
        self.take()
    }

    /// Waits, ticking whenever it is asked for.
    fn pass(&mut self, ms: u64) -> Vec<String> {
        let until_ms = self.now.mono_ms + ms;
        let mut outputs = Vec::new();
        let mut ticks = 0;
        while let Some(at_ms) = self.coordinator.next_wakeup_ms().filter(|at_ms| *at_ms <= until_ms) {
            ticks += 1;
            assert!(ticks < 1_000, "spins");
            self.now.mono_ms = self.now.mono_ms.max(at_ms);
            self.coordinator.tick(self.now, &self.held);
            outputs.extend(self.take());
        }
        self.now.mono_ms = until_ms;
        outputs
    }

    fn wait_of(&self, log: &LogId) -> Option<Wait> {
        self.coordinator.status(&self.held).into_iter().find(|status| status.log == *log)?.waits
    }

    /// The outputs in short: `c1 follow 2@3`, `store 2: 3..5`.
    fn take(&mut self) -> Vec<String> {
        let short = |output| match output {
            CoordinatorOutput::ToPeer { peer, link, command } => {
                assert_eq!(id(link.0 % 10), peer, "for the link in use");
                match command {
                    PeerCommand::Follow { log, from } => format!("{peer} follow {}@{}", log.epoch.0, from.to),
                    PeerCommand::Unfollow { log } => format!("{peer} unfollow {}", log.epoch.0),
                    PeerCommand::Acknowledge { log, head } => format!("{peer} ack {}@{}", log.epoch.0, head.to),
                }
            }
            CoordinatorOutput::Store { run, .. } => {
                assert!(run.chain_holds(), "only whole runs are stored");
                format!("store {}: {}..{}", run.log.epoch.0, run.after, run.head().to)
            }
            CoordinatorOutput::StartNewEpoch { log } => format!("new epoch after {}", log.epoch.0),
            CoordinatorOutput::Alarm(alarm) => format!("alarm {}", alarm.name()),
        };
        self.coordinator.take_outputs().into_iter().map(short).collect()
    }
}

fn id(peer: u64) -> CentralId {
    format!("c{peer}").parse().unwrap()
}

/// A log of the central `c{author}`.
fn log_of(author: u64, epoch: u64) -> LogId {
    LogId { central: id(author), epoch: Epoch(epoch) }
}

fn events(after: u64, to: u64) -> Vec<EventBytes> {
    (after + 1..=to).map(|n| format!(r#"{{"n":{n}}}"#).into()).collect()
}

fn head(log: &LogId, to: u64) -> Head {
    let hash = events(0, to).iter().fold(Head::empty(log).hash, |hash, event| hash.extend(event));
    Head { to, hash }
}

fn run(log: &LogId, after: u64, to: u64) -> Run {
    let (prev, hash) = (head(log, after).hash, head(log, to).hash);
    Run { log: log.clone(), after, prev, events: events(after, to), hash }
}

/// It follows soundly on what is held up to `after`, and the author never wrote it.
fn forged(log: &LogId, after: u64) -> Run {
    let (prev, event) = (head(log, after).hash, EventBytes::from(r#"{"forged":1}"#));
    Run { log: log.clone(), after, prev, hash: prev.extend(&event), events: vec![event] }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_log_is_followed_where_more_of_it_is_held() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(9, 5);
    assert_eq!(rig.has(1, &log, 3), ["c1 follow 5@0"]);
    assert_eq!(rig.has(2, &log, 3), NOTHING, "one source is enough");
    assert_eq!(rig.run(1, &log, 0, 3), ["store 5: 0..3"]);
    assert_eq!(rig.commit(&log, 3), ["c1 ack 5@3"]);
    assert_eq!(rig.run(1, &log, 3, 4), ["store 5: 3..4"], "live");
}

#[test]
fn it_moves_to_the_author_once_the_author_has_more() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(2, 5);
    rig.has(1, &log, 3);
    rig.run(1, &log, 0, 3);
    assert_eq!(rig.has(2, &log, 3), NOTHING, "no more than was received");
    rig.commit(&log, 3);
    assert_eq!(rig.has(2, &log, 4), ["c1 unfollow 5", "c2 follow 5@3"]);
    assert_eq!(rig.has(1, &log, 9), NOTHING, "and stays there");
}

#[test]
fn only_what_is_durable_is_acknowledged() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 9);
    assert_eq!(rig.run(1, &log, 0, 2), ["store 5: 0..2"]);
    assert_eq!(rig.run(1, &log, 2, 4), ["store 5: 2..4"], "runs queue up without waiting");
    assert_eq!(rig.run(1, &log, 1, 3), ["c1 ack 5@0"], "of a duplicate what is held, and that is nothing yet");
    assert_eq!(rig.commit(&log, 2), ["c1 ack 5@2"]);
    assert_eq!(rig.run(1, &log, 2, 4), ["c1 ack 5@2"]);
    assert_eq!(rig.coordinator.counters().duplicates, 2);
}

#[test]
fn a_run_that_overlaps_adds_what_is_new() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 9);
    rig.run(1, &log, 0, 4);
    assert_eq!(rig.run(1, &log, 2, 6), ["store 5: 4..6"]);
}

#[test]
fn damaged_events_raise_an_alarm_and_are_not_stored() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(1, 5);
    rig.has(1, &log, 3);
    rig.has(2, &log, 3);
    let mut damaged = run(&log, 0, 2);
    damaged.events[1] = "{}".into();
    assert_eq!(rig.send(1, damaged, true), ["alarm broken_run", "c1 unfollow 5", "c2 follow 5@0"]);
    assert_eq!(rig.run(2, &log, 0, 3), ["store 5: 0..3"]);
}

#[test]
fn a_fork_stops_the_log_between_the_two_and_nowhere_else() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(9, 5);
    rig.has(1, &log, 2);
    rig.run(1, &log, 0, 2);
    rig.commit(&log, 2);
    let other_chain = Head { to: 2, hash: ChainHash([7; 32]) };
    let report = PeerReport::Has { link: SocketId(1), log: log.clone(), head: other_chain };
    assert_eq!(rig.report(1, report.clone()), ["alarm log_forked", "c1 unfollow 5"]);
    assert_eq!(rig.report(1, report), NOTHING, "one alarm");
    assert_eq!(rig.has(1, &log, 3), NOTHING);
    assert_eq!(rig.wait_of(&log).unwrap().reason, WaitReason::Forked);
    assert_eq!(rig.has(2, &log, 3), ["c2 follow 5@2"]);
    assert_eq!(rig.has(1, &log_of(9, 6), 3), ["c1 follow 6@0"], "other logs go on");

    // Seen in a run, in a refusal, or by the side that serves.
    let mut rig = Rig::linked(&[1, 2, 3]);
    rig.has(1, &log, 3);
    rig.has(2, &log, 3);
    rig.has(3, &log, 3);
    rig.run(1, &log, 0, 1);
    rig.commit(&log, 1);
    let mut forked = run(&log, 1, 3);
    forked.prev = ChainHash([7; 32]);
    forked.hash = forked.events.iter().fold(forked.prev, |hash, event| hash.extend(event));
    assert_eq!(rig.send(1, forked, true), ["alarm log_forked", "c1 unfollow 5", "c2 follow 5@1"]);
    let (link, refusal, held) = (SocketId(2), SyncRefusal::Diverged, head(&log, 3));
    let refused = PeerReport::Refused { link, log: log.clone(), refusal, held };
    assert_eq!(rig.report(2, refused), ["c2 unfollow 5", "alarm log_forked", "c3 follow 5@1"]);
    let forked = PeerReport::Forked { link: SocketId(3), log: log.clone(), seq: 1 };
    assert_eq!(rig.report(3, forked), ["alarm log_forked", "c3 unfollow 5"]);
}

#[test]
fn what_waits_for_its_commit_accuses_nobody() {
    let log = log_of(2, 5);
    let lied_to = || {
        let mut rig = Rig::linked(&[1, 2]);
        rig.has(1, &log, 2);
        rig.run(1, &log, 0, 2);
        rig.commit(&log, 2);
        assert_eq!(rig.send(1, forged(&log, 2), true), ["store 5: 2..3"]);
        rig
    };
    // The author says it has more: it is asked once it is known what we hold, and not from what it never wrote.
    let mut rig = lied_to();
    assert_eq!(rig.has(2, &log, 9), ["c1 unfollow 5"]);
    assert_eq!(rig.send(2, run(&log, 2, 4), false), NOTHING, "and what it gave on the way differs from no event held");
    assert_eq!(rig.refuse(&log, Doubt::Certain), ["alarm log_not_its_authors", "c2 follow 5@2"]);
    assert_eq!(rig.run(2, &log, 2, 9), ["store 5: 2..9"]);
    assert_eq!(rig.coordinator.counters().forks, 1, "the liar");
    assert_eq!(rig.report(2, PeerReport::LinkDown { link: SocketId(2), reason: String::new() }), NOTHING);
    rig.has(1, &log, 12);
    rig.commit(&log, 9);
    assert_eq!(rig.wait_of(&log).unwrap().reason, WaitReason::Forked, "which is not asked on that link");

    // Another job of the writer was first: it takes the true events, and the forged ones do not fit.
    let mut rig = lied_to();
    rig.has(2, &log, 9);
    rig.held.set(&log, head(&log, 4));
    rig.fail(&log);
    assert_eq!(rig.pass(1_000), ["c2 follow 5@4"]);

    // The true events come from the liar itself, and its link ends before the forged ones are refused.
    for doubt in [Doubt::UnknownKey, Doubt::Certain] {
        let mut rig = lied_to();
        rig.has(1, &log, 9);
        assert_eq!(rig.run(1, &log, 2, 4), ["c1 unfollow 5"]);
        rig.report(1, PeerReport::LinkUp { link: SocketId(11) });
        let has = PeerReport::Has { link: SocketId(11), log: log.clone(), head: head(&log, 9) };
        assert_eq!(rig.report(1, has), NOTHING);
        assert_eq!(rig.refuse(&log, doubt), ["alarm log_not_its_authors"]);
        assert_eq!(rig.pass(2_000), ["c1 follow 5@2"], "whoever is there now is asked after a pause");
    }
}

#[test]
fn what_others_pass_on_of_a_central_that_signs_since_today_accuses_nobody_unless_it_stays_so() {
    // It comes back as a version that signs; a third one says first that it has more of the log of before.
    let log = log_of(2, 5);
    let refused = || {
        let mut rig = Rig::linked(&[1, 2]);
        rig.has(1, &log, 4);
        rig.run(1, &log, 0, 4);
        assert_eq!(rig.refuse(&log, Doubt::Unsigned), ["c1 unfollow 5"], "and no alarm");
        rig
    };
    let mut rig = refused();
    assert_eq!(rig.has(2, &log, 4), ["c2 follow 5@0"], "the author gives it itself");
    rig.run(2, &log, 0, 4);
    assert_eq!(rig.commit(&log, 4), ["c2 ack 5@4"]);

    let mut rig = refused();
    let mut alarms = Vec::new();
    for second in 1..=120 {
        for output in rig.pass(1_000) {
            if output.starts_with("c1 follow") {
                rig.run(1, &log, 0, 4);
                let told = rig.refuse(&log, Doubt::Unsigned);
                alarms.extend(told.into_iter().filter(|told| told.starts_with("alarm")).map(|_| second));
            }
        }
    }
    assert!(alarms.first().is_some_and(|second| (60..=70).contains(second)), "{alarms:?}");
}

#[test]
fn of_one_central_so_many_logs_are_taken_at_once_and_the_rest_wait_whoever_passes_them_on() {
    let mut rig = Rig::linked(&[1, 2]);
    // What is forged is charged to nobody.
    for epoch in 100_000..105_000 {
        let log = log_of(1, epoch);
        rig.has(2, &log, 1);
        rig.run(2, &log, 0, 1);
        rig.refuse(&log, Doubt::Certain);
    }
    assert_eq!(rig.coordinator.taken().next(), None);
    let mut taken = 0;
    let mut told = Vec::new();
    for epoch in 0..5_000 {
        let log = log_of(1, epoch);
        let peer = 1 + epoch % 2;
        let wanted = rig.has(peer, &log, 1);
        if wanted.iter().any(|output| output.contains("follow")) {
            rig.run(peer, &log, 0, 1);
            rig.commit(&log, 1);
            taken += 1;
        }
        told.extend(wanted.into_iter().filter(|output| output.starts_with("alarm")));
    }
    assert_eq!((taken, told), (4_097, vec!["alarm too_much_of_one".to_owned()]));
    let (waits, other) = (log_of(1, 4_999), log_of(2, 7));
    assert_eq!(rig.wait_of(&waits).unwrap().reason, WaitReason::TooMuch);
    assert_eq!(rig.has(2, &other, 1), ["c2 follow 7@0"], "others are not held up");
    let goes_on = log_of(1, 1);
    rig.has(2, &goes_on, 2);
    assert_eq!(rig.run(2, &goes_on, 1, 2), ["store 1: 1..2"], "nor what was begun");
    let later = rig.pass(1_000);
    assert!(later.iter().filter(|output| output.contains("follow")).count() > 7, "{later:?}");
    let of_c1 = rig.coordinator.taken().next().unwrap();
    assert_eq!((of_c1.0, of_c1.1.logs, of_c1.1.events), (&id(1), 4_097, 4_097));
}

/// Nobody is kept from taking what a central wrote while it was cut off; but a person hears of what no gates write.
#[test]
fn who_writes_more_than_any_gates_is_told_of_once_and_who_catches_up_is_not() {
    const DAY_MS: u64 = 86_400_000;
    let mut rig = Rig::linked(&[1, 2]);
    let alarms = |told: Vec<String>| told.into_iter().filter(|output| output.starts_with("alarm")).collect::<Vec<_>>();
    // Years of it at the start, while more is to come of another.
    rig.has(2, &log_of(2, 9), 1);
    let (years, day) = (log_of(1, 1), log_of(1, 2));
    rig.has(1, &years, 60_000);
    rig.run(1, &years, 0, 60_000);
    assert_eq!(alarms(rig.commit(&years, 60_000)), NOTHING);
    rig.run(2, &log_of(2, 9), 0, 1);
    rig.commit(&log_of(2, 9), 1);
    // Then a day of a large site, cut off and told at once, each day.
    for number in 0..3 {
        rig.has(1, &day, (number + 1) * 30_000);
        rig.run(1, &day, number * 30_000, (number + 1) * 30_000);
        assert_eq!(alarms(rig.commit(&day, (number + 1) * 30_000)), NOTHING, "day {number}");
        rig.pass(DAY_MS);
    }
    let bad = log_of(1, 3);
    let mut told = Vec::new();
    for turn in 0..8 {
        rig.has(1, &bad, (turn + 1) * 10_000);
        rig.run(1, &bad, turn * 10_000, (turn + 1) * 10_000);
        told.extend(alarms(rig.commit(&bad, (turn + 1) * 10_000)));
    }
    assert_eq!(told, ["alarm much_of_one"]);
    assert_eq!(rig.coordinator.taken().next().unwrap().1.events, 60_000 + 90_000 + 80_000, "all of it is taken");
}

#[test]
fn while_the_disk_is_low_one_central_fills_it_slowly_and_others_are_not_held_up() {
    let mut rig = Rig::linked(&[1, 2]);
    rig.coordinator.set_disk_low(rig.now, true);
    let big = |log: &LogId, n: u64| {
        let event = EventBytes::from(format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(15_000)));
        let prev = Head::empty(log).hash;
        Run { log: log.clone(), after: 0, prev, hash: prev.extend(&event), events: vec![event] }
    };
    let mut told = Vec::new();
    for epoch in 0..2_000 {
        let log = log_of(1, epoch);
        let run = big(&log, epoch);
        let has = PeerReport::Has { link: SocketId(1), log: log.clone(), head: run.head() };
        let wanted = rig.report(1, has);
        if wanted.iter().any(|output| output.contains("follow")) {
            let head = run.head();
            rig.send(1, run, true);
            rig.held.set(&log, head);
            rig.coordinator.committed(rig.now, &rig.held, &log, head);
            rig.take();
        }
        told.extend(wanted.into_iter().filter(|output| output.starts_with("alarm")));
    }
    assert_eq!(told, ["alarm too_much_of_one"]);
    let bytes = rig.coordinator.taken().next().unwrap().1.bytes;
    assert!((16 << 20..17 << 20).contains(&bytes), "{bytes}");
    assert_eq!(rig.has(2, &log_of(2, 1), 1), ["c2 follow 1@0"]);
    rig.coordinator.set_disk_low(rig.now, false);
    rig.pass(2_000);
    assert_ne!(
        rig.wait_of(&log_of(1, 1_999)).map(|wait| wait.reason),
        Some(WaitReason::TooMuch),
        "there is room again"
    );
}

#[test]
fn who_says_all_the_time_that_it_holds_more_of_our_log_does_not_make_us_begin_others_without_end() {
    let mut rig = Rig::linked(&[1]);
    let mut begun = 0;
    for second in 0..600 {
        let log = log_of(0, begun);
        rig.coordinator.set_own_log(rig.now, &rig.held, Some(log.clone()));
        let outputs = rig.has(1, &log, 3 + second);
        let alarmed = outputs.iter().any(|output| output == "alarm own_log_ahead");
        assert_eq!(outputs.iter().any(|output| output.starts_with("new epoch")), alarmed, "{outputs:?}");
        begun += u64::from(alarmed);
        rig.pass(1_000);
    }
    assert!((17..=20).contains(&begun), "{begun} in ten minutes");
}

#[test]
fn eight_logs_catch_up_on_a_link_at_a_time() {
    let mut rig = Rig::linked(&[1]);
    let logs: Vec<LogId> = (0..20).map(|epoch| log_of(9, epoch)).collect();
    let follows: usize = logs.iter().map(|log| rig.has(1, log, 2).len()).sum();
    assert_eq!(follows, MAX_CATCHING_UP);
    assert_eq!(rig.wait_of(&logs[12]), Some(Wait { reason: WaitReason::LinkBusy, since_mono_ms: rig.now.mono_ms }));
    assert_eq!(rig.run(1, &logs[0], 0, 1), ["store 0: 0..1"], "not there yet");
    assert_eq!(rig.run(1, &logs[0], 1, 2), ["store 0: 1..2", "c1 follow 8@0"]);
    for log in &logs[1..] {
        rig.run(1, log, 0, 2);
    }
    assert!(logs.iter().all(|log| rig.commit(log, 2).len() == 1), "all are followed at the head now");
}

#[test]
fn what_a_failed_commit_dropped_is_asked_for_again_from_the_durable_head() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 9);
    rig.run(1, &log, 0, 2);
    rig.run(1, &log, 2, 4);
    rig.commit(&log, 2);
    assert_eq!(rig.fail(&log), ["c1 unfollow 5"]);
    assert_eq!(rig.fail(&log), NOTHING, "the failure of a later run is the same one");
    assert_eq!(rig.wait_of(&log).unwrap().reason, WaitReason::CommitFailed);
    assert_eq!(rig.send(1, run(&log, 4, 6), false), NOTHING, "what was under way does not fit any more");
    assert_eq!(rig.pass(499), NOTHING);
    assert_eq!(rig.pass(1), ["c1 follow 5@2"]);
    rig.run(1, &log, 2, 3);
    rig.fail(&log);
    assert_eq!(rig.pass(999), NOTHING, "with back-off");
    assert_eq!(rig.pass(1), ["c1 follow 5@2"]);
    rig.run(1, &log, 2, 3);
    rig.commit(&log, 3);
    rig.run(1, &log, 3, 4);
    rig.fail(&log);
    assert_eq!(rig.pass(500), ["c1 follow 5@3"], "which a success ends");
}

#[test]
fn the_own_current_log_is_never_followed() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(0, 5);
    rig.coordinator.set_own_log(rig.now, &rig.held, Some(log.clone()));
    rig.commit(&log, 3);
    assert_eq!(rig.has(1, &log, 3), NOTHING);
    assert_eq!(rig.has(1, &log, 4), ["alarm own_log_ahead", "new epoch after 5"]);
    assert_eq!(rig.has(1, &log, 5), NOTHING, "once");
    assert_eq!(rig.send(1, run(&log, 3, 4), true), NOTHING);
    rig.coordinator.set_own_log(rig.now, &rig.held, None);
    assert_eq!(rig.take(), ["c1 follow 5@3"], "what it forgot comes back from its peers");
    rig.coordinator.set_own_log(rig.now, &rig.held, Some(log));
    assert_eq!(rig.take(), NOTHING, "a commit under way may name it once more");
    let next = log_of(0, 6);
    rig.coordinator.set_own_log(rig.now, &rig.held, Some(next.clone()));
    assert_eq!(rig.has(1, &next, 1), ["alarm own_log_ahead", "new epoch after 6"]);

    let log = log_of(0, 7);
    let mut rig = Rig::linked(&[1]);
    rig.coordinator.set_own_log(rig.now, &rig.held, Some(log.clone()));
    rig.commit(&log, 3);
    let forked = PeerReport::Forked { link: SocketId(1), log, seq: 3 };
    assert_eq!(rig.report(1, forked), ["alarm log_forked", "new epoch after 7"]);
}

#[test]
fn a_log_in_which_nothing_happens_is_given_up_until_it_is_announced() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 1);
    rig.run(1, &log, 0, 1);
    rig.commit(&log, 1);
    rig.pass(IDLE_MS - 1_000);
    rig.run(1, &log, 1, 2);
    rig.commit(&log, 2);
    assert_eq!(rig.pass(IDLE_MS - 1), NOTHING);
    assert_eq!(rig.pass(1), ["c1 unfollow 5"]);
    assert!(rig.coordinator.status(&rig.held).is_empty());
    assert_eq!(rig.coordinator.next_wakeup_ms(), None);
    assert_eq!(rig.has(1, &log, 3), ["c1 follow 5@2"]);
}

#[test]
fn a_late_run_that_fits_is_taken() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(2, 5);
    rig.has(1, &log, 3);
    rig.has(2, &log, 3);
    assert_eq!(rig.send(1, run(&log, 1, 2), false), NOTHING, "a gap of a stopped subscription is nobody's fault");
    assert_eq!(rig.send(1, run(&log, 0, 2), false), ["store 5: 0..2"]);
    assert_eq!(rig.run(2, &log, 0, 3), ["store 5: 2..3"]);
    assert_eq!(rig.commit(&log, 3), ["c2 ack 5@3"]);
}

#[test]
fn a_link_that_ends_is_replaced_by_another_source() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(1, 5);
    rig.has(1, &log, 5);
    rig.has(2, &log, 4);
    rig.run(1, &log, 0, 2);
    let down = PeerReport::LinkDown { link: SocketId(1), reason: String::new() };
    assert_eq!(rig.report(1, down.clone()), NOTHING, "nobody is asked from what may be refused here");
    assert_eq!(rig.wait_of(&log).unwrap().reason, WaitReason::Commit);
    assert_eq!(rig.commit(&log, 2), ["c2 follow 5@2"]);
    assert_eq!(rig.report(1, down), NOTHING);
    assert_eq!(rig.has(1, &log, 9), NOTHING, "what an old link still says is void");
}

#[test]
fn a_source_that_does_not_hold_what_it_announced_is_avoided() {
    let mut rig = Rig::linked(&[1, 2]);
    let log = log_of(1, 5);
    rig.has(1, &log, 5);
    rig.has(2, &log, 4);
    let (link, refusal, held) = (SocketId(1), SyncRefusal::NotHeld, head(&log, 0));
    let refused = PeerReport::Refused { link, log: log.clone(), refusal, held };
    assert_eq!(rig.report(1, refused), ["c1 unfollow 5", "c2 follow 5@0"], "one begun there since is ended, too");
}

#[test]
fn every_wait_says_what_for_and_since_when() {
    let mut rig = Rig::linked(&[1]);
    let log = log_of(1, 5);
    rig.has(1, &log, 2);
    let since_mono_ms = rig.now.mono_ms;
    rig.pass(300);
    assert_eq!(rig.wait_of(&log), Some(Wait { reason: WaitReason::Source, since_mono_ms }));
    rig.run(1, &log, 0, 1);
    let since_mono_ms = rig.now.mono_ms;
    rig.pass(200);
    rig.run(1, &log, 1, 2);
    assert_eq!(rig.wait_of(&log), Some(Wait { reason: WaitReason::Commit, since_mono_ms }));
    rig.commit(&log, 2);
    assert_eq!(rig.wait_of(&log), None);
}

#[test]
fn a_log_that_stands_still_for_a_minute_is_an_alarm_whatever_it_waits_for() {
    let log = log_of(1, 2);
    let mut rig = Rig::linked(&[1]);
    rig.has(1, &log, 9);
    assert!(rig.pass(59_000).is_empty());
    assert_eq!(rig.pass(2_000), ["alarm link_not_moving"], "nothing comes of what was announced");
    assert!(rig.pass(120_000).is_empty(), "once");
    assert_eq!(rig.run(1, &log, 0, 4), ["store 2: 0..4"]);
    assert!(rig.pass(59_000).is_empty(), "it moved");
    assert_eq!(rig.pass(2_000), ["alarm link_not_moving"], "our own commit does not end");
    assert!(rig.coordinator.status(&rig.held)[0].stands_still);
    rig.commit(&log, 4);
    rig.run(1, &log, 4, 9);
    rig.commit(&log, 9);
    assert!(rig.pass(120_000).iter().all(|output| !output.contains("alarm")), "nothing waits");
}

#[test]
fn logs_without_end_are_counted_and_not_listed() {
    let mut rig = Rig::linked(&[1]);
    let own = log_of(1, 1);
    rig.has(1, &own, 5);
    rig.run(1, &own, 0, 5);
    rig.commit(&own, 5);
    (100..2_000).for_each(|epoch| drop(rig.has(1, &log_of(2, epoch), 1)));
    let (shown, more) = rig.coordinator.shown(&rig.held);
    assert!(shown.iter().any(|status| status.log == own));
    assert!(shown.len() < 100, "{}", shown.len());
    assert_eq!(shown.len() + more, rig.coordinator.status(&rig.held).len());
}
