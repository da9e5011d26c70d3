//! The peer's subscriptions to logs held here.

use super::*;
use crate::replication::window::{CATCH_UP_WINDOW_BYTES, LINK_WINDOW_BYTES};
use crate::wire::frame::SyncRefusal;

const A: u64 = 0xaa00_0000_0000_0000;
const B: u64 = 0xbb00_0000_0000_0000;

#[test]
fn a_follower_at_the_head_gets_what_is_committed_at_once() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    assert!(reads(&rig.request(1, A, 3)).is_empty());
    let outputs = rig.commit(A, 5);
    assert_eq!(runs(&outputs), [(A, 3, 2)]);
    assert!(announced(&outputs).is_empty(), "who gets it needs no announcement");
    assert!(reads(&outputs).is_empty(), "and the disk is not touched");
    let status = rig.peer.status(&rig.held);
    assert!(status.unacked_bytes > 0 && status.serving == 1);
    rig.ack(1, A, 5);
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.unacked_bytes, status.lag.len()), (0, 0));
}

#[test]
fn a_follower_behind_is_read_for_until_it_is_at_the_head_and_live_then() {
    let mut rig = Rig::linked_holding(&[(A, 100)]);
    let outputs = rig.request(1, A, 10);
    let first = reads(&outputs);
    assert_eq!(first, [ReadRun { sub: 1, log: log(A), after: 10, max_bytes: 16 * 1024 }]);
    // A commit in the middle of it is a hint only.
    let live = rig.commit(A, 101);
    assert!(runs(&live).is_empty() && announced(&live).is_empty());
    let outputs = rig.read_all(outputs);
    let sent = runs(&outputs);
    assert_eq!(sent.iter().map(|(_, _, events)| events).sum::<usize>(), 91);
    assert!(sent.windows(2).all(|pair| pair[0].1 + pair[0].2 as u64 == pair[1].1), "without a hole: {sent:?}");
    assert_eq!(runs(&rig.commit(A, 102)), [(A, 101, 1)]);
}

#[test]
fn what_cannot_be_served_is_refused() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    let refusal = |outputs: &[PeerOutput]| match &frames(outputs, 1)[..] {
        [Frame::SyncRefused(refused)] => (refused.refusal, refused.held.to),
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(&rig.request(1, B, 0)), (SyncRefusal::NotHeld, 0));
    assert_eq!(refusal(&rig.request(2, A, 4)), (SyncRefusal::NotHeld, 3));

    let wrong = |sub, after| SyncRequest { sub, log: log(A), after, hash: crate::replication::log::ChainHash([7; 32]) };
    rig.hears(1, Frame::SyncRequest(wrong(3, 3)));
    let outputs = rig.take();
    assert_eq!(refusal(&outputs), (SyncRefusal::Diverged, 3));
    assert_eq!(reports(&outputs), [PeerReport::Forked { link: SocketId(1), log: log(A), seq: 3 }]);

    // Behind the head the disk knows.
    rig.hears(1, Frame::SyncRequest(wrong(4, 1)));
    let outputs = rig.take();
    let outputs = rig.read_all(outputs);
    assert_eq!(refusal(&outputs), (SyncRefusal::Diverged, 3));
    assert_eq!(rig.peer.status(&rig.held).serving, 0);
}

#[test]
fn a_peer_that_never_acknowledges_costs_one_window_and_nothing_else() {
    let mut rig = Rig::linked_holding(&[(A, 3_000), (B, 1)]);
    rig.request(1, B, 1);
    let outputs = rig.request(2, A, 0);
    let sent = rig.read_all(outputs);
    let catch_up_bytes = rig.peer.status(&rig.held).unacked_bytes;
    assert!(catch_up_bytes <= CATCH_UP_WINDOW_BYTES && catch_up_bytes > CATCH_UP_WINDOW_BYTES / 2, "{catch_up_bytes}");
    assert!(!runs(&sent).is_empty());
    // The other log's live events still pass, until the window is full.
    let mut live = 0;
    for to in 2..600 {
        live += runs(&rig.commit(B, to)).len();
    }
    let unacked_bytes = rig.peer.status(&rig.held).unacked_bytes;
    assert!(live > 200 && live < 598, "{live}");
    assert!(unacked_bytes <= LINK_WINDOW_BYTES && unacked_bytes > LINK_WINDOW_BYTES - 2_000, "{unacked_bytes}");
    assert!(frames(&rig.pass(10_000), 1).iter().all(|frame| !matches!(frame, Frame::SyncRun { .. })));
    // When it acknowledges at last, both logs go on from the disk.
    let caught_up = runs(&sent).iter().map(|(_, _, events)| events).sum();
    let mut outputs = rig.ack(1, B, 1 + live);
    outputs.extend(rig.ack(2, A, caught_up));
    let on = runs(&rig.read_all(outputs));
    assert!(
        on.contains(&(B, 1 + live as u64, 16))
            && on.iter().any(|(epoch, after, _)| (*epoch, *after) == (A, caught_up as u64))
    );
}

