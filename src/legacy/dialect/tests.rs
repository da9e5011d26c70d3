//! Against the golden files of both dialects, which are read for ever.

use serde_json::Value;

use super::super::dialect;
use super::Dialect;
use super::hear::{Heard, Row, Statement, read};
use crate::domain::event::{Body, Event};
use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;

const V1: &str = include_str!("../../../tests/golden/legacy/v1.jsonl");
const V2: &str = include_str!("../../../tests/golden/legacy/v2.jsonl");
/// 2024-12-02 19:00:00 at the site.
const ENTRY_MS: i64 = 1_733_140_800_000;

fn said(golden: &str, line: usize) -> Heard {
    read(golden.lines().nth(line).unwrap(), &SiteZone::default()).unwrap().1
}

fn passed(golden: &str, line: usize) -> Statement {
    match said(golden, line) {
        Heard::Passed(Ok(statement)) => *statement,
        other => panic!("{other:?}"),
    }
}

/// The event a central of ours makes of a statement.
fn event_of(statement: &Statement) -> Event {
    let log = "central-9/00000000000000aa".parse().unwrap();
    let bytes = statement.draft.encode_heard(&log, 1, &statement.source_central, "old").unwrap();
    Event::parse(&bytes).unwrap()
}

#[test]
fn entries_and_exits_of_both_are_read_with_the_time_they_claim() {
    for (golden, edges) in [(V1, ["edge-1", "edge-8"]), (V2, ["1", "2"])] {
        let first = usize::from(golden == V2);
        let entry = passed(golden, first);
        let Body::Entry(body) = &entry.draft.body else { panic!("an entry") };
        assert_eq!(
            (body.plate_id.as_str(), body.edge_id.as_str(), body.camera_type.as_str()),
            ("29A12345", edges[0], "")
        );
        assert_eq!((entry.draft.timestamp_ms, entry.draft.hlc.ms()), (ENTRY_MS, ENTRY_MS));
        let exit = passed(golden, first + 1);
        let Body::Exit(body) = &exit.draft.body else { panic!("an exit") };
        assert_eq!((body.fee.0, body.exit_edge.as_str()), (50_000, edges[1]));
        assert_eq!(exit.draft.event_id, entry.draft.event_id);
        assert_eq!(body.plate_id.is_some(), golden == V2);
    }
}

/// The second revision gives an exit an id of its own.
#[test]
fn an_exit_by_plate_is_the_last_that_happened_in_its_second() {
    let exit = passed(V2, 7);
    assert_eq!(exit.draft.event_id.as_deref(), Some("edge-2_1733146260000_29A12345"));
    assert_eq!(event_of(&exit).recorded_plate().map(|plate| plate.as_str()), Some("29A12345"));
    assert_eq!(exit.draft.hlc.ms(), exit.draft.timestamp_ms + 999);
}

#[test]
fn a_row_says_what_the_messages_about_it_said() {
    let Heard::SyncResponse(rows) = said(V1, 4) else { panic!("an answer") };
    let Row { row_id, statements, is_inside, created_at, .. } = &rows[0];
    assert_eq!((*row_id, *is_inside, created_at.as_deref()), (Some(7), false, Some("2024-12-02 12:00:00")));
    let statements = statements.as_ref().unwrap();
    assert_eq!(event_of(&statements[0]).fact_id(), event_of(&passed(V1, 0)).fact_id(), "one fact, however it was told");
    let Body::Exit(exit) = &statements[1].draft.body else { panic!("an exit") };
    assert_eq!((exit.exit_central.as_str(), exit.exit_edge.as_str()), ("central-2", "edge-8"));
    assert!(rows[1].is_inside && rows[1].statements.as_ref().unwrap().len() == 1);
}

