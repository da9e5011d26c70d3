//! What the two sides tell each other about what they hold, and our subscriptions.

use super::*;
use crate::wire::frame::{SHARES_PEOPLE, SyncRefusal, SyncRefused};

const A: u64 = 0xaa00_0000_0000_0000;
const A2: u64 = 0xaa00_0000_0000_0001;
const B: u64 = 0xbb00_0000_0000_0000;

#[test]
fn only_buckets_that_differ_are_told() {
    let mut rig = Rig::linked_holding(&[(A, 3), (A2, 1), (B, 2)]);
    let mut theirs = rig.held.clone();
    theirs.set(&log(A), rig.head(A, 2));
    rig.hears(1, Frame::HaveDigests(theirs.digests()));
    assert_eq!(announced(&rig.take()), [[(A, 3), (A2, 1)]]);
    assert_eq!(rig.peer.status(&rig.held).lag.keys().collect::<Vec<_>>(), [&log(A), &log(A2)], "the rest is equal");

    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.hears(1, Frame::HaveDigests(rig.held.digests()));
    assert!(rig.take().is_empty());
    assert!(rig.peer.status(&rig.held).lag.is_empty());

    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.hears(1, Frame::HaveDigests([].into()));
    assert_eq!(announced(&rig.take()), [[(A, 3)]]);
}

#[test]
fn both_sides_find_the_same_buckets_different_whatever_is_committed_meanwhile() {
    let mut rig = Rig::linked_holding(&[(A, 3), (A2, 1)]);
    let theirs = rig.held.clone();
    rig.commit(A, 4);
    rig.hears(1, Frame::HaveDigests(theirs.digests()));
    assert!(announced(&rig.take()).is_empty(), "what advanced was announced when it did");
    assert_eq!(rig.peer.status(&rig.held).lag, [(log(A), 1)].into());
}

#[test]
fn the_first_advance_is_told_at_once_and_later_ones_together() {
    let mut rig = Rig::linked();
    assert_eq!(announced(&rig.commit(A, 1)), [[(A, 1)]]);
    rig.wait(10);
    assert!(announced(&rig.commit(A, 2)).is_empty());
    assert_eq!(announced(&rig.commit(B, 1)), [[(B, 1)]], "each log for itself");
    rig.wait(10);
    assert!(announced(&rig.commit(A, 5)).is_empty());
    assert_eq!(announced(&rig.pass(100)), [[(A, 5)]], "the last state");
    assert!(announced(&rig.pass(4_000)).is_empty(), "once");
    assert_eq!(announced(&rig.commit(A, 6)), [[(A, 6)]]);
}

#[test]
fn what_we_acknowledge_needs_no_announcement() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 3) });
    let outputs = rig.take();
    let request = SyncRequest { sub: 1, log: log(A), after: 3, hash: rig.head(A, 3).hash };
    assert_eq!(frames(&outputs, 1), [Frame::SyncRequest(request)]);
    assert!(announced(&rig.commit(A, 4)).is_empty());
    rig.command(PeerCommand::Acknowledge { log: log(A), head: rig.head(A, 4) });
    let outputs = rig.take();
    assert_eq!(frames(&outputs, 1), [Frame::SyncAck { sub: 1, head: rig.head(A, 4) }]);
    rig.command(PeerCommand::Acknowledge { log: log(A), head: rig.head(A, 4) });
    assert!(rig.take().is_empty(), "once");

    rig.command(PeerCommand::Unfollow { log: log(A) });
    let outputs = rig.take();
    assert_eq!(frames(&outputs, 1)[0], Frame::SyncStop { sub: 1 });
    assert_eq!(announced(&outputs), [[(A, 4)]], "the state it ended with");
    rig.wait(200);
    assert_eq!(announced(&rig.commit(A, 5)), [[(A, 5)]]);
}