#[test]
fn runs_grow_while_they_are_committed_quickly() {
    let mut rig = Rig::linked_holding(&[(A, 4_000)]);
    let mut outputs = rig.request(1, A, 0);
    let mut sizes = Vec::new();
    let mut to = 0;
    while let [read] = &reads(&outputs)[..] {
        sizes.push(read.max_bytes / 1024);
        rig.answer(read.clone());
        let answered = rig.take();
        to += runs(&answered).iter().map(|(_, _, events)| events).sum::<usize>();
        rig.wait(50);
        let acked = rig.ack(1, A, to);
        outputs = if reads(&answered).is_empty() { acked } else { answered };
    }
    assert_eq!(sizes[..2], [16, 16], "the second is asked for before the first is acknowledged");
    assert!(sizes.contains(&64) && sizes.last() == Some(&256) && to == 4_000, "{sizes:?}");
}

#[test]
fn a_stopped_subscription_releases_its_bytes_and_is_answered_with_have() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    rig.commit(A, 5);
    rig.hears(1, Frame::SyncStop { sub: 1 });
    assert_eq!(announced(&rig.take()), [[(A, 5)]]);
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.unacked_bytes, status.serving), (0, 0));
    assert!(runs(&rig.commit(A, 6)).is_empty());
}

#[test]
fn an_acknowledgement_from_further_on_moves_the_cursor() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    let outputs = rig.ack(1, A, 8);
    let news = PeerReport::Has { link: SocketId(1), log: log(A), head: rig.head(A, 8) };
    assert_eq!(reports(&outputs), [news], "and says that the peer holds more");
    let outputs = rig.commit(A, 8);
    assert!(runs(&outputs).is_empty(), "it has that already");
    assert_eq!(announced(&outputs), [[(A, 8)]], "so it is told that we do");
    assert_eq!(runs(&rig.commit(A, 9)), [(A, 8, 1)]);
}

#[test]
fn an_acknowledgement_of_another_chain_ends_the_subscription() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    let hash = crate::replication::log::ChainHash([7; 32]);
    rig.hears(1, Frame::SyncAck { sub: 1, head: Head { to: 3, hash } });
    let outputs = rig.take();
    assert!(reports(&outputs).contains(&PeerReport::Forked { link: SocketId(1), log: log(A), seq: 3 }));
    assert!(matches!(&frames(&outputs, 1)[..], [Frame::SyncRefused(_)]));
}

#[test]
fn a_disk_that_fails_is_asked_again_after_a_second() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    let read = reads(&rig.request(1, A, 0))[0].clone();
    let failed = RunRead { sub: 1, log: log(A), after: 0, found: Err("I/O error".into()) };
    rig.peer.run_read(rig.now, &rig.held, failed);
    let outputs = rig.take();
    assert!(matches!(&alarms(&outputs)[..], [Alarm::ReadFailed { reason, .. }] if reason == "I/O error"));
    assert!(reads(&outputs).is_empty() && reads(&rig.pass(999)).is_empty());
    assert_eq!(reads(&rig.pass(1)), [read]);
}

#[test]
fn a_read_that_is_never_answered_is_asked_for_again() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    let read = reads(&rig.request(1, A, 0));
    let mut again = Vec::new();
    for _ in 0..11 {
        again.extend(reads(&rig.pass(1_000)));
        rig.hears(1, heartbeat(0));
    }
    assert_eq!(again, read);
}

#[test]
fn a_lost_commit_notice_costs_a_second() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    rig.held.set(&log(A), rig.head(A, 4));
    assert_eq!(reads(&rig.pass(1_000)).len(), 1);
}

#[test]
fn one_log_is_followed_once() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    rig.request(2, A, 3);
    assert_eq!(rig.peer.status(&rig.held).serving, 1);
    let outputs = rig.commit(A, 4);
    assert!(matches!(&frames(&outputs, 1)[..], [Frame::SyncRun { sub: 2, .. }]));
}

#[test]
fn logs_behind_take_turns() {
    let mut rig = Rig::linked_holding(&[(A, 400), (B, 400)]);
    rig.request(1, A, 0);
    let a = ReadRun { sub: 1, log: log(A), after: 0, max_bytes: 16 * 1024 };
    rig.request(2, B, 0);
    let mut turns = Vec::new();
    let mut next = vec![a, ReadRun { sub: 2, log: log(B), after: 0, max_bytes: 16 * 1024 }];
    while turns.len() < 20 {
        for read in std::mem::take(&mut next) {
            turns.push(read.sub);
            rig.answer(read);
            let outputs = rig.take();
            next.extend(reads(&outputs));
        }
    }
    let ones = turns.iter().filter(|sub| **sub == 1).count();
    assert!((8..=12).contains(&ones), "{turns:?}");
}

#[test]
fn long_runs_are_compressed_for_who_can_read_that() {
    for capabilities in [vec![], vec!["zstd".to_owned(), "unheard of".to_owned()]] {
        let can = !capabilities.is_empty();
        let mut rig = Rig::new("c1", "c2");
        rig.held.set(&log(A), rig.head(A, 100));
        rig.dial(1);
        rig.hears(1, Frame::Hello(Hello { capabilities, ..hello_of("c2", THEIRS) }));
        rig.take();
        let outputs = rig.request(1, A, 0);
        let outputs = rig.read_all(outputs);
        let compressed = |outputs: &[PeerOutput]| {
            outputs.iter().filter(|output| matches!(output, PeerOutput::SendCompressed { .. })).count()
        };
        assert_eq!(compressed(&outputs) > 0, can);
        assert_eq!(runs(&outputs).iter().map(|(_, _, events)| events).sum::<usize>(), 100);
        rig.ack(1, A, 100);
        let live = rig.commit(A, 101);
        assert_eq!((runs(&live).len(), compressed(&live)), (1, 0), "a short one is not");
    }
}
