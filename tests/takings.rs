//! Money through everything that goes wrong at once, on real processes: two operators at two centrals (with a third that only looks on), ways of
//! payment alone and together, less and more than was due, money given back, cars nobody knows or could read, what programs tell late, corrections,
//! removals and their undoing, exits that were another car's, shifts of lanes handed over, payments a bank tells of, a tariff that changes, links that are
//! cut and processes that are killed.
//!
//! Whoever plays it keeps books of his own of what was acknowledged. In between and in the end every sum by person, way, gate, type and shift is what
//! these books say, on all centrals; and of the whole day what the auditor's script makes of the facts alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use common::{Central, Dice, Http, Mesh, eventually_ok, seed};
use parkmesh::domain::time::SiteZone;
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";
const DAY_MS: i64 = 86_400_000;
const DEADLINE: Duration = Duration::from_secs(60);
const METHODS: [&str; 5] = ["cash", "qr", "card", "transfer", "account"];
const TYPES: [&str; 3] = ["car", "moto", "truck"];

/// What was taken at one exit, by the books of whoever plays.
#[derive(Debug, Clone)]
struct Taken {
    central: usize,
    edge: String,
    by: String,
    /// The first way, and what was paid in others.
    method: String,
    also: Vec<(String, i64)>,
    amount: i64,
    /// What was paid beyond it, and is not settled.
    excess: i64,
    camera_type: String,
    removed: bool,
}

impl Taken {
    /// Way; exits, VND, and what was paid beyond.
    fn counted(&self) -> Vec<(String, [i64; 3])> {
        let mut left = self.amount;
        let mut also = Vec::new();
        for (method, part) in &self.also {
            let part = left.min(*part);
            left -= part;
            also.push((method.clone(), [0, part, 0]));
        }
        also.retain(|(_, [_, part, _])| *part > 0);
        let mut all = vec![(self.method.clone(), [1, left, self.excess])];
        all.extend(also);
        all
    }
}

/// By central, edge, person, way and type: exits, VND, and VND paid beyond.
type Sums = BTreeMap<[String; 5], [i64; 3]>;

/// Exits, VND and VND paid beyond, as some answer names them.
fn figures(of: &Value, names: [&str; 3]) -> [i64; 3] {
    names.map(|name| of[name].as_i64().unwrap_or(0))
}

