//! Two sockets of one pair.

use super::*;

/// A peer of the given ids, linked by socket 1, which it dialled or the other side did.
fn linked(own: &str, other: &str, we_dialled: bool) -> Rig {
    let mut rig = Rig::new(own, other);
    if we_dialled {
        rig.dial(1);
        rig.hears(1, Frame::Hello(hello_of(other, THEIRS)));
    } else {
        // A dial of its own is under way meanwhile.
        rig.tick();
        rig.peer.accepted(rig.now, &rig.held, SocketId(1), hello_of(other, THEIRS));
    }
    rig.take();
    rig
}

/// A second socket, 2, dialled by the other way, says HELLO.
fn second(rig: &mut Rig, other: &str, we_dialled: bool, instance: u64) -> Vec<PeerOutput> {
    if we_dialled {
        rig.peer.dialled(rig.now, 1, SocketId(2));
        rig.hears(2, Frame::Hello(hello_of(other, instance)));
    } else {
        rig.peer.accepted(rig.now, &rig.held, SocketId(2), hello_of(other, instance));
    }
    rig.take()
}

#[test]
fn of_two_sockets_the_one_dialled_by_the_smaller_id_stays_once_it_answered() {
    // The link was dialled by the larger id, the second one by the smaller: the second has to prove itself.
    for (own, other, we_dialled) in [("c1", "c2", false), ("c2", "c1", true)] {
        let mut rig = linked(own, other, we_dialled);
        let outputs = second(&mut rig, other, !we_dialled, THEIRS);
        let ping = pings(&outputs, 2);
        assert_eq!(rig.peer.link(), Some(SocketId(1)), "nothing changes before the answer");
        rig.peer.pong(rig.now, &rig.held, SocketId(2), ping[0]);
        let outputs = rig.take();
        assert_eq!(closed(&outputs), [(1, close_code::SUPERSEDED)]);
        assert_eq!(rig.peer.link(), Some(SocketId(2)));
        let reports = reports(&outputs);
        assert!(matches!(reports[..], [PeerReport::LinkDown { .. }, PeerReport::LinkUp { link: SocketId(2) }]));
    }
    // The other way round: the link has to, and the second one goes.
    let mut rig = linked("c2", "c1", false);
    let outputs = second(&mut rig, "c1", true, THEIRS);
    assert_eq!(closed(&outputs), [(2, close_code::SUPERSEDED)], "no need for a HELLO");
    let mut rig = linked("c1", "c2", true);
    let outputs = second(&mut rig, "c2", false, THEIRS);
    let ping = pings(&outputs, 1);
    assert!(frames(&outputs, 2).is_empty(), "no HELLO before it is judged");
    rig.peer.pong(rig.now, &rig.held, SocketId(1), ping[0]);
    assert_eq!(closed(&rig.take()), [(2, close_code::SUPERSEDED)]);
    assert_eq!(rig.peer.link(), Some(SocketId(1)));
}

#[test]
fn a_preferred_socket_that_stays_silent_for_2_s_goes() {
    let mut rig = linked("c1", "c2", true);
    second(&mut rig, "c2", false, THEIRS);
    assert!(closed(&rig.pass(1_999)).is_empty());
    let outputs = rig.pass(1);
    assert_eq!(closed(&outputs), [(1, close_code::SUPERSEDED)]);
    assert_eq!(rig.peer.link(), Some(SocketId(2)));
    assert!(matches!(frames(&outputs, 2)[0], Frame::Hello(_)));

    let mut rig = linked("c1", "c2", false);
    second(&mut rig, "c2", true, THEIRS);
    assert_eq!(closed(&rig.pass(2_000)), [(2, close_code::SUPERSEDED)]);
    assert_eq!(rig.peer.link(), Some(SocketId(1)));
}

#[test]
fn a_peer_that_uses_the_preferred_socket_has_settled_on_it() {
    let mut rig = linked("c1", "c2", false);
    second(&mut rig, "c2", true, THEIRS);
    let head = rig.head(7, 3);
    rig.hears(2, Frame::HaveLogs([(log(7), head)].into()));
    let outputs = rig.take();
    assert_eq!(rig.peer.link(), Some(SocketId(2)));
    let has = PeerReport::Has { link: SocketId(2), log: log(7), head };
    assert!(reports(&outputs).contains(&has), "and what it said there is not lost");
}

#[test]
fn of_two_sockets_of_one_dialler_the_newer_stays() {
    let mut rig = linked("c1", "c2", false);
    let outputs = second(&mut rig, "c2", false, THEIRS);
    assert_eq!(closed(&outputs), [(1, close_code::SUPERSEDED)]);
    assert_eq!(rig.peer.link(), Some(SocketId(2)));
}

#[test]
fn another_process_replaces_one_that_is_silent() {
    for we_dialled_first in [true, false] {
        let mut rig = linked("c1", "c2", we_dialled_first);
        let outputs = second(&mut rig, "c2", false, THEIRS + 1);
        assert_eq!(pings(&outputs, 1).len(), 1);
        rig.hears(1, heartbeat(0));
        assert!(closed(&rig.pass(1_999)).is_empty(), "what was under way proves nothing");
        assert_eq!(closed(&rig.pass(1)), [(1, close_code::SUPERSEDED)]);
        assert_eq!(rig.peer.link(), Some(SocketId(2)));
    }
}

