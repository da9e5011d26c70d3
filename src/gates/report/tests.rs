use serde_json::json;

use super::*;

fn job(event: Value) -> Result<Job, Refusal> {
    let gate = |edge_id: &str| GateSettings {
        lane: (edge_id == "7").then_some(Direction::Exit),
        vehicle_type: if edge_id == "8" { "moto".into() } else { String::new() },
    };
    EventReport::read(&event)?.job(&SiteZone::default(), gate)
}

fn checked(event: Value) -> Result<Report, Refusal> {
    job(event).map(|job| match job {
        Job::Report(report) => report,
        other => panic!("{other:?}"),
    })
}

#[test]
fn what_both_revisions_send_is_understood() {
    let v1 = json!({"type": "ENTRY", "camera_id": 1, "camera_name": "Cổng vào", "camera_type": "ENTRY",
        "timestamp": 1_733_140_800.25, "data": {"plate_text": "29a-123.45", "confidence": 0.9, "source": "manual", "entry_id": 5}});
    let report = checked(v1).unwrap();
    assert_eq!((report.edge_id.as_str(), report.direction, report.plate.as_str()), ("1", Direction::Entry, "29A12345"));
    assert_eq!((report.told_ms, report.confidence), (Some(1_733_140_800_250), Some(0.9)));
    assert_eq!((report.camera_type.as_str(), report.plate_view.as_deref()), ("", Some("29a-123.45")));
    let v2 = json!({"type": "EXIT", "camera_id": 2, "camera_name": "Ra", "camera_type": "EXIT", "timestamp": 1_733_140_800,
        "event_id": "edge-2_1733140800000_29A12345",
        "data": {"plate_text": "29A12345", "plate_id": "29A12345", "entry_time": "2024-12-02 18:00:00", "duration": "1 giờ", "fee": 25000}});
    let report = checked(v2).unwrap();
    assert_eq!((report.direction, report.fee), (Direction::Exit, Some(Vnd(25_000))));
    assert_eq!(report.request_id.as_deref(), Some("edge-2_1733140800000_29A12345"));
}

#[test]
fn a_detection_is_what_the_lane_is() {
    let seen =
        |camera_id: i64| json!({"type": "DETECTION", "camera_id": camera_id, "data": {"plate_text": "29A12345"}});
    assert_eq!(checked(seen(1)).unwrap().direction, Direction::Entry);
    assert_eq!(checked(seen(7)).unwrap().direction, Direction::Exit);
}

#[test]
fn an_event_is_read_under_the_names_and_in_the_shapes_that_programs_use() {
    for event in [
        json!({"type": "Exit", "camera_id": 7, "data": {"plate": "29A-123.45"}}),
        json!({"type": "RA", "cameraId": "7", "plateNumber": "29A-123.45"}),
        json!({"event_type": "OUT", "edge_id": 7, "license_plate": "29A-123.45", "data": null}),
        json!({"type": "ANPR", "direction": "Out", "camera": "7", "data": {"licensePlate": "29A12345"}}),
        json!({"type": "DETECTION", "camera_id": 8, "direction": "RA", "data": {"plate_text": "29A12345"}}),
        json!({"type": "exit", "camera_id": 7, "data": "{\"plate_text\": \"29A12345\"}"}),
        json!({"type": "exit", "camera_id": 7, "data": [{"plate_text": "29A12345"}]}),
        json!({"type": "exit", "camera_id": 7, "data": {"results": [{"plate": "29a12345", "score": 0.9}]}}),
        json!({"type": "xe ra", "gate": "7", "biển số": "29A12345"}),
    ] {
        let report = checked(event.clone()).unwrap();
        assert_eq!((report.direction, report.plate.as_str()), (Direction::Exit, "29A12345"), "{event}");
        assert!(report.notes.is_empty(), "{event}: {:?}", report.notes);
    }
    let full = checked(json!({"type": "EXIT", "camera_id": 1, "plate": "29A12345", "time": "2024-12-02 19:00:00",
        "amount": "25.000", "vehicleType": "xe máy", "score": "96%", "uuid": "u-1"}));
    let full = full.unwrap();
    assert_eq!((full.told_ms, full.fee), (Some(1_733_140_800_000), Some(Vnd(25_000))));
    assert_eq!((full.camera_type.as_str(), full.confidence), ("xe máy", Some(0.96)));
    assert_eq!(full.request_id.as_deref(), Some("u-1"));
    // What has no known name is named.
    let Ok(Job::Unread(unread)) = job(json!({"type": "ENTRY", "camera_id": 1, "data": {"soBien": "29A12345"}})) else {
        panic!("no plate was told")
    };
    assert!(unread.notes[0].message.contains("soBien"), "{:?}", unread.notes);
    let assumed = checked(json!({"type": "DETECTION", "camera_id": 1, "data": {"plate_text": "29A12345"}})).unwrap();
    assert_eq!((assumed.direction, assumed.notes[0].code), (Direction::Entry, "assumed"));
}