/// Its row says so when the car has left, and what was paid.
#[test]
fn what_says_that_no_plate_was_read_is_nobody_inside() {
    for (golden, lines) in [(V1, [0, 4]), (V2, [1, 7])] {
        for line in lines {
            let unread =
                golden.lines().nth(line).unwrap().replace("29A12345", "UNKNOWN").replace("29A-123.45", "UNKNOWN");
            let said = |text: &str| read(text, &SiteZone::default()).unwrap().1;
            match said(&unread) {
                Heard::SyncResponse(rows) => {
                    assert!(rows[0].statements.is_ok(), "it has left: {:?}", rows[0]);
                    let inside = unread.replace("30E99999", "NOPLATE");
                    let Heard::SyncResponse(rows) = said(&inside) else { panic!("rows") };
                    let why = rows.iter().find(|row| row.is_inside).unwrap().statements.clone().unwrap_err();
                    assert!(why.contains("no plate was read"), "{why}");
                }
                Heard::Passed(said) => {
                    let why = said.unwrap_err();
                    assert!(why.contains("no plate was read"), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_car_that_no_gate_saw_is_marked() {
    for (set, marked) in [("true", true), ("1", true), ("false", false), ("0", false), ("null", false)] {
        let line = V1.lines().next().unwrap().replace(r#""data":{"#, &format!(r#""data":{{"is_anomaly":{set},"#));
        let Heard::Passed(Ok(said)) = read(&line, &SiteZone::default()).unwrap().1 else { panic!("{line}") };
        let Body::Entry(entry) = said.draft.body else { panic!("an entry") };
        assert_eq!(!entry.doubts.is_empty(), marked, "{set}");
    }
}

#[test]
fn everything_else_is_told_apart() {
    assert_eq!(said(V1, 2), Heard::Heartbeat);
    assert_eq!(said(V1, 3), Heard::SyncRequest);
    assert_eq!(said(V1, 5), Heard::Error("Invalid message type: HELLO".into()));
    assert_eq!(said(V2, 0), Heard::PeerId("central-2".into()));
    assert!(matches!(said(V2, 3), Heard::HistoryUpdate { row_id: 7, .. }));
    assert!(matches!(said(V2, 4), Heard::HistoryDelete { row_id: 7, .. }));
    assert_eq!(said(V2, 5), Heard::Ignored("LOCATION_UPDATE".into()));
    assert_eq!(said(V2, 6), Heard::Ignored("PARKING_LOT_CONFIG".into()));
    assert_eq!(
        read(r#"{"type":"HELLO","source_central":"c","timestamp":1,"data":{}}"#, &SiteZone::default()).unwrap().1,
        Heard::Hello
    );
}

#[test]
fn what_is_told_is_what_they_would_have_said() {
    let zone = SiteZone::default();
    for (golden, dialect) in [(V1, Dialect::V1), (V2, Dialect::V2)] {
        let first = usize::from(golden == V2);
        for line in [first, first + 1] {
            let theirs: Value = serde_json::from_str(golden.lines().nth(line).unwrap()).unwrap();
            let ours: Value =
                serde_json::from_str(&dialect::tell_event(&event_of(&passed(golden, line)), dialect, &zone).unwrap())
                    .unwrap();
            assert_eq!((&ours["type"], &ours["event_id"]), (&theirs["type"], &theirs["event_id"]));
            for (name, value) in theirs["data"].as_object().unwrap() {
                // Which lane it was is not a thing we know of.
                assert!(name == "camera_type" || ours["data"][name] == *value, "{name}: {ours} {theirs}");
            }
        }
    }
    let own = CentralId::new("central-9").unwrap();
    assert_eq!(dialect::tell_peer_id(&own), r#"{"peer_id":"central-9"}"#);
    for text in [
        dialect::tell_heartbeat(&own, 5),
        dialect::tell_sync_request(&own, 5, None, &zone),
        dialect::tell_sync_response(&own, 5),
    ] {
        let frame: Value = serde_json::from_str(&text).unwrap();
        let keys = ["type", "source_central", "timestamp", "event_id", "data"];
        assert!(keys.iter().all(|key| frame.get(key).is_some()), "all five keys are always there: {text}");
    }
}

#[test]
fn a_page_is_asked_for_by_what_their_clock_shows() {
    let (own, zone) = (CentralId::new("central-9").unwrap(), SiteZone::default());
    let asked: Value =
        serde_json::from_str(&dialect::tell_sync_request(&own, 5, Some("2024-12-02 12:00:00"), &zone)).unwrap();
    let since = asked["data"]["since_timestamp"].as_i64().unwrap();
    assert_eq!(zone.local_text(since), "2024-12-02 12:00:00", "they compare this text with created_at");
}

#[test]
fn nonsense_is_refused_with_the_reason_and_panics_nobody() {
    let zone = SiteZone::default();
    for text in ["", "{", "[]", "5", "{}", r#"{"peer_id":5}"#, r#"{"type":"HISTORY_UPDATE","data":{}}"#] {
        assert!(read(text, &zone).is_err(), "{text}");
    }
    for (data, id) in [
        (r#"{"plate_id":"?","entry_time":"2024-12-02 19:00:00"}"#, r#""x""#),
        (r#"{"plate_id":"29A12345"}"#, r#""x""#),
        (r#"{"plate_id":"29A12345","entry_time":"hôm qua"}"#, r#""x""#),
        (r#"{"plate_id":"29A12345","entry_time":"1950-12-02 19:00:00"}"#, r#""x""#),
        (r#"{"plate_id":"29A12345","entry_time":"2024-12-02 19:00:00"}"#, "null"),
        ("5", r#""x""#),
    ] {
        let text = format!(
            r#"{{"type":"VEHICLE_ENTRY_PENDING","source_central":"c","timestamp":1,"event_id":{id},"data":{data}}}"#
        );
        assert!(matches!(read(&text, &zone), Ok((_, Heard::Passed(Err(_))))), "{text}");
    }
}

/// Of a fee that cannot be read the car has left all the same.
#[test]
fn an_exit_is_heard_whatever_its_fee_is() {
    for (fee, kept, doubted) in [
        ("25000", 25_000, false),
        (r#""25000""#, 25_000, false),
        (r#""25.000 đ""#, 25_000, false),
        ("25000.5", 25_000, false),
        ("0", 0, false),
        ("null", 0, true),
        ("-1", 0, true),
        ("1e300", 0, true),
        (r#""nhiều""#, 0, true),
        ("{}", 0, true),
    ] {
        let text = format!(
            r#"{{"type":"VEHICLE_EXIT","source_central":"c","timestamp":1,"event_id":"x","data":{{"exit_time":"2024-12-02 19:00:00","fee":{fee}}}}}"#
        );
        let Ok((_, Heard::Passed(Ok(passed)))) = read(&text, &SiteZone::default()) else { panic!("{text}") };
        let Body::Exit(exit) = passed.draft.body else { panic!("{text}") };
        assert_eq!((exit.fee.0, !exit.doubts.is_empty()), (kept, doubted), "{text}");
    }
}
