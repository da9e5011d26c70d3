//! Dialling and HELLO.

use super::*;

#[test]
fn it_dials_at_once_and_then_with_growing_waits() {
    let mut rig = Rig::new("c1", "c2");
    let mut longest_ms = 0;
    for failure in 0..40_u32 {
        let started_ms = rig.now.mono_ms;
        let mut outputs = rig.tick();
        while dials(&outputs).is_empty() {
            rig.wait(1);
            outputs = rig.tick();
        }
        let waited_ms = rig.now.mono_ms - started_ms;
        assert!(waited_ms <= (250 << failure.min(5)).clamp(0, 3_000), "waited {waited_ms} ms after {failure} failures");
        longest_ms = longest_ms.max(waited_ms);
        rig.peer.dial_failed(rig.now, dials(&outputs)[0], "connection refused");
    }
    assert!(longest_ms > 2_000, "the waits reach towards the cap: {longest_ms}");
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.state, status.failed_dials), (LinkState::Disconnected, 40));
    assert_eq!(status.last_error.as_deref(), Some("connection refused"));
    assert!(status.next_dial_mono_ms.is_some());
}

#[test]
fn a_dial_the_shell_forgets_is_made_again() {
    let mut rig = Rig::new("c1", "c2");
    assert_eq!(dials(&rig.tick()), [1]);
    assert_eq!(dials(&rig.pass(3_600)), [2]);
    rig.peer.dialled(rig.now, 1, SocketId(5));
    assert_eq!(closed(&rig.take()), [(5, close_code::GOING_AWAY)], "the answer to the first comes too late");
}

#[test]
fn a_dial_on_request_waits_for_nothing() {
    let mut rig = Rig::new("c1", "c2");
    let attempt = dials(&rig.tick())[0];
    rig.peer.dial_failed(rig.now, attempt, "no");
    rig.peer.retry_now(rig.now);
    assert_eq!(dials(&rig.take()), [2]);
}

#[test]
fn hello_comes_first_and_the_answer_makes_the_link() {
    let mut rig = Rig::new("c1", "c2");
    rig.held.set(&log(0xaa00_0000_0000_0000), rig.head(0xaa00_0000_0000_0000, 3));
    rig.dial(1);
    let sent = frames(&rig.take(), 1);
    assert!(
        matches!(&sent[..], [Frame::Hello(hello)] if hello.central.as_str() == "c1" && hello.instance == Instance(1))
    );
    assert_eq!(rig.peer.status(&rig.held).state, LinkState::Connecting);

    rig.hears(1, hello(THEIRS));
    let outputs = rig.take();
    assert_eq!(reports(&outputs), [PeerReport::LinkUp { link: SocketId(1) }]);
    let sent = frames(&outputs, 1);
    assert!(matches!(&sent[..], [Frame::HaveDigests(digests), Frame::Heartbeat(_)] if digests.len() == 1));
    assert_eq!(pings(&outputs, 1).len(), 1);
    assert_eq!(rig.peer.status(&rig.held).state, LinkState::Connected);
    assert!(dials(&rig.pass(10_000)).is_empty(), "who is linked does not dial");
}

#[test]
fn an_inbound_socket_is_answered_with_hello() {
    let mut rig = Rig::new("c1", "c2");
    rig.peer.accepted(rig.now, &rig.held, SocketId(4), hello_of("c2", THEIRS));
    let sent = frames(&rig.take(), 4);
    assert!(matches!(sent[..], [Frame::Hello(_), Frame::HaveDigests(_), Frame::Heartbeat(_)]));
    assert!(dials(&rig.tick()).is_empty(), "contact from the peer makes the dial unnecessary");
}

#[test]
fn a_peer_that_does_not_say_hello_is_left_and_dialled_again() {
    let mut rig = Rig::new("c1", "c2");
    rig.dial(1);
    rig.take();
    assert!(closed(&rig.pass(9_999)).is_empty());
    assert_eq!(closed(&rig.pass(1)), [(1, close_code::SILENT)]);
    assert_eq!(dials(&rig.pass(3_000)).len(), 1);

    let mut rig = Rig::new("c1", "c2");
    rig.dial(1);
    rig.take();
    rig.hears(1, heartbeat(0));
    let outputs = rig.take();
    assert!(matches!(&frames(&outputs, 1)[..], [Frame::Error(error)] if error.code == code::HELLO_EXPECTED));
    assert_eq!(closed(&outputs), [(1, close_code::REFUSED)]);
}