#[test]
fn nothing_that_is_told_is_dropped_in_silence() {
    let noted = |event: Value| {
        let report = checked(event).unwrap();
        let noted: Vec<(String, &str)> = report.notes.into_iter().map(|note| (note.field, note.code)).collect();
        (report.told_ms, report.fee, noted)
    };
    let exit = |key: &str, value: Value| {
        let mut event = json!({"type": "EXIT", "camera_id": 1, "data": {"plate_text": "29A12345"}});
        event["data"][key] = value;
        event
    };
    for key in ["epoch_time", "snapTime", "trigger_time", "recognizeTime", "created_at", "unix", "exit_time"] {
        let (told_ms, _, notes) = noted(exit(key, json!(1_733_140_800)));
        assert_eq!((told_ms, notes), (Some(1_733_140_800_000), vec![]), "{key}");
    }
    for key in ["charge", "cost", "money", "paid_amount", "thành tiền", "parkingFee"] {
        let (_, fee, notes) = noted(exit(key, json!("25.000")));
        assert_eq!((fee, notes), (Some(Vnd(25_000)), vec![]), "{key}");
    }
    for key in ["utc", "startTime", "t", "price", "total", "giá", "number", "colour"] {
        let (told_ms, fee, notes) = noted(exit(key, json!(1_733_140_800)));
        assert_eq!((told_ms, fee, notes), (None, None, vec![(format!("data.{key}"), "not_read")]), "{key}");
    }
    // The first that says the time counts, wherever it stands.
    let mut both = exit("timestamp", json!(1_733_140_800));
    both["created_at"] = json!(1_733_140_900);
    assert_eq!(noted(both).0, Some(1_733_140_800_000));
    let mut many = exit("fee", json!(5_000));
    for number in 0..40 {
        many[format!("x{number}")] = json!(number);
    }
    assert_eq!(noted(many).2.len(), MOST_UNREAD_NOTES);
    let device = json!({"type": "EXIT", "data": {"plate_text": "29A12345", "deviceID": 3.0}});
    assert_eq!(checked(device).unwrap().edge_id, "3");
    let two = exit("plate", json!("30E-999.99"));
    assert_eq!(noted(two).2, [("data.plate".to_owned(), "differs")]);
    assert_eq!(noted(exit("plate_id", json!("29a-123.45"))).2, []);
}