fn add(sum: &mut [i64; 3], more: [i64; 3]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

struct Play {
    mesh: Mesh,
    dice: Dice,
    /// Who works at each central, and who may correct there.
    operators: Vec<BTreeMap<&'static str, Http>>,
    /// Who has the gate of each central, with the shift if there is one.
    at_gate: Vec<(&'static str, Option<String>)>,
    /// Cars inside: plate, type, and the central that let it in.
    inside: Vec<(String, String, usize)>,
    taken: BTreeMap<String, Taken>,
    closed: Vec<String>,
    is_cut: bool,
    cars: usize,
    /// What was changed in the cut that is: whatever is changed twice in it, the clocks decide.
    changed: Vec<String>,
    /// What the bank told of: reference and VND.
    told: BTreeMap<String, i64>,
    did: BTreeMap<&'static str, usize>,
    day: String,
}

impl Play {
    fn start(seed: u64) -> Self {
        let now_ms = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        let morning_ms = SiteZone::default().day_start_ms(now_ms - 3 * DAY_MS) + 9 * 3_600_000;
        let mut mesh = Mesh::new(3);
        for central in &mut mesh.centrals {
            central.security("admin", "password");
            central.config["edges"] = json!([{"id": "edge-1", "lane": "L"}, {"id": "cam-1", "lane": "L"}]);
            central.env("PARKMESH_CLOCK", format!("{morning_ms},{now_ms},1"));
        }
        mesh.start_all();
        let operators = mesh.centrals.iter().take(2).map(people).collect();
        Self {
            mesh,
            dice: Dice(seed),
            operators,
            at_gate: vec![("lan", None), ("an", None)],
            inside: Vec::new(),
            taken: BTreeMap::new(),
            closed: Vec::new(),
            is_cut: false,
            cars: 0,
            changed: Vec::new(),
            told: BTreeMap::new(),
            did: BTreeMap::new(),
            day: SiteZone::default().day(morning_ms),
        }
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.dice.below(of.len() as u64) as usize].clone()
    }

    fn count(&mut self, what: &'static str) {
        *self.did.entry(what).or_default() += 1;
    }

    fn operator(&self, central: usize) -> Http {
        self.operators[central][self.at_gate[central].0].clone()
    }

    fn central(&mut self) -> usize {
        self.dice.below(2) as usize
    }

    fn plate(&mut self) -> String {
        self.cars += 1;
        format!("{}A{:05}", 30 + self.cars / 100_000, self.cars % 100_000)
    }

    fn enter(&mut self) {
        let (central, plate, camera_type) = (self.central(), self.plate(), self.one_of(&TYPES));
        let body = json!({"edge_id": "edge-1", "plate_id": plate, "direction": "ENTRY", "camera_type": camera_type, "request_id": format!("in {plate}")});
        self.press(central, &body);
        self.inside.push((plate, camera_type.to_owned(), central));
        self.count("entries");
    }

    /// Until it is answered; now and then the process is killed while it is asked.
    fn press(&mut self, central: usize, body: &Value) -> Value {
        if self.dice.below(60) == 0 {
            let (http, body) = (self.operator(central), body.clone());
            let asking = std::thread::spawn(move || http.try_post("/api/edge/barrier/open", &body).is_ok());
            std::thread::sleep(self.dice.millis(0..6));
            self.restart(central);
            asking.join().unwrap();
            self.count("kills during a press");
        }
        let http = self.operator(central);
        let reply = eventually_ok(DEADLINE, || http.try_post("/api/edge/barrier/open", body));
        assert!(reply.is_success(), "{body}: {}", reply.text);
        reply.body
    }

    fn restart(&mut self, central: usize) {
        self.mesh.centrals[central].kill9();
        self.mesh.centrals[central].start();
        // Who was logged in is not any more.
        for (name, http) in self.operators[central].iter_mut().filter(|(name, _)| **name != "bank") {
            let reply = self.mesh.centrals[central]
                .http
                .post("/api/access/login", &json!({"name": name, "password": PASSWORD}))
                .ok();
            *http = self.mesh.centrals[central].http.with("Cookie", reply.cookie());
        }
    }

    /// How it is paid: as it is sent, the first way, the others, and what is paid in all where that need not be what is due.
    fn payment(&mut self) -> (Value, String, Vec<(String, i64)>, Option<i64>) {
        let method = self.one_of(&METHODS).to_owned();
        let other = self.one_of(&METHODS).to_owned();
        match self.dice.below(10) {
            0 => (Value::Null, String::new(), vec![], None),
            1 if other != method => {
                let sent = json!([{"method": method}, {"method": other, "amount": 1_000, "reference": "FT"}]);
                (sent, method, vec![(other, 1_000)], None)
            }
            2 => (json!({"method": method, "amount": 500}), method, vec![], Some(500)),
            3 => (json!({"method": method, "amount": 900_000}), method, vec![], Some(900_000)),
            // The part in the other way is more than is due.
            4 if other != method && method != "cash" => {
                let ways = json!([{"method": other, "amount": 500_000}, {"method": method, "amount": 1_000}]);
                (ways, other, vec![(method, 1_000)], Some(501_000))
            }
            5 if other != method && method != "cash" => {
                let ways = json!([{"method": other, "amount": 1_000}, {"method": method, "amount": 500_000}]);
                (ways, other, vec![(method, 500_000)], Some(501_000))
            }
            _ => (json!({"method": method}), method, vec![], None),
        }
    }

    fn leave(&mut self) {
        if self.inside.is_empty() {
            return;
        }
        let (plate, camera_type, entered_at) =
            self.inside.swap_remove(self.dice.below(self.inside.len() as u64) as usize);
        let central = self.central();
        let knows = |play: &Self| !play.mesh.centrals[central].http.rows_of(&plate).is_empty();
        if central != entered_at && !self.is_cut {
            eventually_ok(DEADLINE, || if knows(self) { Ok(()) } else { Err(format!("{plate} is known at both")) });
        }
        let (paid, method, also, paid_in_all) = self.payment();
        let mut body =
            json!({"edge_id": "edge-1", "plate_id": plate, "direction": "EXIT", "request_id": format!("out {plate}")});
        if !paid.is_null() {
            body["paid"] = paid;
        }
        let mut told = None;
        if !knows(self) || self.dice.below(12) == 0 {
            told = Some(7_000 + self.dice.below(9) as i64 * 1_000);
            body["fee"] = json!(told);
            body["force"] = json!(true);
            body["reason"] = json!("mất thẻ");
            body["camera_type"] = json!(camera_type);
            self.count("forced exits");
        }
        let answer = self.press(central, &body);
        let fee = answer["fee"].as_i64().unwrap();
        assert!(told.is_none_or(|told| fee == paid_in_all.map_or(told, |all| all.min(told))), "{body}: {answer}");
        let method = if method.is_empty() && fee == 0 { "free".to_owned() } else { method };
        let by = self.at_gate[central].0.to_owned();
        // Where less was paid than was due, that is what counts.
        let at_least: i64 = also.iter().map(|(_, amount)| amount).sum();
        let (amount, excess) = (fee, (paid_in_all.unwrap_or(at_least) - fee).max(0));
        let edge = "edge-1".to_owned();
        self.taken
            .insert(plate, Taken { central, edge, by, method, also, amount, excess, camera_type, removed: false });
        self.count("exits");
    }

    /// A program at another gate tells of a car that left some time ago; it may be one nobody knows, or that could not be read.
    fn tell_late(&mut self) {
        let central = self.central();
        let now_ms = self.now_ms(central);
        let (amount, method) = (1_000 * (1 + self.dice.below(50) as i64), self.one_of(&METHODS).to_owned());
        let plate = self.plate();
        let is_read = self.dice.below(3) > 0;
        let at_ms = now_ms - self.dice.below(600_000) as i64 - 1_000;
        // The second is a device of the lane of the first; nobody has the third.
        let edge = self.one_of(&["edge-1", "cam-1", "edge-7"]).to_owned();
        let excess = self.one_of(&[0, 0, 4_000]);
        let body = json!({
            "edge_id": edge, "plate_id": if is_read { plate.as_str() } else { "unknown" }, "direction": "EXIT", "event_id": format!("told {plate}"),
            "timestamp": at_ms, "camera_type": "car", "fee": amount, "paid": {"method": method, "amount": amount + excess},
        });
        let http = self.mesh.centrals[central].http.clone();
        for _ in 0..=self.dice.below(2) {
            http.post("/api/edge/event", &body).ok();
        }
        let camera_type = "car".to_owned();
        let by = String::new();
        let of = Taken { central, edge, by, method, also: vec![], amount, excess, camera_type, removed: false };
        let name = if is_read { plate } else { format!("unread {plate}") };
        self.taken.insert(name, of);
        self.count(if is_read { "told late" } else { "could not be read" });
    }

    fn now_ms(&self, central: usize) -> i64 {
        let time = self.mesh.centrals[central].http.get("/api/status").ok().body["central"]["time"]
            .as_str()
            .unwrap()
            .to_owned();
        SiteZone::default().parse_local_text(&time).unwrap()
    }

    /// A person changes what is known of a stay that left, at a central that knows it.
    fn amend(&mut self) {
        let central = self.central();
        let left: Vec<String> =
            self.taken.keys().filter(|name| !name.contains(' ') && !self.changed.contains(name)).cloned().collect();
        if left.is_empty() {
            return;
        }
        let plate = self.one_of(&left);
        let rows = self.mesh.centrals[central].http.rows_of(&plate);
        let held = self.taken[&plate].clone();
        let is_it = |row: &&Value| row["exit_ms"].is_i64() || held.removed && row["status"] == "VOID";
        let Some(row) = rows.iter().find(is_it) else { return };
        // In a cut one half of it may be unknown here: it is changed once it is whole.
        if self.is_cut && (held.central != central || row["entry_unknown"] == true) {
            return;
        }
        let stay = row["event_id"].as_str().unwrap().to_owned();
        let chi = self.operators[central]["chi"].clone();
        let kind = if held.removed { 11 } else { self.dice.below(11) };
        let mut now = held.clone();
        let (done, what) = match kind {
            11 => {
                now.removed = false;
                (chi.correct(&stay, &json!({"void": false, "reason": "xóa nhầm"})), "restored")
            }
            9 if held.excess > 0 => {
                now.excess = 0;
                let mut same = row["paid"].clone();
                same.as_object_mut().unwrap().remove("amount");
                (chi.correct(&stay, &json!({"paid": same, "reason": "khách quay lại"})), "given back")
            }
            10 if !self.is_cut && row["entry_unknown"] == false => return self.give_on(central, &plate, row),
            9 | 10 => return,
            0 | 1 => {
                now.removed = true;
                (chi.void(&stay, &json!({"reason": "xe nội bộ"})), "removed")
            }
            2..=4 => {
                (now.amount, now.excess) = (1_000 * self.dice.below(80) as i64, 0);
                (chi.correct(&stay, &json!({"fee": now.amount, "reason": "tính nhầm"})), "fees corrected")
            }
            5 | 6 => {
                now.method = self.one_of(&METHODS).to_owned();
                (now.also, now.excess) = (vec![], 0);
                (chi.correct(&stay, &json!({"paid": {"method": now.method}, "reason": "bấm nhầm"})), "ways corrected")
            }
            7 => {
                now.camera_type = self.one_of(&TYPES).to_owned();
                (chi.correct(&stay, &json!({"camera_type": now.camera_type, "reason": "nhầm loại"})), "types corrected")
            }
            _ => {
                // Another plate: it is the same money.
                let plate = self.plate();
                let done = chi.correct(&stay, &json!({"plate_id": plate, "reason": "đọc sai biển"}));
                if done.is_success() {
                    self.taken.remove(&held_name(&self.taken, &held));
                    self.taken.insert(plate.clone(), held.clone());
                    self.changed.push(plate);
                    self.count("plates corrected");
                }
                return;
            }
        };
        if !done.is_success() {
            assert_eq!(done.field("code"), "unchanged", "{what} {plate}: {}", done.text);
            return;
        }
        // What nothing was taken for, and nobody said how, was free.
        if now.method.is_empty() || now.method == "free" && held.method == "free" {
            now.method = if now.amount == 0 { "free" } else { "" }.to_owned();
        }
        self.taken.insert(plate.clone(), now);
        self.changed.push(plate);
        self.count(what);
    }

    /// The exit was another car's, which was inside as well: its money goes along, and the first car is inside again for good.
    fn give_on(&mut self, central: usize, plate: &str, row: &Value) {
        let http = &self.mesh.centrals[central].http;
        let was_inside = |of: &&Value| of["status"] == "IN" && of["entry_ms"].as_i64() < row["exit_ms"].as_i64();
        let is_other = |at: &usize| http.rows_of(&self.inside[*at].0).iter().any(|of| was_inside(&of));
        let Some(at) = (0..self.inside.len()).find(is_other) else { return };
        let (other, camera_type, _) = self.inside.swap_remove(at);
        let body = json!({"exit_plate_id": other, "reason": "đọc nhầm xe"});
        self.operators[central]["chi"].correct(row["event_id"].as_str().unwrap(), &body).ok();
        self.mesh.wait_equal(DEADLINE);
        let held = self.taken.remove(plate).unwrap();
        self.taken.insert(other.clone(), Taken { camera_type, ..held });
        self.changed.push(other);
        self.count("exits given on");
    }

    /// The bank tells of money for a car that is inside, now and then at both centrals, or of money nobody knows what for.
    fn pay(&mut self) {
        let reference = format!("FT{}", self.told.len());
        let amount = 1_000 * (1 + self.dice.below(50) as i64);
        let mut body = json!({"reference": reference, "amount": amount});
        let central = self.central();
        if let Some((plate, ..)) = self.inside.first()
            && let Some(row) = self.mesh.centrals[central].http.rows_of(plate).first()
        {
            body["stay"] = row["event_id"].clone();
        }
        for central in [central, self.central()] {
            self.operators[central]["bank"].post("/api/payments", &body).ok();
        }
        self.told.insert(reference, amount);
        self.count("payments");
    }

    /// The gate of a central is handed over, or taken over.
    fn hand_over(&mut self) {
        let central = self.central();
        let (name, shift) = self.at_gate[central].clone();
        let http = self.operators[central][name].clone();
        if let Some(id) = shift {
            let path = format!("/api/shifts/{id}/close");
            http.post(&path, &json!({"counted_cash": 1_000 * self.dice.below(900) as i64})).ok();
            self.closed.push(id);
            let next = self.one_of(&["lan", "an"]);
            self.at_gate[central] = (next, None);
        }
        if self.dice.below(4) > 0 {
            let (name, _) = self.at_gate[central];
            let opened = self.operators[central][name]
                .post("/api/shifts", &json!({"edge_id": "edge-1", "opening_cash": 100_000}))
                .ok();
            self.at_gate[central].1 = opened.body["shift"]["id"].as_str().map(str::to_owned);
            self.count("shifts");
        }
    }

    fn set_tariff(&mut self) {
        let central = self.central();
        let hour = 1_000 * (1 + self.dice.below(30) as i64);
        let fees = json!({"fees": {"fee_base": 0.0, "fee_per_hour": hour}});
        self.operators[central]["sep"].put("/api/parking/fees", &fees).ok();
        self.count("tariffs");
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..=39 => self.enter(),
            40..=76 => self.leave(),
            77 => self.pay(),
            78..=83 => self.tell_late(),
            84..=93 => self.amend(),
            94 | 95 => self.hand_over(),
            96 => self.set_tariff(),
            97 => {
                let central = self.central();
                self.restart(central);
                self.count("kills");
            }
            _ if self.is_cut => self.heal(),
            _ => {
                self.mesh.isolate(0);
                self.is_cut = true;
                self.count("cuts");
            }
        }
    }

    fn heal(&mut self) {
        self.mesh.heal_all();
        self.is_cut = false;
        self.mesh.wait_equal(DEADLINE);
        self.changed.clear();
    }

    /// What the books say.
    fn books(&self) -> Sums {
        let mut sums = Sums::new();
        for taken in self.taken.values().filter(|taken| !taken.removed) {
            for (method, more) in taken.counted() {
                let central = self.mesh.centrals[taken.central].id.clone();
                let key = [central, taken.edge.clone(), taken.by.clone(), method, taken.camera_type.clone()];
                add(sums.entry(key).or_default(), more);
            }
        }
        sums.retain(|_, sum| *sum != [0; 3]);
        sums
    }

    /// What is wrong with the money, if anything is.
    fn check(&mut self) {
        self.heal();
        let books = self.books();
        let mut sheets = Vec::new();
        for central in &self.mesh.centrals {
            let (plain, by_shift) = (takings(central, &self.day, ""), takings(central, &self.day, "&by=shift"));
            let mut wrong = Vec::new();
            for key in books.keys().chain(plain.keys()) {
                let (said, right) = (plain.get(key), books.get(key));
                if said != right && !wrong.contains(&(key, said, right)) {
                    wrong.push((key, said, right));
                }
            }
            assert!(wrong.is_empty(), "{}: (gate, said, by the books)\n{wrong:#?}", central.id);
            assert_eq!(by_shift, plain, "{}: by shift they sum to the same", central.id);
            self.check_rows(central);
            sheets.push(self.sheets(central));
        }
        assert!(sheets.windows(2).all(|pair| pair[0] == pair[1]), "{sheets:#?}");
    }

    /// The rows that left that day, and what the bank told.
    fn check_rows(&self, central: &Central) {
        let (mut sum, mut cursor) = ([0; 3], Some(String::new()));
        while let Some(behind) = cursor {
            let asked = format!("?limit=-1&by=exit&from={0}&to={0}{behind}", self.day);
            let page = central.http.get(&format!("/api/parking/history{asked}")).ok().body;
            for row in page["history"].as_array().unwrap() {
                add(&mut sum, [1, row["collected"].as_i64().unwrap(), row["excess"].as_i64().unwrap()]);
            }
            cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
        }
        let mut right = [0; 3];
        for taken in self.taken.iter().filter(|(name, taken)| !name.contains(' ') && !taken.removed) {
            add(&mut right, [1, taken.1.amount, taken.1.excess]);
        }
        assert_eq!(sum, right, "{}: the rows", central.id);
        let told = central.http.get(&format!("/api/payments?from={0}&to={0}", self.day)).ok().body;
        let told = told["payments"].as_array().unwrap().iter();
        let told: BTreeMap<String, i64> =
            told.map(|one| (one["reference"].as_str().unwrap().to_owned(), one["amount"].as_i64().unwrap())).collect();
        assert_eq!(told, self.told, "{}: payments", central.id);
    }

    /// Each shift's sheet, which is the sum of its exits and of the takings by shift.
    fn sheets(&self, central: &Central) -> BTreeMap<String, Value> {
        let answer = central.http.get(&format!("/api/takings?by=shift&from={0}&to={0}", self.day)).ok().body;
        let mut of_shift: BTreeMap<String, [i64; 3]> = BTreeMap::new();
        for row in answer["takings"].as_array().unwrap() {
            if let Some(shift) = row["shift"].as_str() {
                add(of_shift.entry(shift.to_owned()).or_default(), figures(row, ["exits", "revenue", "excess"]));
            }
        }
        let open = self.at_gate.iter().filter_map(|(_, shift)| shift.clone());
        let mut sheets = BTreeMap::new();
        for id in self.closed.iter().cloned().chain(open) {
            let sheet = central.http.get(&format!("/api/shifts/{id}")).ok().body;
            let shift = &sheet["shift"];
            let mut sum = figures(&shift["figures"], ["exits", "revenue", ""]);
            add(&mut sum, figures(&shift["addendum"], ["exits", "revenue", ""]));
            sum[2] = shift["excess"].as_i64().unwrap();
            assert_eq!(sum, of_shift.get(&id).copied().unwrap_or_default(), "{}: {id}: {sheet}", central.id);
            let mut listed = [0; 3];
            let mut offset = Some(0);
            while let Some(from) = offset {
                let page = central.http.get(&format!("/api/shifts/{id}/exits?limit=1000&offset={from}")).ok().body;
                for exit in page["exits"].as_array().unwrap() {
                    add(&mut listed, [1, exit["collected"].as_i64().unwrap(), exit["excess"].as_i64().unwrap()]);
                }
                offset = page["next_offset"].as_i64();
            }
            assert_eq!(listed, sum, "{}: the exits of {id}", central.id);
            sheets.insert(id, sheet);
        }
        sheets
    }

    /// In the end: the script of an auditor makes the same of the facts, and the tables are what the facts give.
    fn finish(mut self) {
        self.check();
        let [counted, revenue, excess] = self.books().values().fold([0; 3], |mut all, sum| {
            add(&mut all, *sum);
            all
        });
        for central in &mut self.mesh.centrals {
            central.terminate();
            central.env("PARKMESH_CLOCK", "");
            let verified = central.subcommand("verify").output().unwrap();
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
            let file = central.directory().join("day.jsonl");
            let made = central
                .subcommand("export")
                .args(["--from", &self.day, "--to", &self.day])
                .arg(&file)
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/audit/check_export.py");
            let checked = Command::new("python3").arg(script).arg(&file).output().unwrap();
            let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
            assert!(
                checked.status.success() && said.contains(&format!(" {revenue} đồng")),
                "{}: {revenue}: {said}",
                central.id
            );
        }
        println!("{counted} exits, {revenue} đ, {excess} đ beyond; {:?}", self.did);
    }
}