#[test]
fn what_a_peer_announces_is_reported_if_it_is_news() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    let (same, more, fewer) = (rig.head(A, 3), rig.head(A, 4), rig.head(A, 2));
    let forked = Head { to: 3, hash: more.hash };
    for (head, news) in [(same, false), (more, true), (fewer, false), (forked, true)] {
        rig.hears(1, Frame::HaveLogs([(log(A), head)].into()));
        let outputs = rig.take();
        let report = PeerReport::Has { link: SocketId(1), log: log(A), head };
        assert_eq!(reports(&outputs), vec![report; usize::from(news)], "{head:?}");
    }
}

#[test]
fn events_are_handed_on_with_whether_they_were_asked_for() {
    let mut rig = Rig::linked();
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 0) });
    let run = rig.run(A, 0, 2);
    rig.hears(1, Frame::SyncRun { sub: 1, run: run.clone() });
    let outputs = rig.take();
    assert!(reports(&outputs).contains(&PeerReport::Run { link: SocketId(1), run: run.clone(), current: true }));
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 0) });
    let outputs = rig.take();
    let sent = frames(&outputs, 1);
    assert!(matches!(sent[..], [Frame::SyncStop { sub: 1 }, Frame::SyncRequest(SyncRequest { sub: 2, .. })]));
    rig.hears(1, Frame::SyncRun { sub: 1, run: run.clone() });
    assert_eq!(reports(&rig.take()), [PeerReport::Run { link: SocketId(1), run, current: false }]);
}

#[test]
fn events_of_a_log_that_was_never_asked_for_are_not_taken() {
    let mut rig = Rig::linked();
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 0) });
    rig.take();
    for run in [rig.run(B, 0, 2), rig.run(B, 0, 3)] {
        rig.hears(1, Frame::SyncRun { sub: 1, run });
    }
    rig.hears(1, Frame::SyncRun { sub: 2, run: rig.run(A, 0, 2) });
    let outputs = rig.take();
    assert_eq!(reports(&outputs), []);
    assert!(matches!(&frames(&outputs, 1)[..], [Frame::Error(error)] if error.code == code::UNASKED_RUN), "once");
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.counters.unasked_runs, status.counters.events_received), (3, 0));
}

#[test]
fn a_refusal_of_a_standing_subscription_is_reported() {
    let mut rig = Rig::linked();
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 0) });
    rig.take();
    let held = rig.head(A, 0);
    for (sub, reported) in [(9, false), (1, true), (1, false)] {
        let refused = SyncRefused { sub, log: log(A), refusal: SyncRefusal::NotHeld, held };
        rig.hears(1, Frame::SyncRefused(refused));
        assert_eq!(!reports(&rig.take()).is_empty(), reported, "sub {sub}");
    }
    assert_eq!(rig.peer.status(&rig.held).following, 0);
}

#[test]
fn commands_for_an_earlier_link_are_void() {
    let mut rig = Rig::linked();
    let follow = PeerCommand::Follow { log: log(A), from: rig.head(A, 0) };
    rig.peer.command(rig.now, &rig.held, SocketId(7), follow);
    assert!(rig.take().is_empty());
}

#[test]
fn a_new_coordinator_is_told_all_there_is() {
    let mut rig = Rig::linked_holding(&[(B, 1)]);
    let more = rig.head(A, 4);
    rig.hears(1, Frame::HaveLogs([(log(A), more), (log(B), rig.head(B, 1))].into()));
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 0) });
    rig.take();
    rig.peer.coordinator_restarted(rig.now, &rig.held);
    let outputs = rig.take();
    assert_eq!(frames(&outputs, 1), [Frame::SyncStop { sub: 1 }]);
    let link = SocketId(1);
    assert_eq!(reports(&outputs), [PeerReport::LinkUp { link }, PeerReport::Has { link, log: log(A), head: more }]);
}

