//! What is written is read back, and what is not a frame is refused without a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::frame::{Encoder, FrameError, run_body, *};
use super::{MAX_FRAME_BYTES, MAX_HAVE_BYTES};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::replication::log::{ChainHash, Head, Run};
use crate::trust::site::{SiteId, SiteMark};

fn encoder() -> Encoder {
    Encoder::new("central-1".parse().unwrap())
}

fn central() -> impl Strategy<Value = CentralId> {
    "[A-Za-z0-9][A-Za-z0-9.-]{0,62}".prop_map(|text| text.parse().unwrap())
}

fn log() -> impl Strategy<Value = LogId> {
    (central(), any::<u64>()).prop_map(|(central, epoch)| LogId { central, epoch: Epoch(epoch) })
}

fn hash() -> impl Strategy<Value = ChainHash> {
    any::<[u8; 32]>().prop_map(ChainHash)
}

fn head() -> impl Strategy<Value = Head> {
    (any::<u64>(), hash()).prop_map(|(to, hash)| Head { to, hash })
}

/// Events as authors may write them: any JSON object, with any spacing inside.
fn event() -> impl Strategy<Value = String> {
    (any::<String>(), any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()), " {0,3}").prop_map(
        |(text, number, space)| format!("{{{space}\"b\":{},{space}\"a\" :{number:e}}}", serde_json::json!(text)),
    )
}

fn run() -> impl Strategy<Value = Run> {
    (log(), 0..u64::MAX / 2, hash(), prop::collection::vec(event(), 1..8), hash()).prop_map(
        |(log, after, prev, events, hash)| {
            let events = events.iter().map(|event| event.as_str().into()).collect();
            Run { log, after, prev, events, hash }
        },
    )
}

fn frame() -> impl Strategy<Value = Frame> {
    let listens = prop::option::of((".*", any::<u16>()).prop_map(|(ip, p2p_port)| Listens { ip, p2p_port }));
    let who = (any::<(u32, u32)>(), central(), any::<u64>(), any::<i64>());
    let start = prop::option::of((any::<u64>(), prop::collection::vec(any::<u64>().prop_map(Instance), 0..3)))
        .prop_map(|start| start.map(|(number, earlier)| Start { number, earlier }));
    let hello = (who, prop::collection::vec(".*", 0..3), listens, start);
    let hello = hello.prop_map(|(((min, max), central, instance, wall_ms), capabilities, listens, start)| {
        let (versions, instance) = (Versions { min, max }, Instance(instance));
        let site = (wall_ms % 2 == 0).then(|| SiteMark { id: SiteId(wall_ms.unsigned_abs()), firm: wall_ms % 4 == 0 });
        Frame::Hello(Hello { versions, capabilities, central, instance, wall_ms, listens, start, site })
    });
    let digests =
        prop::collection::btree_map(any::<u8>().prop_map(Bucket), any::<u64>().prop_map(BucketDigest), 0..256);
    let request = (any::<u64>(), log(), any::<u64>(), hash())
        .prop_map(|(sub, log, after, hash)| Frame::SyncRequest(SyncRequest { sub, log, after, hash }));
    let refusal = prop_oneof![Just(SyncRefusal::NotHeld), Just(SyncRefusal::Diverged)];
    let refused = (any::<u64>(), log(), refusal, head())
        .prop_map(|(sub, log, refusal, held)| Frame::SyncRefused(SyncRefused { sub, log, refusal, held }));
    let heartbeat =
        (any::<i64>(), prop::collection::vec(central(), 0..4), prop::collection::btree_map(".*", ".*", 0..3)).prop_map(
            |(wall_ms, links, digests)| {
                let key = Fingerprint::of_certificate(&wall_ms.to_be_bytes());
                let keys = links.iter().map(|central| (central.clone(), vec![key])).collect();
                Frame::Heartbeat(Beat { wall_ms, links, digests, keys })
            },
        );
    prop_oneof![
        hello,
        digests.prop_map(Frame::HaveDigests),
        prop::collection::btree_map(log(), head(), 0..20).prop_map(Frame::HaveLogs),
        request,
        (any::<u64>(), run()).prop_map(|(sub, run)| Frame::SyncRun { sub, run }),
        refused,
        (any::<u64>(), head()).prop_map(|(sub, head)| Frame::SyncAck { sub, head }),
        any::<u64>().prop_map(|sub| Frame::SyncStop { sub }),
        heartbeat,
        (".*", prop::option::of(prop::collection::vec(any::<String>(), 0..4))).prop_map(|(digest, people)| {
            let people =
                people.map(|people| people.into_iter().map(|name| serde_json::json!({ "person": name })).collect());
            Frame::People(PeopleSaid { digest, people })
        }),
        (".*", ".*").prop_map(|(error, code)| Frame::Error(ErrorFrame { error, code })),
    ]
}