#[test]
fn where_a_first_name_says_nothing_the_next_does() {
    let read = |data: Value| {
        let mut event = json!({"type": null, "event": "RA", "camera_id": 1, "data": data});
        if event["data"].get("plate_text").is_none() {
            event["data"]["plate_text"] = json!("30A00001");
        }
        let report = checked(event).unwrap();
        let noted: Vec<String> = report.notes.iter().map(|note| format!("{} {}", note.field, note.code)).collect();
        assert!(report.doubts.is_empty(), "{:?}", report.doubts);
        (report.plate.to_string(), report.camera_type, report.fee.map(|fee| fee.0), report.told_ms, noted)
    };
    let plate = || "30A00001".to_owned();
    let none = Vec::<String>::new;
    for (data, expected) in [
        (json!({"plate_text": "UNKNOWN", "plate": "30A-000.01"}), (plate(), "", None, None, none())),
        (json!({"plate_text": {"x": 1}, "bks": "30A-000.01"}), (plate(), "", None, None, none())),
        (
            json!({"plate_text": "30A0000?", "plate": "30A00001"}),
            (plate(), "", None, None, vec!["data.plate_text not_read".to_owned()]),
        ),
        (json!({"type": "MOTO"}), (plate(), "MOTO", None, None, none())),
        (json!({"type": "OUT", "vehicle_type": "MOTO"}), (plate(), "MOTO", None, None, none())),
        (json!({"vehicle_type": "unknown", "loai_xe": "xe máy"}), (plate(), "xe máy", None, None, none())),
        (json!({"vehicle_type": "unknown", "camera_type": "moto"}), (plate(), "moto", None, None, none())),
        (json!({"vehicle": {"color": "red"}, "loai_xe": "xe máy"}), (plate(), "xe máy", None, None, none())),
        (json!({"fee": null, "amount": " ", "tien": "30k"}), (plate(), "", Some(30_000), None, none())),
        (json!({"fee": "x", "tien": "30k"}), (plate(), "", Some(30_000), None, vec!["data.fee not_read".to_owned()])),
        (
            json!({"timestamp": "soon", "exit_time": 1_733_140_800}),
            (plate(), "", None, Some(1_733_140_800_000), vec!["data.timestamp not_read".to_owned()]),
        ),
    ] {
        let (plate, kind, fee, told_ms, noted) = expected;
        assert_eq!(read(data.clone()), (plate, kind.to_owned(), fee, told_ms, noted), "{data}");
    }
}

#[test]
fn of_two_that_say_otherwise_the_first_counts_and_the_other_is_said_and_shown() {
    let (money, time) = (vec![Anomaly::FeeUncertain], vec![Anomaly::TimeUncertain]);
    for (mut event, data, differing, doubts) in [
        (
            json!({"type": "EXIT", "timestamp": 1_733_140_800}),
            json!({"exit_time": 1_733_130_000}),
            vec!["data.exit_time"],
            &time,
        ),
        (
            json!({"type": "ENTRY", "timestamp": 1_733_140_800}),
            json!({"entry_time": 1_733_130_000}),
            vec!["data.entry_time"],
            &time,
        ),
        (
            json!({"type": "ENTRY", "timestamp": 1_733_140_800, "created_at": "2024-12-02 18:00:00"}),
            json!({}),
            vec!["created_at"],
            &time,
        ),
        (
            json!({"type": "DETECTION", "direction": "RA", "timestamp": 1_733_140_800}),
            json!({"entry_time": 1, "exit_time": 1_733_130_000}),
            vec!["data.exit_time"],
            &time,
        ),
        (json!({"type": "EXIT"}), json!({"fee": 0, "total_fee": 30_000}), vec!["data.total_fee"], &money),
        (
            json!({"type": "EXIT"}),
            json!({"fee": 25_000, "amount": "25k", "paid_amount": 30_000}),
            vec!["data.paid_amount"],
            &money,
        ),
        (json!({"type": "ENTRY"}), json!({"vehicle_type": "car", "loai_xe": "xe máy"}), vec!["data.loai_xe"], &money),
        (json!({"type": "ENTRY"}), json!({"vehicle_type": "car", "type": "MOTO"}), vec!["data.type"], &money),
        (json!({"type": "ENTRY", "direction": "OUT"}), json!({}), vec!["direction"], &money),
        (json!({"event": "IN", "lane": "OUT"}), json!({"huong": "RA"}), vec!["data.huong", "lane"], &money),
        (json!({"type": "DETECTION", "direction": "IN", "lane": "OUT"}), json!({}), vec!["lane"], &money),
        (json!({"type": "ENTRY"}), json!({"plate": "30A00002"}), vec!["data.plate"], &vec![]),
    ] {
        event["camera_id"] = json!(1);
        event["data"] = data;
        event["data"]["plate_text"] = json!("30A00001");
        let report = checked(event.clone()).unwrap();
        let mut noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        noted.sort_unstable();
        assert_eq!(noted, differing, "{event}");
        assert!(report.notes.iter().all(|note| note.code == "differs"), "{event}");
        assert_eq!(report.doubts.iter().copied().collect::<Vec<_>>(), *doubts, "{event}");
        assert_eq!(report.plate.as_str(), "30A00001");
        assert!(report.told_ms.is_none_or(|ms| ms == 1_733_140_800_000), "{event}");
    }
}

