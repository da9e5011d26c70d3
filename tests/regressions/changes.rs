//! What people change afterwards.

use serde_json::json;

use crate::common::{Central, DEADLINE, Mesh};

/// Changes were sent by the number of the row, which is another car's elsewhere, and not at all to who was away.
#[test]
fn d23_a_change_is_of_a_stay_and_reaches_who_was_away() {
    let mut mesh = Mesh::start(2);
    mesh.cut(0, 1);
    // The rows of the two are numbered differently.
    for number in 0..3 {
        mesh.centrals[1].http.enter("edge-1", &format!("30E1000{number}"));
    }
    let stays = [0, 1, 2].map(|number| mesh.centrals[0].http.enter("edge-1", &format!("29A1000{number}")));
    mesh.heal(0, 1);
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].kill9();
    let http = &mesh.centrals[0].http;
    http.correct(&stays[2], &json!({"plate_id": "29A99999", "reason": "đọc sai"})).ok();
    http.void(&stays[0], &json!({"reason": "thử"})).ok();
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    let of = |stay: &str| {
        let row = history.row(stay).unwrap();
        (row["plate_id"].as_str().unwrap().to_owned(), row["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(of(&stays[2]), ("29A99999".to_owned(), "IN".to_owned()));
    assert_eq!(of(&stays[0]).1, "VOID");
    assert_eq!(of(&stays[1]), ("29A10001".to_owned(), "IN".to_owned()));
    let others =
        history.rows().filter(|row| row["plate_id"].as_str().unwrap().starts_with("30E1") && row["status"] == "IN");
    assert_eq!(others.count(), 3, "no other car was touched");
}

/// A removed row came back from the next peer that still had it.
#[test]
fn d25_what_was_removed_stays_removed() {
    let mut mesh = Mesh::new(2);
    mesh.start_all();
    let stay = mesh.centrals[0].http.enter("edge-1", "29A12345");
    mesh.wait_equal(DEADLINE);
    mesh.centrals[1].kill9();
    mesh.centrals[0].http.void(&stay, &json!({"reason": "thử"})).ok();
    mesh.centrals[0].kill9();
    mesh.start_all();
    assert_eq!(mesh.wait_equal(DEADLINE).row(&stay).unwrap()["status"], "VOID");
    // A new central, and one whose disk was lost, are told both.
    mesh.centrals[1].kill9();
    std::fs::remove_dir_all(mesh.centrals[1].data_directory()).unwrap();
    mesh.start_all();
    let history = mesh.wait_equal(DEADLINE);
    assert_eq!((history.len(), &history.row(&stay).unwrap()["status"]), (1, &json!("VOID")));
    assert!(mesh.centrals.iter().all(|central: &Central| central.http.stats()["vehicles_in_parking"] == 0));
}
