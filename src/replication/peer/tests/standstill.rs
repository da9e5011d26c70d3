//! What nobody could pass on is not taken, what lies here from before does not hold up the rest, and a link that carries nothing
//! says so.

use super::*;
use crate::domain::event::MAX_EVENT_BYTES;
use crate::replication::log::ChainHash;
use crate::replication::peer::output::STANDSTILL_MS;
use crate::wire::frame::FrameError;

const A: u64 = 0xaa00_0000_0000_0000;
const B: u64 = 0xbb00_0000_0000_0000;

fn follow(rig: &mut Rig, epoch: u64) -> u64 {
    rig.command(PeerCommand::Follow { log: log(epoch), from: Head::empty(&log(epoch)) });
    match &frames(&rig.take(), 1)[..] {
        [Frame::SyncRequest(request)] => request.sub,
        other => panic!("{other:?}"),
    }
}

/// An event of this many bytes.
fn event_of(bytes: usize) -> EventBytes {
    let frame = r#"{"pad":""}"#;
    frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len()))).into()
}

#[test]
fn an_event_nobody_could_pass_on_ends_the_link_and_is_not_taken() {
    for (bytes, fits) in [(MAX_EVENT_BYTES, true), (MAX_EVENT_BYTES + 1, false), (1_000_000, false)] {
        let mut rig = Rig::linked();
        let sub = follow(&mut rig, A);
        rig.texts = vec![event_of(100), event_of(bytes)];
        rig.hears(1, Frame::SyncRun { sub, run: rig.run(A, 0, 2) });
        let outputs = rig.take();
        let taken = reports(&outputs).iter().any(|report| matches!(report, PeerReport::Run { .. }));
        assert_eq!((taken, rig.peer.link().is_some()), (fits, fits), "{bytes} bytes");
        if !fits {
            assert_eq!(closed(&outputs), [(1, close_code::UNFIT)]);
            assert!(matches!(&alarms(&outputs)[..], [Alarm::OversizedEvent { seq: 2, .. }]), "{outputs:?}");
            assert!(matches!(&reports(&outputs)[..], [PeerReport::Unfit { .. }, PeerReport::LinkDown { .. }]));
            assert!(dials(&rig.pass(2_900)).is_empty() && dials(&rig.pass(200)).len() == 1, "after the longest wait");
        }
    }
}

#[test]
fn a_run_that_cannot_be_read_ends_the_link_and_other_noise_does_not() {
    for (error, ends) in [
        (FrameError::UnreadableRun("noise".into()), true),
        (FrameError::TooLarge(2_000_000), true),
        (FrameError::Malformed("noise".into()), false),
        (FrameError::NotAnObject, false),
    ] {
        let mut rig = Rig::linked();
        rig.peer.received(rig.now, &rig.held, SocketId(1), Err(error.clone()));
        let outputs = rig.take();
        assert_eq!(rig.peer.link().is_none(), ends, "{error}");
        assert_eq!(alarms(&outputs).len(), usize::from(ends), "{error}");
        assert!(matches!(&frames(&outputs, 1)[..], [Frame::Error(told)] if told.code == code::BAD_FRAME));
    }
}

#[test]
fn what_lies_here_and_cannot_be_passed_on_stops_its_log_alone() {
    let mut rig = Rig::new("c1", "c2");
    rig.texts[2] = event_of(900_000);
    let (to, fine) = (rig.head(A, 5), rig.head(B, 2));
    rig.held.set(&log(A), to);
    rig.held.set(&log(B), fine);
    rig.dial(1);
    rig.hears(1, hello(THEIRS));
    rig.take();
    let outputs = rig.request(1, A, 0);
    let sent = rig.read_all(outputs);
    assert_eq!(runs(&sent), [(A, 0, 2)], "what comes before it is sent");
    assert!(matches!(&alarms(&sent)[..], [Alarm::CannotPassOn { seq: 3, .. }]), "{:?}", alarms(&sent));
    let refused = frames(&sent, 1).into_iter().find_map(|frame| match frame {
        Frame::SyncRefused(refused) => Some((refused.refusal, refused.held.to)),
        _ => None,
    });
    assert_eq!(refused, Some((crate::wire::frame::SyncRefusal::NotHeld, 2)));
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.serving, status.unacked_bytes), (0, 0), "and it holds nothing of the window");
    let outputs = rig.request(2, B, 0);
    assert_eq!(runs(&rig.read_all(outputs)), [(B, 0, 2)]);
}

/// Pings are answered, and no more.
fn lives(rig: &mut Rig, ms: u64) -> Vec<PeerOutput> {
    let mut outputs = Vec::new();
    for _ in 0..ms / 1_000 {
        outputs.extend(rig.pass(1_000));
        rig.hears(1, heartbeat(0));
    }
    outputs
}