#[test]
fn what_is_told_twice_on_purpose_is_no_difference() {
    for event in [
        json!({"type": "ENTRY", "event_type": "IN", "direction": "vào", "lane": "Làn 1", "camera_type": "EXIT"}),
        json!({"type": "ANPR", "event": "Entry", "lane": "in"}),
        // The time of an entry beside that of the exit, a clock that is read twice, and what a database puts down in UTC.
        json!({"type": "EXIT", "timestamp": 1_733_140_800, "data": {"entry_time": "2024-12-02 13:00:00"}}),
        json!({"type": "ENTRY", "timestamp": 1_733_140_800.25, "data": {"entry_time": "2024-12-02 19:00:00"}}),
        json!({"type": "ENTRY", "timestamp": 1_733_140_800, "created_at": "2024-12-02 12:00:01"}),
        json!({"type": "EXIT", "data": {"fee": 25_000, "amount": "25.000 đ", "so_tien": "25k"}}),
        json!({"type": "EXIT", "data": {"vehicle_type": "MOTO", "loai_xe": "xe máy", "type": "moto"}}),
        json!({"type": "EXIT", "data": {"plate_id": "30a-000.01", "plate": "UNKNOWN"}}),
    ] {
        let mut told = event.clone();
        told["camera_id"] = json!(1);
        told["data"]["plate_text"] = json!("30A00001");
        let report = checked(told).unwrap();
        assert_eq!((report.notes, report.doubts), (vec![], BTreeSet::new()), "{event}");
    }
}

#[test]
fn what_nobody_saw_come_in_is_doubted() {
    for (event, noted) in [
        (json!({"type": "LOCATION_UPDATE", "data": {}}), vec![]),
        // When it was seen, and when it came in: both are so.
        (json!({"type": "LOCATION_UPDATE", "timestamp": 1_733_140_800, "data": {"entry_time": 1_733_130_000}}), vec![]),
        (json!({"type": "LOCATION_UPDATE", "data": {"is_anomaly": false}}), vec![]),
        (json!({"type": "LOCATION_UPDATE", "data": {"is_anomaly": true}}), vec!["data.is_anomaly"]),
        (json!({"type": "ENTRY", "data": {"is_anomaly": 1}}), vec!["data.is_anomaly"]),
    ] {
        let mut told = event.clone();
        told["camera_id"] = json!(1);
        told["data"]["plate_text"] = json!("30A00001");
        let report = checked(told).unwrap();
        let fields: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!((fields, report.doubts), (noted, BTreeSet::from([Anomaly::TimeUncertain])), "{event}");
    }
}

#[test]
fn a_gate_that_says_the_vehicle_in_place_of_what_happened_has_seen_one() {
    for (camera_id, direction) in [(1, Direction::Entry), (7, Direction::Exit)] {
        for told in ["truck", "Xe máy", "CAR"] {
            let event = json!({"type": told, "camera_id": camera_id, "data": {"plate_text": "29A12345"}});
            let report = checked(event).unwrap();
            assert_eq!((report.direction, report.camera_type.as_str()), (direction, told));
        }
    }
    assert!(checked(json!({"type": "spaceship", "camera_id": 1, "data": {"plate_text": "29A12345"}})).is_err());
    for (data, kept, noted) in [
        (json!({"vehicle_type": "spaceship"}), "spaceship", vec![]),
        (json!({"camera_type": "spaceship"}), "spaceship", vec![]),
        (json!({"vehicle_type": {"a": 1}}), "", vec!["data.vehicle_type"]),
        (json!({"camera_type": true}), "", vec!["data.camera_type"]),
    ] {
        let mut event = json!({"type": "ENTRY", "camera_id": 1, "data": data});
        event["data"]["plate_text"] = json!("29A12345");
        let report = checked(event).unwrap();
        let fields: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!((report.camera_type.as_str(), fields), (kept, noted), "{data}");
    }
}

