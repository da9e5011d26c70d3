//! Gates that go on through anything, and what must be true of everything they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parkmesh::lab::compare::Snapshot;
use serde_json::json;

use super::central::API_PORT;
use super::{Central, DEADLINE, Http, Mesh, Reply, eventually};

/// Gates of each central.
const GATES: usize = 2;
/// How long an answered call may take to come, with one central left and that one just started.
const PROGRESS: Duration = Duration::from_secs(30);

/// What gates were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Plates any call was made for, answered or not.
    pub asked: BTreeSet<String>,
    /// Event ids of acknowledged entries, by plate.
    pub entries: BTreeMap<String, String>,
    /// Fees of acknowledged exits, by the event id they closed.
    pub exits: BTreeMap<String, i64>,
}

/// The load: gates that make calls until told to stop, through any number of crashes.
#[derive(Debug, Default)]
pub struct Load {
    told: Mutex<Told>,
    answered: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// One gate. A call without an answer is made again with the same request id until it is answered.
    fn gate(&self, central: usize, gate: usize, ips: &[String]) {
        let http: Vec<Http> = ips.iter().map(|ip| Http::new(format!("http://{ip}:{API_PORT}"))).collect();
        let edge = format!("edge-{central}-{gate}");
        for number in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let plate = format!("29{}{number:05}", ["A", "B", "C", "D", "E", "F"][central * GATES + gate]);
            self.told.lock().unwrap().asked.insert(plate.clone());
            let request = |direction: &str| {
                json!({"edge_id": edge, "plate_id": plate, "direction": direction,
                       "request_id": format!("{plate}-{direction}")})
            };
            let Some(entered) = self.call(&http[central], &request("ENTRY")) else { continue };
            assert_eq!(entered.status, 200, "{}", entered.text);
            self.told.lock().unwrap().entries.insert(plate.clone(), entered.field("event_id").to_owned());
            // Every other car leaves, some of them at another central, which may not know it yet. The first gate stays
            // with its own central, so that somebody is served as long as one central is up.
            let at = match number % 4 {
                0 => central,
                1 => (central + gate) % http.len(),
                _ => continue,
            };
            let Some(left) = self.call(&http[at], &request("EXIT")) else { continue };
            if left.status == 409 {
                assert_eq!(left.field("code"), "not_inside", "{}", left.text);
                continue;
            }
            assert_eq!(left.status, 200, "{}", left.text);
            let known = self.told.lock().unwrap().exits.insert(left.field("event_id").to_owned(), left.number("fee"));
            assert_eq!(known, None, "one exit a car");
        }
    }

    /// The answer; `None` if the load ended before there was one.
    fn call(&self, http: &Http, body: &serde_json::Value) -> Option<Reply> {
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(reply) = http.try_post("/api/edge/barrier/open", body)
                && reply.status != 503
            {
                self.answered.fetch_add(1, Ordering::Relaxed);
                return Some(reply);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// Waits until so many more calls were answered.
    pub fn wait_answered(&self, more: u64) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        eventually("gates are served", PROGRESS, || self.answered.load(Ordering::Relaxed) >= until);
    }

    /// Drives gates at every central of `mesh` while `work` does what it does; what they were told.
    pub fn during(mesh: &mut Mesh, work: impl FnOnce(&mut Mesh, &Self)) -> Told {
        let load = Self::default();
        let ips: Vec<String> = mesh.centrals.iter().map(|central| central.ip.clone()).collect();
        std::thread::scope(|scope| {
            for central in 0..ips.len() {
                for gate in 0..GATES {
                    let (load, ips) = (&load, &ips);
                    scope.spawn(move || load.gate(central, gate, ips));
                }
            }
            // The gates must end also if the work fails, or the scope would wait for them for ever.
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(mesh, &load)));
            load.stop.store(true, Ordering::Relaxed);
            worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        load.told.into_inner().unwrap()
    }
}

/// All centrals run and agree on everything that was told; then they stop, and every database is whole.
#[track_caller]
pub fn check_mesh(mesh: &mut Mesh, told: &Told) {
    let history = mesh.wait_equal(3 * DEADLINE);
    println!("{} entries and {} exits acknowledged", told.entries.len(), told.exits.len());
    check(&history, told);
    for central in &mut mesh.centrals {
        assert_eq!(central.terminate().0.code(), Some(0));
        verify(central);
    }
}

/// Everything acknowledged is there, once, as it was told; nothing is there that nobody asked for.
pub fn check(history: &Snapshot, told: &Told) {
    let mut rows_of_plate: BTreeMap<&str, u64> = BTreeMap::new();
    for row in history.rows() {
        let plate = row["plate_id"].as_str().unwrap();
        assert!(told.asked.contains(plate), "nobody asked for {row}");
        *rows_of_plate.entry(plate).or_default() += 1;
    }
    for (plate, event_id) in &told.entries {
        let row = history.row(event_id).unwrap_or_else(|| panic!("{event_id} was acknowledged and is not there"));
        assert_eq!(row["plate_id"], plate.as_str());
        assert_eq!(rows_of_plate[plate.as_str()], 1, "{plate}");
    }
    for (event_id, fee) in &told.exits {
        let row = history.row(event_id).unwrap_or_else(|| panic!("{event_id} left and is not there"));
        assert_eq!((&row["status"], &row["fee"]), (&json!("OUT"), &json!(fee)), "{row}");
    }
}

/// The database is whole: chains, projection and digest, and the SQL an operator would ask.
pub fn verify(central: &Central) {
    let output = central.subcommand("verify").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let database = rusqlite::Connection::open(central.database()).unwrap();
    let twice = "SELECT COUNT(*) FROM (SELECT event_id FROM history GROUP BY event_id HAVING COUNT(*) > 1)";
    assert_eq!(database.query_row(twice, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