#[test]
fn a_double_of_a_living_process_is_refused_with_an_alarm() {
    let mut rig = linked("c1", "c2", true);
    let outputs = second(&mut rig, "c2", false, THEIRS + 1);
    rig.peer.pong(rig.now, &rig.held, SocketId(1), pings(&outputs, 1)[0]);
    let outputs = rig.take();
    assert!(matches!(&frames(&outputs, 2)[..], [Frame::Error(error)] if error.code == code::DUPLICATE_CENTRAL_ID));
    assert_eq!(closed(&outputs), [(2, close_code::REFUSED)]);
    assert_eq!(alarms(&outputs), [Alarm::DuplicateCentralId { central: "c2".parse().unwrap() }]);
    assert_eq!(rig.peer.link(), Some(SocketId(1)), "the old link goes on");
}

#[test]
fn a_challenger_takes_over_from_a_link_that_ends() {
    let mut rig = linked("c1", "c2", true);
    second(&mut rig, "c2", false, THEIRS + 1);
    rig.peer.closed(rig.now, &rig.held, SocketId(1), "reset");
    assert_eq!(rig.peer.link(), Some(SocketId(2)));
    assert!(dials(&rig.pass(3_000)).is_empty());
}

#[test]
fn a_challenger_that_ends_is_forgotten() {
    let mut rig = linked("c1", "c2", true);
    second(&mut rig, "c2", false, THEIRS + 1);
    rig.peer.closed(rig.now, &rig.held, SocketId(2), "reset");
    assert!(closed(&rig.pass(3_000)).is_empty());
    assert_eq!(rig.peer.link(), Some(SocketId(1)));
}

#[test]
fn a_challenger_is_judged_anew_when_the_link_is_replaced_meanwhile() {
    let mut rig = linked("c1", "c2", false);
    second(&mut rig, "c2", false, THEIRS + 1);
    // The linked process dials anew; its double goes on waiting.
    rig.peer.accepted(rig.now, &rig.held, SocketId(3), hello_of("c2", THEIRS));
    let outputs = rig.take();
    assert_eq!(closed(&outputs), [(1, close_code::SUPERSEDED)]);
    let probe = *pings(&outputs, 3).last().unwrap();
    rig.peer.pong(rig.now, &rig.held, SocketId(3), probe);
    assert_eq!(alarms(&rig.take()).len(), 1);
    assert_eq!(rig.peer.link(), Some(SocketId(3)));
}

/// The peer is linked anew as this process, which says which start of its database it is; it answers pings if it `lives`.
fn relinked(rig: &mut Rig, socket: u64, instance: u64, number: u64, earlier: &[u64], lives: bool) -> Vec<PeerOutput> {
    let start = Start { number, earlier: earlier.iter().copied().map(Instance).collect() };
    let hello = Hello { start: Some(start), ..hello_of("c2", instance) };
    rig.peer.accepted(rig.now, &rig.held, SocketId(socket), hello);
    let mut outputs = rig.take();
    for ping in pings(&outputs, socket).into_iter().filter(|_| lives) {
        rig.peer.pong(rig.now, &rig.held, SocketId(socket), ping);
    }
    outputs.extend(rig.take());
    rig.peer.closed(rig.now, &rig.held, SocketId(socket), "gone");
    rig.take();
    outputs
}

#[test]
fn who_goes_on_from_an_older_copy_is_told_of_once_at_both_ends_and_stays_linked() {
    let mut rig = Rig::new("c1", "c2");
    let older = |outputs: &[PeerOutput]| alarms(outputs).iter().map(Alarm::name).collect::<Vec<_>>();
    assert!(older(&relinked(&mut rig, 1, 20, 2, &[10], true)).is_empty());
    // Its directory is copied here; the copy runs in its place, restarts, and the original comes back.
    assert!(older(&relinked(&mut rig, 2, 31, 3, &[20, 10], true)).is_empty(), "nothing tells a copy from a restart");
    assert!(older(&relinked(&mut rig, 3, 41, 4, &[31, 20, 10], true)).is_empty());
    assert!(
        older(&relinked(&mut rig, 4, 30, 3, &[20, 10], false)).is_empty(),
        "what is heard late of a process that is gone"
    );
    let outputs = relinked(&mut rig, 5, 30, 3, &[20, 10], true);
    assert_eq!(older(&outputs), ["older_start"]);
    let told = frames(&outputs, 5).into_iter().find_map(|frame| match frame {
        Frame::Error(error) => Some(error),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!(told.code, code::OLDER_START);
    assert!(!is_refusal(&told.code) && !outputs.iter().any(|output| matches!(output, PeerOutput::Close { .. })));
    assert!(older(&relinked(&mut rig, 6, 30, 3, &[20, 10], true)).is_empty(), "once");
    assert_eq!(older(&relinked(&mut rig, 7, 41, 4, &[31, 20, 10], true)), ["older_start"], "the copy comes back");
    // A version that says nothing of it is linked in between.
    rig.peer.accepted(rig.now, &rig.held, SocketId(8), hello_of("c2", 77));
    assert!(older(&rig.take()).is_empty());

    // The other end.
    let mut rig = Rig::linked();
    rig.hears(1, Frame::Error(told));
    let outputs = rig.take();
    assert_eq!(older(&outputs), ["older_start"]);
    assert!(alarms(&outputs)[0].to_string().starts_with("c2 says: c2 goes on from start 3"), "{outputs:?}");
    assert_eq!(rig.peer.link(), Some(SocketId(1)));
}