#[test]
fn a_plate_is_shown_as_a_writing_of_itself() {
    for (told, shown) in [("51F-900.01", Some("51F-900.01")), ("30A-999.99", None), ("<b>51F90001</b>", None)] {
        let data = json!({"plate_text": "51F90001", "plate_view": told});
        let report = checked(json!({"type": "ENTRY", "camera_id": 1, "data": data})).unwrap();
        assert_eq!(report.plate_view.as_deref(), shown, "{told}");
        let noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!(noted, if shown.is_some() { vec![] } else { vec!["data.plate_view"] }, "{told}");
    }
}

#[test]
fn a_camera_that_only_says_what_it_read_goes_by_the_lane_of_its_gate() {
    let read = |event: Value| {
        let (event, note) = EventReport::of_a_reading(event, |edge_id| (edge_id == "7").then_some(Direction::Exit));
        (event["type"].clone(), note.map(|note| note.code))
    };
    for event in [
        json!({"camera_id": 7, "plate": "29A12345"}),
        json!({"device": "7", "data": {"results": [{"plate": "29a12345"}]}}),
        json!({"type": "LPR", "camera": "7", "plate": "29A12345"}),
        json!({"eventType": "ANPR", "channelID": 7, "ANPR": {"licensePlate": "29A12345"}}),
    ] {
        assert_eq!(read(event.clone()), (json!(DETECTION), Some("assumed")), "{event}");
    }
    for event in [
        json!({"type": "EXIT", "camera_id": 7, "plate": "29A12345"}),
        json!({"type": "HELLO", "camera_id": 7, "plate": "29A12345"}),
        json!({"camera_id": 7, "direction": "forward", "plate": "29A12345"}),
        json!({"camera_id": 7, "status": "ok"}),
        json!({"camera_id": 1, "plate": "29A12345"}),
        json!({"plate": "29A12345"}),
        json!([]),
    ] {
        assert_eq!(read(event.clone()), (event["type"].clone(), None), "{event}");
    }
}

/// As cameras nest it: the plate is found, and whoever told a time or a type below it is told that it is not used.
#[test]
fn what_stands_beside_a_plate_deep_below_is_not_dropped_in_silence() {
    for (part, noted) in [
        (
            json!({"Picture": {"Plate": {"PlateNumber": "29A12345"}, "Vehicle": {"VehicleType": "MotorCar"}, "SnapInfo": {"AccurateTime": "2024-12-02 19:00:00"}}}),
            vec!["Picture.Vehicle", "Picture.SnapInfo.AccurateTime"],
        ),
        (
            json!({"AlarmInfoPlate": {"result": {"PlateResult": {"license": "29A12345", "timeStamp": {"Timeval": {"sec": 1}}}}}}),
            vec!["AlarmInfoPlate.result.PlateResult.timeStamp"],
        ),
        (
            json!({"data": {"results": [{"plate": "29a12345", "vehicle": {"type": "Sedan"}}]}}),
            vec!["data.results.vehicle"],
        ),
        (json!({"data": {"results": [{"plate": "29a12345", "score": 0.9}]}}), vec![]),
    ] {
        let mut event = part.clone();
        event["type"] = json!("ENTRY");
        event["camera_id"] = json!(1);
        let report = checked(event).unwrap();
        let mut fields: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
        fields.sort_unstable_by_key(|field| std::cmp::Reverse(*field));
        assert_eq!((report.plate.as_str(), fields), ("29A12345", noted), "{part}");
        assert!(report.notes.iter().all(|note| note.code == "not_read"));
    }
}

