//! A disk that is full, and one that takes its time.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::common::load::{Load, check_mesh, verify};
use crate::common::slow_disk::SlowSyncs;
use crate::common::{Central, DEADLINE, Mesh, eventually, eventually_some, skip};
use crate::run;

/// A file system of its own at a data directory, taken off when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(directory: PathBuf, mib: u32) -> Result<Self, String> {
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let (size, path) = (format!("size={mib}m"), directory.to_string_lossy().into_owned());
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &path])?;
        Ok(Self(directory))
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let ballast = fs::File::create(self.ballast()).expect("a file");
        let block = [0_u8; 64 * 1024];
        let mut size = block.len();
        while size > 0 {
            match std::io::Write::write(&mut &ballast, &block[..size]) {
                Ok(1..) => {}
                _ => size /= 2,
            }
        }
    }

    fn clear(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The central above may have ended a moment ago only; lazily, so that nothing stays behind.
        let _ = run("umount", &["-l", &self.0.to_string_lossy()]);
    }
}

#[test]
fn a_full_disk_refuses_at_once_and_loses_nothing() {
    let mut central = Central::new("central-1");
    let disk = match SmallDisk::at(central.data_directory(), 12) {
        Ok(disk) => disk,
        Err(reason) => return skip("a_full_disk_refuses_at_once_and_loses_nothing", &reason),
    };
    central.start();
    let enter = |central: &Central, number: u32| {
        let call = json!({"edge_id": "edge-1", "plate_id": format!("29A{number:05}"), "direction": "ENTRY",
                          "request_id": format!("r-{number}")});
        central.http.post("/api/edge/barrier/open", &call)
    };
    let mut told: Vec<String> =
        (0..50).map(|number| enter(&central, number).ok().field("event_id").to_owned()).collect();
    disk.fill();
    let mut number = 50;
    // What is free inside the files is used up first.
    let refused = eventually_some("the disk is full", DEADLINE, || {
        let reply = enter(&central, number);
        if reply.status == 200 {
            told.push(reply.field("event_id").to_owned());
            number += 1;
            return None;
        }
        Some(reply)
    });
    assert_eq!((refused.status, refused.field("code")), (503, "not_durable"), "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    let ready = central.http.get("/readyz");
    assert!(!ready.is_success(), "a probe finds no room where an event did not: {}", ready.text);
    assert!(ready.text.contains("disk is full"), "{}", ready.text);
    assert!(central.http.get("/healthz").is_success());
    let seen = central
        .http
        .post("/api/edge/detection", &json!({"edge_id": "edge-1", "plate_id": "29A00001", "direction": "EXIT"}));
    assert_eq!(seen.status, 200, "who is inside is still known: {}", seen.text);
    disk.clear();
    eventually("ready again by itself", DEADLINE, || central.http.get("/readyz").is_success());
    told.push(enter(&central, number).ok().field("event_id").to_owned());
    let log = central.log();
    assert!(log.contains("event=commit_failed") && log.contains("event=commit_recovered"), "both were logged");

    // Full again, and the power goes.
    disk.fill();
    central.kill9();
    disk.clear();
    central.start();
    let history = central.http.whole_history();
    for event_id in &told {
        assert!(history.row(event_id).is_some(), "{event_id} was acknowledged and is not there");
    }
    assert_eq!(history.rows().count(), told.len());
    assert_eq!(central.terminate().0.code(), Some(0));
    verify(&central);
}

#[test]
fn a_full_disk_stops_a_start_with_the_reason() {
    let mut central = Central::new("central-1");
    let disk = match SmallDisk::at(central.data_directory(), 4) {
        Ok(disk) => disk,
        Err(reason) => return skip("a_full_disk_stops_a_start_with_the_reason", &reason),
    };
    disk.fill();
    central.spawn();
    assert_eq!(central.wait_ended(DEADLINE).code(), Some(74));
    assert!(central.log().contains("full"), "{}", central.log());
    disk.clear();
    central.start();
}

/// 5 ms a sync, as a worn flash card takes.
#[test]
fn a_slow_disk_slows_only_its_own_central() {
    let mut mesh = Mesh::start(3);
    let slow = match SlowSyncs::of(mesh.centrals[2].pid(), 5_000) {
        Ok(slow) => slow,
        Err(reason) => return skip("a_slow_disk_slows_only_its_own_central", &reason),
    };
    let told = Load::during(&mut mesh, |mesh, load| {
        eventually("the syncs take longer", DEADLINE, || slow_commits(&mesh.centrals[2]) > 20);
        load.wait_answered(600);
    });
    drop(slow);
    check_mesh(&mut mesh, &told);
}

/// Commits that took more than 4 ms.
fn slow_commits(central: &Central) -> u64 {
    let metrics = central.http.get("/metrics").text;
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("a metric");
        line.trim().parse().expect("a count")
    };
    value("parkmesh_commit_seconds_count") - value("parkmesh_commit_seconds_bucket{le=\"0.0032\"}")
}