#[test]
fn refusals_wait_the_longest_time() {
    let versions = Versions { min: 2, max: 9 };
    let cases = [
        (Hello { versions, ..hello_of("c2", THEIRS) }, code::VERSION),
        (hello_of("c3", THEIRS), code::IDENTITY),
        (hello_of("c1", 1), code::SELF_CONNECTION),
        (hello_of("c1", 2), code::DUPLICATE_CENTRAL_ID),
    ];
    for (hello, expected) in cases {
        let mut rig = Rig::new("c1", "c2");
        rig.dial(1);
        rig.take();
        rig.hears(1, Frame::Hello(hello));
        let outputs = rig.take();
        assert!(matches!(&frames(&outputs, 1)[..], [Frame::Error(error)] if error.code == expected), "{expected}");
        assert_eq!(closed(&outputs), [(1, close_code::REFUSED)]);
        assert_eq!(!alarms(&outputs).is_empty(), expected == code::DUPLICATE_CENTRAL_ID);
        assert!(dials(&rig.pass(2_999)).is_empty(), "{expected}");
        assert_eq!(dials(&rig.pass(1)).len(), 1, "{expected}");
    }
}

#[test]
fn who_is_refused_waits_too_and_learns_of_its_double() {
    for (error_code, alarm) in [(code::VERSION, false), (code::IDENTITY, false), (code::DUPLICATE_CENTRAL_ID, true)] {
        let mut rig = Rig::new("c1", "c2");
        rig.dial(1);
        rig.take();
        let error = crate::wire::frame::ErrorFrame { error: "no".into(), code: error_code.into() };
        rig.hears(1, Frame::Error(error));
        let outputs = rig.take();
        assert_eq!(
            alarms(&outputs),
            vec![Alarm::DuplicateCentralId { central: "c1".parse().unwrap() }; usize::from(alarm)]
        );
        assert!(frames(&outputs, 1).is_empty(), "an ERROR is never answered");
        assert!(dials(&rig.pass(2_999)).is_empty());
        assert_eq!(dials(&rig.pass(1)).len(), 1);
    }
}

#[test]
fn a_link_that_proved_itself_starts_the_waits_anew() {
    for (lived_ms, acked, proven) in [(29_000, false, false), (30_000, false, true), (10, true, true)] {
        let mut rig = Rig::new("c1", "c2");
        for _ in 0..9 {
            let attempt = dials(&rig.pass(10_000))[0];
            rig.peer.dial_failed(rig.now, attempt, "no");
        }
        rig.peer.accepted(rig.now, &rig.held, SocketId(1), hello_of("c2", THEIRS));
        for _ in 0..lived_ms / 1_000 {
            rig.pass(1_000);
            rig.hears(1, heartbeat(0));
        }
        if acked {
            rig.ack(77, 1, 0);
        }
        rig.pass(lived_ms % 1_000);
        assert_eq!(rig.peer.status(&rig.held).failed_dials == 0, proven, "{lived_ms} ms, acked: {acked}");
    }
}

#[test]
fn one_that_was_stopped_says_goodbye_and_rests() {
    let mut rig = Rig::linked();
    rig.peer.stop(rig.now, &rig.held);
    let outputs = rig.take();
    assert_eq!(closed(&outputs), [(1, close_code::GOING_AWAY)]);
    assert!(matches!(&reports(&outputs)[..], [PeerReport::LinkDown { .. }]));
    assert_eq!(rig.peer.next_wakeup_ms(), None);
    rig.peer.accepted(rig.now, &rig.held, SocketId(2), hello_of("c2", THEIRS));
    assert_eq!(closed(&rig.take()), [(2, close_code::GOING_AWAY)]);
}