#[test]
fn acknowledgements_are_held_together_unless_many_events_wait() {
    let mut rig = Rig::linked_holding(&[(A, 3), (B, 1)]);
    rig.command(PeerCommand::Follow { log: log(A), from: rig.head(A, 3) });
    rig.command(PeerCommand::Follow { log: log(B), from: rig.head(B, 1) });
    rig.take();
    let acknowledge = |rig: &mut Rig, epoch, to| {
        rig.commit(epoch, to);
        rig.command(PeerCommand::Acknowledge { log: log(epoch), head: rig.head(epoch, to) });
        frames(&rig.take(), 1)
    };
    let ack = |rig: &Rig, sub, epoch, to| Frame::SyncAck { sub, head: rig.head(epoch, to) };
    assert_eq!(acknowledge(&mut rig, A, 4), [ack(&rig, 1, A, 4)]);
    assert_eq!(acknowledge(&mut rig, A, 5), []);
    rig.wait(10);
    assert_eq!(acknowledge(&mut rig, A, 6), []);
    assert_eq!(acknowledge(&mut rig, B, 2), []);
    assert_eq!(frames(&rig.pass(39), 1), []);
    assert_eq!(frames(&rig.pass(1), 1), [ack(&rig, 1, A, 6), ack(&rig, 2, B, 2)], "the last state of each");
    assert_eq!(acknowledge(&mut rig, A, 7), []);
    assert_eq!(acknowledge(&mut rig, A, 38), [ack(&rig, 1, A, 38)], "somebody catches up");
    assert_eq!(acknowledge(&mut rig, B, 3), []);
    rig.command(PeerCommand::Unfollow { log: log(B) });
    assert_eq!(frames(&rig.take(), 1)[..2], [ack(&rig, 2, B, 3), Frame::SyncStop { sub: 2 }], "what waits is not lost");
}

#[test]
fn who_may_log_in_is_said_to_and_heard_from_those_alone_that_say_they_understand_it() {
    let said = || PeopleSaid { digest: "d".to_owned(), people: Some(vec![serde_json::json!({"person": {}})]) };
    let mut older = Rig::linked();
    older.peer.tell_people(older.now, said());
    assert_eq!(frames(&older.take(), 1), []);
    older.hears(1, Frame::People(said()));
    assert_eq!(reports(&older.take()), []);
    assert_eq!(older.peer.status(&older.held).counters.unknown_frames, 1);

    let mut rig = Rig::new("c1", "c2");
    rig.peer.tell_people(rig.now, said());
    rig.dial(1);
    let capabilities = vec![SHARES_PEOPLE.to_owned()];
    rig.hears(1, Frame::Hello(Hello { capabilities, ..hello_of("c2", THEIRS) }));
    assert!(!frames(&rig.take(), 1).contains(&Frame::People(said())), "there was no link");
    rig.peer.tell_people(rig.now, said());
    assert_eq!(frames(&rig.take(), 1), [Frame::People(said())]);
    rig.hears(1, Frame::People(said()));
    assert_eq!(reports(&rig.take()), [PeerReport::People(said())]);
    assert!(!format!("{:?}", said()).contains("person"), "and no log has it");
}

#[test]
fn what_a_heartbeat_tells_is_kept_as_far_as_it_can_be_shown() {
    let mut rig = Rig::linked();
    let long = "x".repeat(900_000);
    let digests = [("time_zone", long.as_str()), ("site", "s"), (long.as_str(), "on")];
    let digests = digests.map(|(name, digest)| (name.to_owned(), digest.to_owned())).into();
    rig.hears(1, Frame::Heartbeat(Beat { wall_ms: i64::MIN, digests, ..Beat::default() }));
    let status = rig.peer.status(&rig.held);
    assert_eq!(status.digests, std::collections::BTreeMap::from([("site".to_owned(), "s".to_owned())]));
    // A year that can be written.
    assert!(status.clock_offset_ms.unwrap() > -64_000_000_000_000, "{:?}", status.clock_offset_ms);
    rig.hears(1, heartbeat(i64::MAX));
    assert!(rig.peer.status(&rig.held).clock_offset_ms.unwrap() < 254_000_000_000_000);
}
