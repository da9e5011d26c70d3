//! What it is told and asked, by golden frames.

use super::*;
use crate::replication::log::{ChainHash, Head};

const V1: &str = include_str!("../../../tests/golden/legacy/v1.jsonl");

fn line(number: usize) -> &'static str {
    V1.lines().nth(number).unwrap()
}

fn peer() -> LegacyPeer {
    let id = |text| CentralId::new(text).unwrap();
    LegacyPeer::new(id("central-9"), id("central-1"), SiteZone::default(), Dialect::V1, Vec::new(), None, 0)
}

fn have(logs: &[(&str, u64)]) -> Have {
    let mut have = Have::default();
    for (log, to) in logs {
        have.set(&log.parse().unwrap(), Head { to: *to, hash: ChainHash([0; 32]) });
    }
    have
}

#[test]
fn it_is_asked_for_everything_and_again_from_the_oldest_car_inside() {
    let mut peer = peer();
    let first = [peer.heard(line(3), 5), peer.ask(5)].concat();
    assert!(
        matches!(first.as_slice(), [LegacyOutput::Send(answer), LegacyOutput::Send(asked)]
        if answer.contains("SYNC_RESPONSE") && asked.contains(r#""since_timestamp":0"#)),
        "{first:?}"
    );
    let answered = peer.heard(line(4), 5);
    let heard: Vec<usize> = answered
        .iter()
        .filter_map(|output| match output {
            LegacyOutput::Hear(statements) => Some(statements.len()),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [2, 1], "entries before exits");
    let id = |text| CentralId::new(text).unwrap();
    let zone = SiteZone::default();
    let since = zone.parse_local_text("2024-12-02 12:01:00").unwrap();
    let mut again = LegacyPeer::new(id("central-9"), id("central-1"), zone, Dialect::V1, Vec::new(), Some(peer), 0);
    let asked = again.ask(5);
    assert!(matches!(asked.as_slice(), [LegacyOutput::Send(text)] if text.contains(&since.to_string())), "{asked:?}");
}

#[test]
fn edits_are_of_the_stay_whose_row_it_told() {
    let mut peer = peer();
    let update = |row: i64| {
        format!(
            r#"{{"type":"HISTORY_UPDATE","source_central":"central-1","timestamp":1,"event_id":null,"data":{{"history_id":{row},"plate_text":"29A12346","plate_view":"29A-123.46"}}}}"#
        )
    };
    assert!(matches!(peer.heard(&update(7), 5).as_slice(), [LegacyOutput::Unusable(_)]));
    peer.heard(line(4), 5);
    let changed = peer.heard(&update(7), 5);
    assert!(
        matches!(changed.as_slice(), [LegacyOutput::Change { stay_id, corrected: Some((plate, view)) }]
        if stay_id.ends_with("29A12345") && plate.as_str() == "29A12346" && view == "29A-123.46"),
        "{changed:?}"
    );
}

#[test]
fn a_change_is_told_of_the_row_it_has_or_not_at_all() {
    let mut peer = peer();
    let log: LogId = "central-9/00000000000000aa".parse().unwrap();
    let known = "central-1_1733140800000_29A12345";
    let change =
        |stay_id: &str| Telling::Change(Change { stay_id: stay_id.into(), corrected: None, written_after: None });
    let read = || vec![Telling::Frame("first".into()), change(known), Telling::Frame("later".into())];
    let outputs = peer.events_read(&log, 0, read(), (0, 5));
    assert!(
        matches!(outputs.as_slice(), [LegacyOutput::Send(first), LegacyOutput::Send(asked)]
        if first == "first" && asked.contains(r#""since_timestamp":0"#)),
        "{outputs:?}"
    );
    let have = have(&[("central-9/00000000000000aa", 3)]);
    assert_eq!(peer.next_read(&have), None, "nothing overtakes the change");
    peer.heard(line(4), 5);
    assert_eq!(peer.next_read(&have).map(|(_, after, _)| after), Some(1));
    let outputs = peer.events_read(&log, 1, read().split_off(1), (0, 5));
    assert!(
        matches!(outputs.as_slice(), [LegacyOutput::Send(change), LegacyOutput::Send(later)]
        if change.contains("HISTORY_DELETE") && change.contains(r#""history_id":7"#) && later == "later"),
        "{outputs:?}"
    );
    // A stay it has no row of.
    peer.events_read(&log, 3, vec![change("elsewhere")], (0, 5));
    peer.heard(line(4), 5);
    let outputs = peer.events_read(&log, 3, vec![change("elsewhere")], (0, 5));
    assert!(matches!(outputs.as_slice(), [LegacyOutput::Unusable(_)]), "{outputs:?}");
    assert_eq!(peer.next_read(&have), None, "and it goes on");
}

#[test]
fn what_means_nothing_here_is_said() {
    let mut peer = peer();
    let moved = r#"{"type":"LOCATION_UPDATE","source_central":"central-1","timestamp":1,"event_id":null,"data":{}}"#;
    let heard = peer.heard(moved, 5);
    assert!(matches!(heard.as_slice(), [LegacyOutput::Unusable(text)] if text.contains("LOCATION_UPDATE")));
}

#[test]
fn it_is_told_our_own_events_at_a_bounded_rate_and_others_only_by_the_one_who_relays() {
    let mut peer = peer();
    let have = have(&[
        ("central-1/00000000000000aa", 5),
        ("central-5/00000000000000aa", 7),
        ("central-9/00000000000000aa", 100),
    ]);
    let (log, after, most) = peer.next_read(&have).unwrap();
    assert_eq!((log.central.as_str(), after, most), ("central-9", 0, BURST as usize));
    let frames = (0..BURST).map(|number| Telling::Frame(number.to_string())).collect();
    assert_eq!(peer.events_read(&log, 0, frames, (0, 0)).len(), BURST as usize);
    assert_eq!(peer.next_read(&have), None, "its gates are served meanwhile");
    peer.tick(100, 0);
    assert_eq!(peer.next_read(&have).map(|(_, after, most)| (after, most)), Some((50, 20)));
    peer.events_read(&log, 50, vec![Telling::Nothing; 50], (100, 0));
    assert_eq!(peer.next_read(&have), None, "nothing of what others wrote, and never its own");
    peer.set_relays(true);
    assert_eq!(peer.next_read(&have).map(|(log, ..)| log.central.to_string()), Some("central-5".into()));
}

#[test]
fn what_was_sent_is_told_once_the_link_has_lived_a_minute_longer() {
    let mut peer = peer();
    let log: LogId = "central-9/00000000000000aa".parse().unwrap();
    peer.events_read(&log, 0, vec![Telling::Nothing], (1_000, 0));
    peer.events_read(&log, 1, vec![Telling::Nothing], (2_000, 0));
    assert_eq!(peer.alive(TOLD_AFTER_MS + 999), None);
    assert_eq!(peer.alive(TOLD_AFTER_MS + 1_000), Some(LegacyOutput::Told(vec![(log.clone(), 1)])));
    assert_eq!(peer.alive(TOLD_AFTER_MS + 9_000), Some(LegacyOutput::Told(vec![(log, 2)])));
}

#[test]
fn it_says_that_it_lives_and_noise_is_only_noted() {
    let mut peer = peer();
    assert!(peer.tick(HEARTBEAT_MS - 1, 0).is_empty());
    assert!(matches!(peer.tick(HEARTBEAT_MS, 0).as_slice(), [LegacyOutput::Send(text)] if text.contains("HEARTBEAT")));
    for noise in ["", "{", "[]", "{\"type\":5}"] {
        assert!(matches!(peer.heard(noise, 0).as_slice(), [LegacyOutput::Unusable(_), ..]), "{noise}");
    }
}