#[test]
fn what_is_no_text_and_what_stands_beside_a_plate_is_said() {
    for (event, kept, noted) in [
        (json!({"event_id": {"a": 1}}), None, vec!["event_id not_read"]),
        (json!({"event_id": true, "uuid": "u-1"}), Some("u-1"), vec!["event_id not_read"]),
        // More digits than a number holds: another id would stand in its place.
        (json!({"event_id": 2.026_113_021_440_512_3e22}), None, vec!["event_id not_read"]),
        (json!({"event_id": 7, "data": {"plate_view": []}}), Some("7"), vec!["data.plate_view not_read"]),
        (json!({"data": {"plate_text": "VN 51F-900.01"}}), None, vec!["data.plate_text beside"]),
        (json!({"data": {"plate_text": "51F90001;0.95"}}), None, vec!["data.plate_text beside"]),
        (json!({"data": {"plate_text": "51F90001 0.95"}}), None, vec![]),
    ] {
        let mut told = event.clone();
        told["type"] = json!("ENTRY");
        told["camera_id"] = json!(1);
        if told["data"]["plate_text"].is_null() {
            told["data"]["plate_text"] = json!("51F-900.01");
        }
        let report = checked(told).unwrap();
        let notes: Vec<String> = report.notes.iter().map(|note| format!("{} {}", note.field, note.code)).collect();
        assert_eq!(
            (report.request_id.as_deref(), notes),
            (kept, noted.iter().map(ToString::to_string).collect()),
            "{event}"
        );
        assert_eq!(report.plate.as_str(), "51F90001", "{event}");
    }
}

#[test]
fn a_way_to_pay_without_an_amount_paid_the_fee_that_is_told() {
    for (paid, fee, amount) in [
        (json!("tiền mặt"), json!(50_000), Some(50_000)),
        (json!({"method": "cash", "amount": 7_000}), json!(50_000), Some(7_000)),
        (json!("cash"), json!(null), None),
        (json!("free"), json!(50_000), None),
    ] {
        let data = json!({"plate_text": "51F90001", "paid": paid, "fee": fee});
        let report = checked(json!({"type": "EXIT", "camera_id": 1, "data": data})).unwrap();
        assert_eq!(report.beside.paid.unwrap().amount, amount.map(Vnd), "{paid} {fee}");
    }
    let unread = json!({"type": "EXIT", "camera_id": 1, "data": {"paid": {"method": "cash", "amount": 25_000}}});
    assert!(matches!(job(unread), Ok(Job::Unread(UnreadOpening { fee: Some(Vnd(25_000)), .. }))));
}

#[test]
fn a_field_that_only_adds_never_refuses_the_event() {
    let odd = json!({"type": "EXIT", "camera_id": "edge-1", "timestamp": "now", "event_id": "",
        "data": {"plate_text": "29A12345", "confidence": "high", "fee": -5, "plate_view": "x".repeat(90)}});
    let report = checked(odd).unwrap();
    assert_eq!((report.told_ms, report.confidence, report.fee, report.request_id), (None, None, None, None));
    let noted: Vec<&str> = report.notes.iter().map(|note| note.field.as_str()).collect();
    assert_eq!(noted, ["timestamp", "data.fee", "data.confidence", "data.plate_view"]);
    assert!(report.doubts.contains(&Anomaly::TimeUncertain) && report.doubts.contains(&Anomaly::FeeUncertain));
    for told in [json!(-1), json!(1e300), json!(null), json!({})] {
        let event = json!({"type": "ENTRY", "camera_id": 1, "timestamp": told, "data": {"plate_text": "29A12345"}});
        assert_eq!(checked(event).unwrap().told_ms, None);
    }
}