/// The car that this was taken of.
fn held_name(all: &BTreeMap<String, Taken>, of: &Taken) -> String {
    let same = |(_, taken): &(&String, &Taken)| std::ptr::eq(*taken, of) || format!("{taken:?}") == format!("{of:?}");
    all.iter().find(same).map(|(name, _)| name.clone()).unwrap()
}

/// Callers at a central that are logged in: `sep` administers, `chi` leads shifts, the others work at gates.
fn people(central: &Central) -> BTreeMap<&'static str, Http> {
    let body = json!({"code": central.first_code(), "name": "sep", "password": PASSWORD});
    let sep = central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie());
    let mut all = BTreeMap::new();
    for (name, role) in [("lan", "operator"), ("an", "operator"), ("chi", "shift_lead")] {
        sep.post("/api/access/people", &json!({"name": name, "role": role, "password": PASSWORD})).ok();
        let reply = central.http.post("/api/access/login", &json!({"name": name, "password": PASSWORD})).ok();
        all.insert(name, central.http.with("Cookie", reply.cookie()));
    }
    let token = sep.post("/api/access/tokens", &json!({"name": "bank", "role": "operator"})).ok();
    all.insert("bank", central.http.with("Authorization", format!("Bearer {}", token.field("token"))));
    all.insert("sep", sep);
    all
}