proptest! {
    #[test]
    fn every_frame_is_read_back_as_written(frame in frame(), wall_ms in any::<i64>()) {
        let text = encoder().encode(wall_ms, &frame);
        prop_assert_eq!(Frame::parse(&text).unwrap(), frame);
    }

    #[test]
    fn every_frame_has_the_documented_envelope(frame in frame(), wall_ms in any::<i64>()) {
        let envelope: serde_json::Value = serde_json::from_str(&encoder().encode(wall_ms, &frame)).unwrap();
        let keys: Vec<&str> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
        prop_assert_eq!(keys, ["data", "event_id", "source_central", "timestamp", "type"]);
        prop_assert!(envelope["event_id"].is_null() && envelope["data"].is_object());
        prop_assert_eq!(envelope["timestamp"].as_i64(), Some(wall_ms));
    }

    #[test]
    fn a_shared_body_gives_the_same_frame_on_every_link(run in run(), sub in any::<u64>(), wall_ms in any::<i64>()) {
        let shared = encoder().encode_run(wall_ms, sub, &run_body(&run));
        prop_assert_eq!(shared, encoder().encode(wall_ms, &Frame::SyncRun { sub, run }));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        let _ = Frame::parse(&text);
    }

    #[test]
    fn a_frame_damaged_anywhere_is_read_or_refused(frame in frame(), at in any::<prop::sample::Index>(), by in any::<char>()) {
        let mut characters: Vec<char> = encoder().encode(0, &frame).chars().collect();
        let at = at.index(characters.len());
        characters[at] = by;
        let _ = Frame::parse(&characters.iter().collect::<String>());
        characters.truncate(at);
        prop_assert!(Frame::parse(&characters.into_iter().collect::<String>()).is_err());
    }

    #[test]
    fn a_long_list_is_told_in_small_frames_that_together_say_all(
        heads in prop::collection::btree_map(log(), head(), 0..600)
    ) {
        let mut told = BTreeMap::new();
        for text in encoder().encode_have(0, heads.clone()) {
            prop_assert!(text.len() <= MAX_HAVE_BYTES);
            let Frame::HaveLogs(part) = Frame::parse(&text).unwrap() else { panic!("not a HAVE") };
            told.extend(part);
        }
        prop_assert_eq!(told, heads);
    }
}