#[test]
fn what_a_person_changed_at_the_edge_names_the_stay() {
    let change = |kind: &str, data: Value| {
        let event = json!({"type": kind, "camera_id": 1, "data": data});
        EventReport::read(&event)?.job(&SiteZone::default(), |_| GateSettings::default())
    };
    let data =
        json!({"history_id": 7, "event_id": "edge-1_1_29A12345", "plate_text": "29A12346", "plate_view": "29A-123.46"});
    let Ok(Job::ReportChange(update)) = change("UPDATE", data.clone()) else { panic!("a change") };
    assert_eq!(update.corrected.unwrap().1.as_deref(), Some("29A-123.46"));
    let Ok(Job::ReportChange(delete)) = change("DELETE", data) else { panic!("a change") };
    assert_eq!((delete.event_id.as_str(), delete.corrected), ("edge-1_1_29A12345", None));
    assert!(change("DELETE", json!({"history_id": 7})).is_err(), "a row number says nothing here");
    assert!(change("UPDATE", json!({"event_id": "e", "plate_text": ""})).is_err());
}

#[test]
fn what_cannot_be_understood_is_refused_by_field() {
    let field = |event: Value| match checked(event) {
        Err(Refusal::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(json!({"type": "WASHED", "camera_id": 1, "data": {"plate_text": "29A12345"}})), "type");
    assert_eq!(
        field(json!({"type": "LOCATION_UPDATE", "camera_id": 1, "data": {"plate_text": "UNKNOWN"}})),
        "data.plate_text"
    );
    let data = json!({"plate_text": "29A12345"});
    assert_eq!(field(json!({"type": "ENTRY", "data": data})), "camera_id");
    assert_eq!(field(json!({"type": "ENTRY", "camera_id": {}, "data": data})), "camera_id");
    assert_eq!(field(json!({"camera_id": 1, "data": data})), "type");
    for odd in [json!([]), json!("x"), json!(null)] {
        assert!(matches!(EventReport::read(&odd), Err(Refusal::Invalid(_))), "{odd}");
    }
    // What is wrong is said to those who wrote the program, in their words.
    let said = checked(json!({"type": "ALPR", "camera_id": 1})).unwrap_err().to_string();
    assert!(said.contains("\"ALPR\"") && said.contains("ENTRY, EXIT") && said.contains("VÀO"), "{said}");
}

#[test]
fn a_car_without_a_plate_is_an_opening_that_is_kept() {
    for data in [
        json!({}),
        json!(null),
        json!({"plate_text": ""}),
        json!({"plate_text": "29A"}),
        json!({"plate_text": "29A1234?"}),
        json!({"plate_text": "UNKNOWN", "fee": "25.000"}),
        json!({"plate_text": "京A12345"}),
        json!({"plate_id": "0000000"}),
    ] {
        let event = json!({"type": "exit", "camera_id": 2, "event_id": "e", "timestamp": 1_733_140_800, "data": data});
        let Ok(Job::Unread(opening)) = job(event) else { panic!("{data}") };
        assert_eq!((opening.edge_id.as_str(), opening.direction), ("2", Direction::Exit));
        assert_eq!((opening.told_ms, opening.request_id.as_deref()), (Some(1_733_140_800_000), Some("e")));
        assert_eq!(opening.notes.last().map(|note| note.code), Some("unread"));
    }
}

#[test]
fn a_type_is_told_or_is_the_gates() {
    for (camera_id, told, kept) in [
        (1, json!({}), ""),
        (8, json!({}), "moto"),
        (8, json!({"vehicle_type": "unknown"}), "moto"),
        (8, json!({"vehicle_type": "Xe đạp"}), "Xe đạp"),
        (1, json!({"vehicle_type": "MOTO"}), "MOTO"),
    ] {
        let mut data = told.clone();
        data["plate_text"] = "59X3-456.78".into();
        for lane in ["ENTRY", "entry", "Exit"] {
            let event = json!({"type": "ENTRY", "camera_id": camera_id, "camera_type": lane, "data": data});
            assert_eq!(checked(event).unwrap().camera_type, kept, "{told}");
        }
    }
}

#[test]
fn what_a_gate_calls_itself_is_brought_into_shape() {
    let report = checked(json!({"type": "ENTRY", "camera_id": "Cổng A", "data": {"plate_text": 29_112_345}})).unwrap();
    assert_eq!((report.edge_id.as_str(), report.plate.as_str()), ("Cong-A", "29112345"));
    assert_eq!((report.notes[0].field.as_str(), report.notes[0].code), ("camera_id", "renamed"));
}