/// The takings of a day, which are those of `/api/stats`.
fn takings(central: &Central, day: &str, more: &str) -> Sums {
    let answer = central.http.get(&format!("/api/takings?from={day}&to={day}{more}")).ok().body;
    let mut sums = Sums::new();
    for row in answer["takings"].as_array().unwrap() {
        let key =
            ["central", "edge_id", "by", "method", "camera_type"].map(|part| row[part].as_str().unwrap().to_owned());
        add(sums.entry(key).or_default(), figures(row, ["exits", "revenue", "excess"]));
    }
    let all = sums.values().fold([0; 3], |mut all, sum| {
        add(&mut all, *sum);
        all
    });
    assert_eq!(all, figures(&answer, ["exits", "revenue", "excess"]), "{answer}");
    let stats = central.http.stats();
    assert_eq!((&answer["exits"], &answer["revenue"]), (&stats["exits_today"], &stats["revenue_today"]), "{stats}");
    sums.retain(|_, sum| *sum != [0; 3]);
    sums
}

fn play(exits: usize, checks: usize, seed: u64) {
    println!("PARKMESH_SEED={seed}");
    let mut play = Play::start(seed);
    for check in 1..=checks {
        while play.taken.len() < exits * check / checks {
            play.step();
        }
        play.check();
    }
    play.finish();
}

#[test]
fn every_sum_of_a_day_of_cuts_kills_and_corrections_is_the_sum_of_its_facts() {
    play(120, 2, seed());
}

/// `cargo test --test takings -- --ignored --nocapture`: 2,000 exits; `EXITS=20000` for more.
#[test]
#[ignore = "minutes"]
fn every_sum_of_two_thousand_exits_is_the_sum_of_their_facts() {
    let exits = std::env::var("EXITS").ok().and_then(|exits| exits.parse().ok()).unwrap_or(2_000);
    play(exits, 10, seed());
}