#[test]
fn the_frames_look_as_documented() {
    let log: LogId = "central-1/9f86d081884c7d65".parse().unwrap();
    let zero = ChainHash([0; 32]);
    let zeros = "0".repeat(64);
    let run = Run { log: log.clone(), after: 4, prev: zero, events: vec![r#"{"seq": 5}"#.into()], hash: zero };
    let cases = [
        (Frame::SyncStop { sub: 7 }, r#"{"type":"SYNC_STOP","source_central":"central-1","timestamp":5,"event_id":null,"data":{"sub":7}}"#.to_owned()),
        (Frame::SyncAck { sub: 7, head: Head { to: 5, hash: zero } }, format!(r#"{{"type":"SYNC_ACK","source_central":"central-1","timestamp":5,"event_id":null,"data":{{"sub":7,"to":5,"hash":"{zeros}"}}}}"#)),
        (Frame::SyncRun { sub: 7, run }, format!(r#"{{"type":"SYNC_RESPONSE","source_central":"central-1","timestamp":5,"event_id":null,"data":{{"sub":7,"log":"central-1/9f86d081884c7d65","after":4,"prev":"{zeros}","hash":"{zeros}","events":[{{"seq": 5}}]}}}}"#)),
        (Frame::HaveDigests(BTreeMap::from([(Bucket(0x9f), BucketDigest(1))])), r#"{"type":"HAVE","source_central":"central-1","timestamp":5,"event_id":null,"data":{"digests":{"9f":"0000000000000001"}}}"#.to_owned()),
        (Frame::SyncRefused(SyncRefused { sub: 7, log, refusal: SyncRefusal::NotHeld, held: Head { to: 3, hash: zero } }), format!(r#"{{"type":"SYNC_RESPONSE","source_central":"central-1","timestamp":5,"event_id":null,"data":{{"sub":7,"log":"central-1/9f86d081884c7d65","refused":"not_held","to":3,"hash":"{zeros}"}}}}"#)),
    ];
    for (frame, text) in cases {
        assert_eq!(encoder().encode(5, &frame), text);
    }
}

#[test]
fn events_keep_their_exact_bytes() {
    let odd = "{ \"z\" : 1.0e+2,\t\"a\":\"\\u0041\", \"n\": 12345678901234567890123 }";
    let log: LogId = "c/0000000000000001".parse().unwrap();
    let run = Run { log, after: 0, prev: ChainHash([1; 32]), events: vec![odd.into()], hash: ChainHash([2; 32]) };
    let text = encoder().encode(0, &Frame::SyncRun { sub: 1, run });
    let Frame::SyncRun { run, .. } = Frame::parse(&text).unwrap() else { panic!("not a run") };
    assert_eq!(&*run.events[0], odd);
}

#[test]
fn what_is_not_a_frame_is_refused_with_the_reason() {
    let data = |type_name: &str, data: &str| {
        format!(r#"{{"type":"{type_name}","source_central":"c1","timestamp":1,"event_id":null,"data":{data}}}"#)
    };
    let deep = "[".repeat(200_000);
    let refused = [
        String::new(),
        "null".into(),
        "[]".into(),
        r#"["SYNC_STOP","c1",1,{"sub":1}]"#.into(),
        r#"{"type":"SYNC_STOP","source_central":"c_1","timestamp":1,"data":{"sub":1}}"#.into(),
        r#"{"type":"SYNC_STOP","source_central":"c1","data":{"sub":1}}"#.into(),
        data("SYNC_STOP", r#"{"sub":"1"}"#),
        data("SYNC_STOP", r#"{"sub":-1}"#),
        data("SYNC_STOP", r#"{"sub":1.5}"#),
        data("SYNC_STOP", "[1]"),
        data("SYNC_STOP", "null"),
        data("SYNC_RESPONSE", r#"{"sub":1,"log":"c1/0000000000000001","after":0,"events":[]}"#),
        data(
            "SYNC_RESPONSE",
            &format!(
                r#"{{"sub":1,"log":"c1/0000000000000001","after":0,"prev":"{0}","hash":"{0}","events":[]}}"#,
                "0".repeat(64)
            ),
        ),
        data(
            "SYNC_RESPONSE",
            &format!(
                r#"{{"sub":1,"log":"c1/0000000000000001","after":18446744073709551615,"prev":"{0}","hash":"{0}","events":[{{}}]}}"#,
                "0".repeat(64)
            ),
        ),
        data("HAVE", "{}"),
        data("HAVE", r#"{"digests":{},"logs":{}}"#),
        data("HAVE", r#"{"digests":{"9":"00"}}"#),
        data("HAVE", r#"{"logs":{"nobody":{}}}"#),
        data("HELLO", r#"{"versions":{"min":1,"max":1}}"#),
        data("SYNC_STOP", &deep),
        format!("{}{deep}", data("SYNC_STOP", r#"{"sub":1}"#)),
    ];
    for text in refused {
        assert!(Frame::parse(&text).is_err(), "{}", text.chars().take(200).collect::<String>());
    }
    let large = data("SYNC_STOP", &format!(r#"{{"sub":1,"pad":"{}"}}"#, "x".repeat(MAX_FRAME_BYTES)));
    assert_eq!(Frame::parse(&large), Err(FrameError::TooLarge(large.len())));
}

#[test]
fn what_a_newer_version_adds_is_ignored() {
    let text =
        r#"{"new":1,"type":"SYNC_STOP","source_central":"c1","timestamp":1,"event_id":null,"data":{"sub":1,"why":[]}}"#;
    assert_eq!(Frame::parse(text), Ok(Frame::SyncStop { sub: 1 }));
    let text = r#"{"type":"MEMBERS","source_central":"c1","timestamp":1,"event_id":null,"data":{"a":1}}"#;
    assert_eq!(Frame::parse(text), Ok(Frame::Unknown { type_name: "MEMBERS".into() }));
}
