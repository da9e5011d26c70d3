//! Pings, silence, clocks, and frames that are no good.

use super::*;
use crate::wire::frame::FrameError;

#[test]
fn a_link_is_pinged_every_5_s_and_dead_after_15() {
    let mut rig = Rig::linked();
    let outputs = rig.pass(14_999);
    assert_eq!(pings(&outputs, 1).len(), 2);
    assert!(closed(&outputs).is_empty());
    let outputs = rig.pass(1);
    assert_eq!(closed(&outputs), [(1, close_code::SILENT)]);
    assert!(matches!(&reports(&outputs)[..], [PeerReport::LinkDown { link: SocketId(1), .. }]));
    assert_eq!(rig.peer.status(&rig.held).last_error.as_deref(), Some("nothing heard for 15 s"));
}

#[test]
fn any_frame_or_pong_is_life() {
    let mut rig = Rig::linked();
    rig.pass(14_000);
    rig.hears(1, Frame::Unknown { type_name: "NEWS".into() });
    assert!(closed(&rig.pass(14_000)).is_empty());
    rig.peer.pong(rig.now, &rig.held, SocketId(1), 12_345);
    assert!(closed(&rig.pass(14_000)).is_empty());
    rig.peer.received(rig.now, &rig.held, SocketId(1), Err(FrameError::NotAnObject));
    assert!(closed(&rig.pass(14_000)).is_empty());
    assert_eq!(closed(&rig.pass(1_000)).len(), 1);
}

#[test]
fn a_heartbeat_goes_out_every_30_s() {
    let mut rig = Rig::linked();
    rig.peer.set_heartbeat(Beat { links: vec!["c7".parse().unwrap()], ..Beat::default() });
    rig.pass(1_000);
    let mut sent = Vec::new();
    for _ in 0..61 {
        rig.hears(1, Frame::SyncStop { sub: 0 });
        sent.extend(frames(&rig.pass(1_000), 1));
    }
    let heartbeats: Vec<_> = sent
        .iter()
        .filter_map(|frame| match frame {
            Frame::Heartbeat(heartbeat) => Some(heartbeat),
            _ => None,
        })
        .collect();
    assert_eq!(heartbeats.len(), 2);
    assert_eq!(heartbeats[1].links.len(), 1);
    assert_eq!(heartbeats[1].wall_ms - heartbeats[0].wall_ms, 30_000);
}

/// The links told of in each HEARTBEAT among the outputs.
fn links_told(outputs: &[PeerOutput]) -> Vec<Vec<String>> {
    let links = |frame| match frame {
        Frame::Heartbeat(heartbeat) => Some(heartbeat.links.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    frames(outputs, 1).into_iter().filter_map(links).collect()
}

#[test]
fn what_is_set_otherwise_is_told_at_once_and_what_each_event_changes_with_the_next() {
    let mut rig = Rig::linked();
    rig.tick();
    let say = |rig: &mut Rig, digests: [(&str, &str); 3]| {
        let digests = digests.map(|(name, said)| (name.to_owned(), said.to_owned())).into();
        rig.peer.set_heartbeat(Beat { digests, ..Beat::default() });
        links_told(&rig.tick()).len()
    };
    rig.pass(2_000);
    assert_eq!(say(&mut rig, [("modes", "tls"), ("have", "1"), ("history", "1")]), 1);
    rig.pass(2_000);
    assert_eq!(say(&mut rig, [("modes", "tls"), ("have", "2"), ("history", "2")]), 0);
    rig.pass(2_000);
    assert_eq!(say(&mut rig, [("modes", "open"), ("have", "2"), ("history", "2")]), 1);
}

#[test]
fn a_link_that_comes_or_goes_is_told_at_once_and_at_most_once_a_second() {
    let mut rig = Rig::linked();
    rig.tick();
    let say = |rig: &mut Rig, links: &[&str]| {
        let links = links.iter().map(|id| id.parse().unwrap()).collect();
        rig.peer.set_heartbeat(Beat { links, ..Beat::default() });
        rig.tick()
    };
    rig.pass(5_000);
    assert_eq!(links_told(&say(&mut rig, &["c7", "c8"])), [["c7", "c8"]], "at once");
    assert!(links_told(&say(&mut rig, &["c7"])).is_empty(), "not twice in a second");
    rig.wait(900);
    assert!(links_told(&say(&mut rig, &["c7", "c9"])).is_empty());
    assert_eq!(links_told(&rig.pass(100)), [["c7", "c9"]], "then the last state, once");
    assert!(links_told(&rig.pass(2_000)).is_empty());
    assert!(links_told(&say(&mut rig, &["c9", "c7"])).is_empty(), "the same ones in another order are no news");
    let other = Beat { digests: [("have".to_owned(), "1".to_owned())].into(), ..Beat::default() };
    rig.peer.set_heartbeat(Beat { links: vec!["c7".parse().unwrap(), "c9".parse().unwrap()], ..other });
    assert!(links_told(&rig.tick()).is_empty(), "nor is another digest");
}

#[test]
fn round_trip_and_clock_offset_are_measured() {
    let mut rig = Rig::linked();
    let payload = pings(&rig.pass(5_000), 1)[0];
    rig.wait(80);
    rig.peer.pong(rig.now, &rig.held, SocketId(1), payload);
    // Sent 40 ms ago by a clock that is 7 s ahead.
    rig.hears(1, heartbeat(rig.now.wall_ms - 40 + 7_000));
    let status = rig.peer.status(&rig.held);
    assert_eq!((status.round_trip_ms, status.clock_offset_ms), (Some(80), Some(7_000)));
}

#[test]
fn a_bad_frame_is_told_once_and_counted() {
    let mut rig = Rig::linked();
    for _ in 0..3 {
        rig.peer.received(rig.now, &rig.held, SocketId(1), Err(FrameError::NotAnObject));
    }
    rig.hears(1, Frame::Unknown { type_name: "NEWS".into() });
    let outputs = rig.take();
    assert!(matches!(&frames(&outputs, 1)[..], [Frame::Error(error)] if error.code == code::BAD_FRAME));
    let counters = rig.peer.status(&rig.held).counters;
    assert_eq!((counters.bad_frames, counters.unknown_frames), (3, 1));
    assert_eq!(rig.peer.link(), Some(SocketId(1)));
}

#[test]
fn an_idle_link_wakes_only_to_ping_and_beat() {
    let mut rig = Rig::linked();
    let mut wakeups = 0;
    for _ in 0..600 {
        rig.hears(1, Frame::Unknown { type_name: "LIFE".into() });
        let until_ms = rig.now.mono_ms + 1_000;
        while let Some(at_ms) = rig.peer.next_wakeup_ms().filter(|at_ms| *at_ms <= until_ms) {
            rig.wait(at_ms.saturating_sub(rig.now.mono_ms));
            rig.tick();
            wakeups += 1;
        }
        rig.wait(until_ms - rig.now.mono_ms);
    }
    assert!(wakeups <= 600 / 5 + 600 / 30, "{wakeups} wake-ups in 600 s");
}

#[test]
fn a_broken_link_is_dialled_again() {
    let mut rig = Rig::linked();
    rig.peer.closed(rig.now, &rig.held, SocketId(1), "reset");
    assert!(matches!(&reports(&rig.take())[..], [PeerReport::LinkDown { reason, .. }] if reason == "reset"));
    assert_eq!(dials(&rig.pass(500)).len(), 1);
    rig.hears(1, heartbeat(0));
    rig.peer.closed(rig.now, &rig.held, SocketId(1), "again");
    assert!(rig.take().is_empty(), "what still comes from an old socket is void");
}