#[test]
fn a_link_that_lives_and_acknowledges_nothing_for_a_minute_is_an_alarm_once() {
    let mut rig = Rig::linked_holding(&[(A, 3)]);
    rig.request(1, A, 3);
    rig.commit(A, 4);
    assert!(alarms(&lives(&mut rig, STANDSTILL_MS - 2_000)).is_empty());
    let oldest = rig.peer.status(&rig.held).oldest_unacked.expect("it waits");
    assert_eq!((oldest.log, oldest.to), (log(A), 4));
    let raised = alarms(&lives(&mut rig, 30_000));
    assert!(matches!(&raised[..], [Alarm::NotMoving { to: 4, .. }]), "{raised:?}");
    rig.ack(1, A, 4);
    assert_eq!(rig.peer.status(&rig.held).oldest_unacked, None);
    assert!(alarms(&lives(&mut rig, 2 * STANDSTILL_MS)).is_empty(), "nothing waits");
    rig.commit(A, 5);
    assert_eq!(alarms(&lives(&mut rig, 2 * STANDSTILL_MS)).len(), 1, "it stops anew");
}

/// The log that is written here, up to there.
fn own(to: u64) -> (LogId, Head) {
    let log = LogId { central: "c1".parse().unwrap(), epoch: Epoch(A) };
    let hash = if to == 0 { Head::empty(&log).hash } else { ChainHash([u8::try_from(to).unwrap(); 32]) };
    (log, Head { to, hash })
}

fn asks_for_own(rig: &mut Rig, sub: u64) {
    let (log, Head { hash, .. }) = own(0);
    rig.hears(1, Frame::SyncRequest(SyncRequest { sub, log, after: 0, hash }));
}

#[test]
fn a_peer_that_lives_and_never_holds_what_was_written_here_is_an_alarm_whatever_it_asks_for() {
    let turns: [fn(&mut Rig, u64); 3] = [
        |_, _| {},
        |rig, turn| asks_for_own(rig, turn + 1),
        |rig, turn| {
            asks_for_own(rig, turn + 1);
            rig.hears(1, Frame::SyncStop { sub: turn + 1 });
        },
    ];
    for turn in turns {
        let mut rig = Rig::linked();
        let (log, head) = own(2);
        rig.held.set(&log, head);
        let mut raised = Vec::new();
        for number in 0..5 {
            assert!(raised.is_empty(), "{raised:?}");
            turn(&mut rig, number);
            raised = alarms(&lives(&mut rig, 15_000));
        }
        assert!(matches!(&raised[..], [Alarm::NotMoving { to: 2, .. }]), "{raised:?}");
        assert!(rig.peer.status(&rig.held).oldest_unacked.is_some_and(|oldest| oldest.is_overdue(rig.now.mono_ms)));
        // It took it elsewhere.
        rig.hears(1, Frame::HaveLogs([(log, head)].into()));
        rig.hears(1, Frame::SyncStop { sub: 5 });
        assert!(alarms(&lives(&mut rig, 2 * STANDSTILL_MS)).is_empty());
        assert_eq!(rig.peer.status(&rig.held).oldest_unacked, None);
    }
}

#[test]
fn a_peer_that_fetches_the_logs_of_others_first_stands_not_still() {
    let mut rig = Rig::linked_holding(&[(B, 1)]);
    let (log, head) = own(2);
    rig.held.set(&log, head);
    rig.request(1, B, 1);
    for to in 2..12 {
        rig.commit(B, to);
        rig.ack(1, B, to);
        assert!(alarms(&lives(&mut rig, 20_000)).is_empty());
    }
    assert_eq!(alarms(&lives(&mut rig, 2 * STANDSTILL_MS)).len(), 1, "and then");
}

#[test]
fn a_peer_that_announces_logs_without_end_costs_little_and_loses_its_link() {
    let announce = |rig: &mut Rig, from: u64, to: u64| {
        let heads = (from..to).map(|epoch| (log(epoch), Head { to: 1, hash: Head::empty(&log(epoch)).hash })).collect();
        rig.hears(1, Frame::HaveLogs(heads));
        rig.take()
    };
    let wanted = |outputs: &[PeerOutput]| {
        reports(outputs).iter().filter(|report| matches!(report, PeerReport::Has { .. })).count()
    };
    let (most, wants) = (link::MAX_UNKNOWN_LOGS as u64, link::MAX_WANTED_LOGS);
    let mut rig = Rig::linked();
    assert_eq!(wanted(&announce(&mut rig, 1, 1 + 2 * wants as u64)), wants, "the rest is asked for later");
    // Half of them are held now: as many of the others are wanted.
    let mut more = 0;
    for epoch in 1..=wants as u64 {
        more += wanted(&rig.commit(epoch, 1));
    }
    assert!(more >= wants / 2 && more <= wants, "{more}");
    assert!(alarms(&announce(&mut rig, 100_000, 100_000 + most - 2 * wants as u64)).is_empty());
    assert!(rig.peer.link().is_some());
    let outputs = announce(&mut rig, 1_000_000, 1_000_000 + 2 * wants as u64);
    assert_eq!(alarms(&outputs), [Alarm::TooManyLogs { peer: "c2".parse().unwrap() }]);
    assert_eq!((closed(&outputs), rig.peer.link()), (vec![(1, close_code::UNFIT)], None));
}
