//! What it is told and asked, by golden frames.

use super::*;
use crate::replication::log::{ChainHash, Head};

const V1: &str = include_str!("../../../tests/golden/legacy/v1.jsonl");

/// 2024-12-09.
const NOW_MS: i64 = 1_733_700_000_000;

fn line(number: usize) -> &'static str {
    V1.lines().nth(number).unwrap()
}

fn peer() -> LegacyPeer {
    let id = |text| CentralId::new(text).unwrap();
    LegacyPeer::new(id("central-9"), SiteZone::default(), Dialect::V1, Vec::new(), None, 0)
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
    let first = [peer.heard(line(3), NOW_MS), peer.ask(5)].concat();
    assert!(
        matches!(first.as_slice(), [LegacyOutput::Send(answer), LegacyOutput::Send(asked)]
        if answer.contains("SYNC_RESPONSE") && asked.contains(r#""since_timestamp":0"#)),
        "{first:?}"
    );
    let answered = peer.heard(line(4), NOW_MS);
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
    let mut again = LegacyPeer::new(id("central-9"), zone, Dialect::V1, Vec::new(), Some(peer), 0);
    let asked = again.ask(5);
    assert!(matches!(asked.as_slice(), [LegacyOutput::Send(text)] if text.contains(&since.to_string())), "{asked:?}");
}

/// An old machine whose clock is left on UTC: every car would get seven hours too many.
#[test]
fn what_is_said_by_another_clock_than_the_settings_say_is_not_taken_until_they_are_right() {
    let entry = line(0).replace("2024-12-02 19:00:00", "2024-12-02 12:00:00");
    let rows =
        line(4).replace("2024-12-02 19:0", "2024-12-02 12:0").replace("2024-12-02 20:31:00", "2024-12-02 13:31:00");
    let heard = |outputs: &[LegacyOutput]| outputs.iter().any(|o| matches!(o, LegacyOutput::Hear(_)));
    for said in [&entry, &rows] {
        let mut peer = peer();
        let outputs = peer.heard(said, NOW_MS);
        assert!(
            matches!(outputs.as_slice(), [LegacyOutput::Unusable(text)] if text.contains("-7 h off") && text.contains("time_zone")),
            "{outputs:?}"
        );
        assert!(peer.has_another_clock());
        assert_eq!(peer.next_read(&have(&[("central-9/00000000000000aa", 3)])), None, "its times would be wrong, too");
        let utc = SiteZone::named("UTC").unwrap();
        let mut right = LegacyPeer::new(CentralId::new("central-9").unwrap(), utc, Dialect::V1, Vec::new(), None, 0);
        assert!(heard(&right.heard(said, NOW_MS)) && !right.has_another_clock());
        // Its clock was set right.
        assert!(heard(&peer.heard(line(0), NOW_MS)) && !peer.has_another_clock());
    }
}

/// Its edge programs report exits that it tells nobody.
#[test]
fn it_is_asked_again_and_again_and_what_it_said_before_is_not_heard_again() {
    let mut peer = peer();
    let asked = |outputs: &[LegacyOutput]| -> Vec<i64> {
        let texts = outputs.iter().filter_map(|output| match output {
            LegacyOutput::Send(text) if text.contains("SYNC_REQUEST") => Some(text),
            _ => None,
        });
        let since = |text: &String| {
            let frame: serde_json::Value = serde_json::from_str(text).unwrap();
            frame["data"]["since_timestamp"].as_i64().unwrap()
        };
        texts.map(since).collect()
    };
    let heard = |outputs: &[LegacyOutput]| outputs.iter().filter(|o| matches!(o, LegacyOutput::Hear(_))).count();
    assert_eq!(asked(&peer.ask(5)), [0]);
    assert_eq!(heard(&peer.heard(line(4), NOW_MS)), 2);
    assert!(asked(&peer.tick(ASK_AGAIN_MS - 1, 5)).is_empty());
    let oldest_inside = SiteZone::default().parse_local_text("2024-12-02 12:01:00").unwrap();
    assert_eq!(asked(&peer.tick(ASK_AGAIN_MS, 5)), [oldest_inside]);
    assert_eq!(heard(&peer.heard(line(4), NOW_MS)), 0, "the same rows");
    let left = line(4).replace(
        r#""fee":0,"status":"IN""#,
        r#""fee":5,"status":"OUT","exit_time":"2024-12-02 20:00:00","exit_camera_id":1"#,
    );
    assert_eq!(heard(&peer.heard(&left, NOW_MS)), 2, "the entry and the exit of the row that changed");
    assert!(asked(&peer.tick(2 * ASK_AGAIN_MS, 5)).is_empty(), "later, the more rows it told");
    let newest = SiteZone::default().parse_local_text("2024-12-02 12:01:00").unwrap();
    assert_eq!(asked(&peer.tick(2 * ASK_AGAIN_MS + 2 * ASK_AGAIN_MS_PER_ROW, 5)), [newest]);
}

#[test]
fn an_answer_that_is_full_is_followed_page_by_page() {
    let mut peer = peer();
    let page = |day: usize| {
        let row = |n: usize| {
            let id = day * ANSWER_ROWS + n;
            serde_json::json!({"id": id, "event_id": format!("central-1_{id}_29A12345"), "plate_id": "29A12345",
                "entry_time": format!("2024-12-0{day} 19:00:00"), "status": "IN", "created_at": format!("2024-12-0{day} 12:00:00")})
        };
        let events: Vec<_> = (0..ANSWER_ROWS).map(row).collect();
        serde_json::json!({"type": "SYNC_RESPONSE", "source_central": "central-1", "timestamp": 1, "event_id": null,
            "data": {"events": events}})
        .to_string()
    };
    let zone = SiteZone::default();
    let goes_on = |outputs: &[LegacyOutput], from: &str| {
        let since = zone.parse_local_text(from).unwrap().to_string();
        matches!(outputs.last(), Some(LegacyOutput::Send(text)) if text.contains(&since))
    };
    peer.ask(5);
    assert!(goes_on(&peer.heard(&page(2), NOW_MS), "2024-12-02 12:00:00"));
    assert!(goes_on(&peer.heard(&page(3), NOW_MS), "2024-12-03 12:00:00"));
    assert!(!peer.heard(&page(3), NOW_MS).iter().any(|o| matches!(o, LegacyOutput::Send(_))), "it leads nowhere");
    // Later it begins at the oldest car inside, and takes a page at a time.
    let again = ASK_AGAIN_MS + ASK_AGAIN_MS_PER_ROW * ANSWER_ROWS as u64;
    assert!(goes_on(&peer.tick(ASK_AGAIN_MS, 5)[..1], "2024-12-02 12:00:00"));
    assert!(!peer.heard(&page(3), NOW_MS).iter().any(|o| matches!(o, LegacyOutput::Send(_))), "not at once");
    assert!(goes_on(&peer.tick(ASK_AGAIN_MS + again, 5)[..1], "2024-12-03 12:00:00"));
}

#[test]
fn edits_are_of_the_stay_whose_row_it_told() {
    let mut peer = peer();
    let update = |row: i64| {
        format!(
            r#"{{"type":"HISTORY_UPDATE","source_central":"central-1","timestamp":1,"event_id":null,"data":{{"history_id":{row},"plate_text":"29A12346","plate_view":"29A-123.46"}}}}"#
        )
    };
    assert!(matches!(peer.heard(&update(7), NOW_MS).as_slice(), [LegacyOutput::Unusable(_)]));
    peer.heard(line(4), NOW_MS);
    let changed = peer.heard(&update(7), NOW_MS);
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
        |stay_id: &str| ToTell::Change(RowChange { stay_id: stay_id.into(), corrected: None, written_after: None });
    let read = || vec![ToTell::Frame("first".into()), change(known), ToTell::Frame("later".into())];
    let outputs = peer.events_read(&log, 0, read(), (0, 5));
    assert!(
        matches!(outputs.as_slice(), [LegacyOutput::Send(first), LegacyOutput::Send(asked)]
        if first == "first" && asked.contains(r#""since_timestamp":0"#)),
        "{outputs:?}"
    );
    let have = have(&[("central-9/00000000000000aa", 3)]);
    assert_eq!(peer.next_read(&have), None, "nothing overtakes the change");
    peer.heard(line(4), NOW_MS);
    assert_eq!(peer.next_read(&have).map(|(_, after, _)| after), Some(1));
    let outputs = peer.events_read(&log, 1, read().split_off(1), (0, 5));
    assert!(
        matches!(outputs.as_slice(), [LegacyOutput::Send(change), LegacyOutput::Send(later)]
        if change.contains("HISTORY_DELETE") && change.contains(r#""history_id":7"#) && later == "later"),
        "{outputs:?}"
    );
    // A stay it has no row of.
    peer.events_read(&log, 3, vec![change("elsewhere")], (0, 5));
    peer.heard(line(4), NOW_MS);
    let outputs = peer.events_read(&log, 3, vec![change("elsewhere")], (0, 5));
    assert!(matches!(outputs.as_slice(), [LegacyOutput::Unusable(_)]), "{outputs:?}");
    assert_eq!(peer.next_read(&have), None, "and it goes on");
}

#[test]
fn what_is_said_of_the_future_is_not_taken_for_our_clock_would_follow() {
    let mut peer = peer();
    let entry = line(0).replace("2024-12-02 19", "2031-12-02 19");
    for said in [
        entry.clone(),
        entry.replace("1733140800123", "1953892800000"),
        line(4).replace("2024-12-02 19:01", "2031-12-02 19:01"),
    ] {
        let heard = peer.heard(&said, NOW_MS);
        let refused =
            |o: &&LegacyOutput| matches!(o, LegacyOutput::Unusable(text) if text.contains("lies in the future"));
        assert_eq!(heard.iter().filter(refused).count(), 1, "{heard:?}");
    }
}

/// The first revision tells nobody of an edit; its rows show it.
#[test]
fn a_row_whose_plate_is_another_than_it_was_was_edited() {
    let mut peer = peer();
    peer.heard(line(4), NOW_MS);
    let edited = line(4).replace(
        "\"plate_id\":\"30E99999\",\"plate_view\":\"30E99999\"",
        "\"plate_id\":\"30E99990\",\"plate_view\":\"30E99990\"",
    );
    let heard = peer.heard(&edited, NOW_MS);
    assert!(
        matches!(&heard[0], LegacyOutput::Change { stay_id, corrected: Some((plate, _)) }
            if stay_id.ends_with("30E99999") && plate.as_str() == "30E99990"),
        "{heard:?}"
    );
}

#[test]
fn what_means_nothing_here_is_said() {
    let mut peer = peer();
    let moved = r#"{"type":"LOCATION_UPDATE","source_central":"central-1","timestamp":1,"event_id":null,"data":{}}"#;
    let heard = peer.heard(moved, NOW_MS);
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
    let frames = (0..BURST).map(|number| ToTell::Frame(number.to_string())).collect();
    assert_eq!(peer.events_read(&log, 0, frames, (0, 0)).len(), BURST as usize);
    assert_eq!(peer.next_read(&have), None, "its gates are served meanwhile");
    peer.tick(100, 0);
    assert_eq!(peer.next_read(&have).map(|(_, after, most)| (after, most)), Some((50, 20)));
    peer.events_read(&log, 50, vec![ToTell::Nothing; 50], (100, 0));
    assert_eq!(peer.next_read(&have), None, "nothing of what others wrote");
    peer.set_relays(true);
    // What one of ours wrote in its place, too: it came back and knows nothing of it.
    for (central, events) in [("central-1", 5), ("central-5", 7)] {
        peer.tick(1_000, 0);
        let (log, after, _) = peer.next_read(&have).unwrap();
        assert_eq!((log.central.as_str(), after), (central, 0));
        peer.events_read(&log, 0, vec![ToTell::Nothing; events], (1_000, 0));
    }
    assert_eq!(peer.next_read(&have), None);
}

#[test]
fn what_was_sent_is_told_once_the_link_has_lived_a_minute_longer() {
    let mut peer = peer();
    let log: LogId = "central-9/00000000000000aa".parse().unwrap();
    peer.events_read(&log, 0, vec![ToTell::Nothing], (1_000, 0));
    peer.events_read(&log, 1, vec![ToTell::Nothing], (2_000, 0));
    assert_eq!(peer.alive(TOLD_AFTER_MS + 999), None);
    assert_eq!(peer.alive(TOLD_AFTER_MS + 1_000), Some(LegacyOutput::Told(vec![(log.clone(), 1)])));
    assert_eq!(peer.alive(TOLD_AFTER_MS + 9_000), Some(LegacyOutput::Told(vec![(log, 2)])));
}

#[test]
fn it_says_that_it_lives_and_noise_is_only_noted() {
    let mut peer = peer();
    let sent = |peer: &mut LegacyPeer, now_ms, kind: &str| {
        peer.tick(now_ms, 0)
            .iter()
            .filter(|output| matches!(output, LegacyOutput::Send(text) if text.contains(kind)))
            .count()
    };
    assert_eq!((sent(&mut peer, HEARTBEAT_MS - 1, "HEARTBEAT"), sent(&mut peer, HEARTBEAT_MS, "HEARTBEAT")), (0, 1));
    for noise in ["", "{", "[]", "{\"type\":5}"] {
        assert!(matches!(peer.heard(noise, 0).as_slice(), [LegacyOutput::Unusable(_), ..]), "{noise}");
    }
}
