//! A peer that was let in and does its worst: well-formed frames over real TLS against real centrals. What it says in the name of
//! others is taken by nobody; gates, and replication among the others, go on; once it is expelled all make the same of what is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::central::P2P_PORT;
use common::flood::Ends;
use common::{Central, DEADLINE, Dice, Mesh, eventually};
use parkmesh::domain::authorship::{Author, Proof};
use parkmesh::domain::doer::{Doer, DoerKind};
use parkmesh::domain::event::{Body, Correction, Draft, Entry, Exit, PriceList, RightFee, TariffUpdate, Void};
use parkmesh::domain::fingerprint::Fingerprint;
use parkmesh::domain::ids::{Epoch, FactId, Hlc, LogId};
use parkmesh::domain::money::Vnd;
use parkmesh::domain::plate::PlateId;
use parkmesh::domain::standing::{CentralStanding, Standing};
use parkmesh::domain::tariff::Tariff;
use parkmesh::domain::time::SiteZone;
use parkmesh::replication::log::{EventBytes, Head, Run};
use parkmesh::tls::credentials::Credentials;
use parkmesh::tls::key_file;
use parkmesh::tls::peers::Client;
use parkmesh::wire::frame::{Beat, Encoder, Frame, Hello, Instance, SyncRequest, Versions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message, WebSocket};

const BAD: &str = "central-9";
/// More memory than this must it not cost, however long it goes on.
const MOST_GROWTH_KIB: u64 = 64 * 1024;

/// A central that has a key, was let in, and says what it likes.
struct Bad {
    /// As which central it was let in.
    name: &'static str,
    credentials: Credentials,
    /// Another key that it says is its own, to some.
    second: Credentials,
    socket: Option<WebSocket<StreamOwned<ClientConnection, TcpStream>>>,
    address: String,
    encoder: Encoder,
    /// What it gives who asks for a log that it announced.
    logs: BTreeMap<LogId, Vec<EventBytes>>,
    given: BTreeSet<LogId>,
    /// How far others hold which logs, as they told: to go on from there.
    heard: BTreeMap<LogId, Head>,
    dice: Dice,
}

impl Bad {
    fn new(target: &Central) -> Self {
        Self::named(BAD, target)
    }

    fn named(name: &'static str, target: &Central) -> Self {
        let credentials = || {
            let directory = tempfile::tempdir().unwrap();
            key_file::open_or_make(directory.path()).unwrap().credentials
        };
        Self {
            name,
            credentials: credentials(),
            second: credentials(),
            socket: None,
            address: format!("{}:{P2P_PORT}", target.ip),
            encoder: Encoder::new(name.parse().unwrap()),
            logs: BTreeMap::new(),
            given: BTreeSet::new(),
            heard: BTreeMap::new(),
            dice: Dice(common::seed()),
        }
    }

    /// Links, if it is let in.
    fn link(&mut self) -> bool {
        let Ok(stream) = TcpStream::connect(&self.address) else { return false };
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let config = Client::new(&self.credentials, None).unwrap().config();
        let session = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        let mut request = format!("ws://{}/", self.address).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "parkmesh.1".parse().unwrap());
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return false,
            }
        }
        stream.sock.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let Ok((socket, _)) = tungstenite::client(request, stream) else { return false };
        socket.get_ref().sock.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        self.socket = Some(socket);
        let instance = Instance(self.dice.roll());
        self.say(&Frame::Hello(Hello {
            versions: Versions { min: 1, max: 1 },
            capabilities: Vec::new(),
            central: self.name.parse().unwrap(),
            instance,
            wall_ms: 0,
            listens: None,
            start: None,
            site: None,
        }));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            match self.hear() {
                Ok(Some(text)) => return text.contains(r#""type":"HELLO""#),
                Ok(None) => {}
                Err(()) => return false,
            }
        }
        false
    }

    fn say(&mut self, frame: &Frame) {
        let text = self.encoder.encode(0, frame);
        self.say_text(text);
    }

    fn say_text(&mut self, text: String) {
        if self.socket.as_mut().is_some_and(|socket| socket.send(Message::text(text)).is_err()) {
            self.socket = None;
        }
    }

    /// `Err`: the link has ended.
    fn hear(&mut self) -> Result<Option<String>, ()> {
        let Some(socket) = &mut self.socket else { return Err(()) };
        match socket.read() {
            Ok(Message::Text(text)) => Ok(Some(text.to_string())),
            Ok(Message::Close(_)) => {
                self.socket = None;
                Err(())
            }
            Ok(_) => Ok(None),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(_) => {
                self.socket = None;
                Err(())
            }
        }
    }

    /// Gives whoever asks what was announced.
    fn serve(&mut self) {
        while let Ok(Some(text)) = self.hear() {
            let request = match Frame::parse(&text) {
                Ok(Frame::SyncRequest(request)) => request,
                Ok(Frame::HaveLogs(heads)) => {
                    self.heard.extend(heads.into_iter().filter(|(log, _)| log.central.as_str() != BAD));
                    continue;
                }
                _ => continue,
            };
            // A log of another, of this start or an earlier one, is continued soundly.
            if request.after > 0 && self.heard.contains_key(&request.log) {
                let event = self.events(&request.log, request.after + 1).pop().unwrap();
                let hash = request.hash.extend(&event);
                let run = Run { log: request.log, after: request.after, prev: request.hash, events: vec![event], hash };
                self.say(&Frame::SyncRun { sub: request.sub, run });
                continue;
            }
            let Some(events) = self.logs.get(&request.log).cloned() else { continue };
            if request.after == 0 {
                self.given.insert(request.log.clone());
                let run = run_of(&request.log, events);
                self.say(&Frame::SyncRun { sub: request.sub, run });
            }
        }
    }

    fn announce(&mut self, logs: Vec<(LogId, Vec<EventBytes>)>) {
        let heads = logs.iter().map(|(log, events)| (log.clone(), run_of(log, events.clone()).head())).collect();
        self.logs.extend(logs);
        self.say(&Frame::HaveLogs(heads));
    }

    fn log(&mut self, central: &str) -> LogId {
        LogId { central: central.parse().unwrap(), epoch: Epoch(self.dice.roll()) }
    }

    /// Events of a log, each with the clock and the body that harms most; signed with its own key, or by nobody, as the dice
    /// fall.
    fn events(&mut self, log: &LogId, count: u64) -> Vec<EventBytes> {
        let key = if self.dice.below(3) == 0 { self.second.clone() } else { self.credentials.clone() };
        let signer = (self.dice.below(3) > 0).then_some(key);
        self.events_of(log, count, signer)
    }

    fn events_of(&mut self, log: &LogId, count: u64, signer: Option<Credentials>) -> Vec<EventBytes> {
        let now_ms = now_ms();
        let mut author = signer.map(|signer| Author::new([7; 32], Box::new(signer)));
        (1..=count)
            .map(|seq| {
                let clocks = [0, now_ms, Hlc::latest_believed(now_ms).ms() - 86_400_000, Hlc::MAX_MS - 1, Hlc::MAX_MS];
                let hlc = Hlc::new(clocks[usize::try_from(self.dice.below(5)).unwrap()]).unwrap();
                let body = self.body(log);
                let event_id = Some(format!("{}_{now_ms}_{seq}", log.central));
                let proof = author.as_mut().map(|author| author.proof(log, seq)).unwrap_or_default();
                let draft = Draft { hlc, timestamp_ms: now_ms, skew_ms: None, event_id, body, by: None };
                draft.encode_as(log, seq, log.central.as_str(), None, &proof).unwrap().into()
            })
            .collect()
    }

    fn body(&mut self, log: &LogId) -> Body {
        match self.dice.below(6) {
            4 => {
                // What others wrote is removed, or closed for nothing.
                let heard =
                    self.heard.iter().flat_map(|(log, head)| (1..=head.to.min(5)).map(|seq| (log.clone(), seq)));
                let removes: Vec<FactId> = heard.map(|(log, seq)| FactId::Authored { log, seq }).take(20).collect();
                Body::Void(Void { removes, money: Vec::new(), reason: "evil".into(), by: None })
            }
            5 => Body::Exit(Exit {
                force: true,
                ..Exit::of(Some(PlateId::parse("66A66666").unwrap()), "central-1", "edge-1", Vnd(0))
            }),
            0 => {
                let mut tariff = Tariff::default();
                tariff.base.fee_per_hour = Vnd(666);
                Body::Tariff(TariffUpdate { tariff })
            }
            1 => admission(BAD, &self.credentials),
            2 => {
                let removes = (1..20).map(|seq| FactId::Authored { log: log.clone(), seq }).collect();
                Body::Void(Void { removes, money: Vec::new(), reason: "evil".into(), by: None })
            }
            _ => Body::Entry(Entry {
                plate_view: "66A-666.66".into(),
                force: true,
                ..Entry::of(PlateId::parse("66A66666").unwrap(), "edge-evil")
            }),
        }
    }

    /// Tells all that this key stands for that central.
    fn admits(&mut self, central: &str, key: &Credentials) -> LogId {
        let log = self.log(self.name);
        let (hlc, body) = (Hlc::new(now_ms()).unwrap(), admission(central, key));
        let draft = Draft { hlc, timestamp_ms: now_ms(), skew_ms: None, event_id: None, body, by: None };
        let proof = Author::new([7; 32], Box::new(self.credentials.clone())).proof(&log, 1);
        let event: EventBytes = draft.encode_as(&log, 1, log.central.as_str(), None, &proof).unwrap().into();
        self.gives_log(&log, &[event]);
        log
    }

    /// A log that is asked for, whatever becomes of it: it is announced until somebody does.
    fn gives(&mut self, central: &str, events: Option<EventBytes>) {
        let log = self.log(central);
        let events = events.map_or_else(|| self.events(&log, 3), |event| vec![event]);
        self.gives_log(&log, &events);
    }

    fn gives_log(&mut self, log: &LogId, events: &[EventBytes]) {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if self.socket.is_none() && !self.link() {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            self.announce(vec![(log.clone(), events.to_vec())]);
            let announced = Instant::now();
            while announced.elapsed() < Duration::from_secs(1) && self.socket.is_some() {
                self.serve();
                if self.given.contains(log) {
                    return;
                }
            }
        }
        panic!("nobody asked for {log}");
    }

    /// One of the things it may do.
    fn turn(&mut self) {
        if self.socket.is_none() && !self.link() {
            std::thread::sleep(Duration::from_millis(50));
            return;
        }
        match self.dice.below(10) {
            8 => {
                let beyond = |(log, head): (&LogId, &Head)| (log.clone(), Head { to: head.to + 1, ..*head });
                let heads: BTreeMap<LogId, Head> = self.heard.iter().map(beyond).collect();
                if !heads.is_empty() {
                    self.say(&Frame::HaveLogs(heads));
                }
            }
            9 => {
                let logs: Vec<_> = (0..50).map(|_| self.log(BAD)).collect();
                let logs = logs.into_iter().map(|log| (log.clone(), self.events(&log, 1))).collect();
                self.announce(logs);
            }
            0 => {
                let logs: Vec<LogId> = (0..300).map(|_| self.log("central-2")).collect();
                let heads = logs.into_iter().map(|log| (log.clone(), Head { to: 9, ..Head::empty(&log) })).collect();
                self.say(&Frame::HaveLogs(heads));
            }
            1 | 2 => {
                let central =
                    ["central-1", "central-2", "central-77", BAD][usize::try_from(self.dice.below(4)).unwrap()];
                let log = self.log(central);
                let events = self.events(&log, 5);
                self.announce(vec![(log, events)]);
            }
            3 => {
                let log = self.log(BAD);
                let fat = format!(r#"{{"type":"X","pad":"{}"}}"#, "x".repeat(900_000)).into();
                self.announce(vec![(log, vec![fat])]);
            }
            4 => {
                let log = self.log("central-1");
                let head = Head::empty(&log);
                let request = SyncRequest { sub: self.dice.below(50), log, after: 0, hash: head.hash };
                self.say(&Frame::SyncRequest(request));
            }
            5 => self.say_text("no frame at all".into()),
            6 => {
                let sub = self.dice.below(50);
                let head = Head { to: self.dice.below(9), ..Head::empty(&self.log("central-1")) };
                self.say(&Frame::SyncAck { sub, head });
            }
            _ => {
                let key = |number: u64| Fingerprint::of_certificate(&number.to_be_bytes());
                let keys =
                    (0..100).map(|number| (format!("central-{}", 1 + number).parse().unwrap(), vec![key(number)]));
                let mut keys: BTreeMap<_, _> = keys.collect();
                keys.insert(BAD.parse().unwrap(), vec![self.second.fingerprint(), key(self.dice.roll())]);
                let heartbeat = Beat { wall_ms: i64::MAX / 4, keys, ..Beat::default() };
                self.say(&Frame::Heartbeat(heartbeat));
            }
        }
        self.serve();
        // Not to remember more than it does harm with.
        while self.logs.len() > 1_000 {
            self.logs.pop_first();
        }
    }
}

fn admission(central: &str, key: &Credentials) -> Body {
    Body::Central(CentralStanding {
        central: central.parse().unwrap(),
        fingerprint: key.fingerprint(),
        standing: Standing::Admitted,
        ip: None,
        p2p_port: None,
        reason: None,
        by: None,
    })
}

fn run_of(log: &LogId, events: Vec<EventBytes>) -> Run {
    let prev = Head::empty(log).hash;
    let hash = events.iter().fold(prev, |hash, event| hash.extend(event));
    Run { log: log.clone(), after: 0, prev, events, hash }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Three centrals that expect a fourth.
fn mesh_that_knows_it() -> Mesh {
    let mut mesh = Mesh::new(3);
    for central in &mut mesh.centrals {
        central.config["security"]["p2p"] = json!("tls");
        central.add_peer(BAD, "127.0.0.1", 1);
    }
    mesh.start_all();
    // A log of each that ends with this process.
    for (number, central) in mesh.centrals.iter().enumerate() {
        central.http.enter("edge-1", &format!("30A0000{number}"));
    }
    // Their keys are not new any more: for ten minutes a central with a new key would believe that it wrote what it is given.
    for central in &mut mesh.centrals {
        central.terminate();
        key_file::settle(&central.data_directory()).unwrap();
    }
    mesh.start_all();
    mesh
}

fn logs_held(central: &Central) -> Vec<LogId> {
    let database = rusqlite::Connection::open(central.database()).unwrap();
    let mut statement = database.prepare("SELECT name FROM log WHERE head > 0").unwrap();
    let names: Vec<String> = statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The certificate of a central, as its logs show it.
fn own_key(central: &Central) -> String {
    let pem = std::fs::read_to_string(central.data_directory().join(key_file::IDENTITY_FILE)).unwrap();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    der.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first event of each log.
fn first_events(central: &Central) -> Vec<(LogId, String)> {
    let database = rusqlite::Connection::open(central.database()).unwrap();
    let sql = "SELECT name, bytes FROM log JOIN event ON event.id = (log.no << 40) + 1";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap).map(|(name, first)| (name.parse().unwrap(), first)).collect()
}

fn resident_kib(central: &Central) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", central.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn fee_per_hour(central: &Central) -> Value {
    central.http.get("/api/parking/fees").ok().body["fees"]["fee_per_hour"].clone()
}

fn set_tariff(mesh: &Mesh, per_hour: i64) {
    let fees = json!({"fees": {"fee_base": 0, "fee_per_hour": per_hour, "fee_overnight": 0, "fee_daily_max": 0}});
    mesh.centrals[0].http.put("/api/parking/fees", &fees).ok();
}

fn tariff_is_everywhere(mesh: &Mesh, per_hour: i64) -> bool {
    mesh.centrals.iter().all(|central| fee_per_hour(central) == per_hour)
}

/// A person sets the tariff at one central: it is in force there at once, and everywhere soon.
fn tariff_can_be_set(mesh: &Mesh, per_hour: i64) {
    set_tariff(mesh, per_hour);
    assert_eq!(fee_per_hour(&mesh.centrals[0]), per_hour);
    eventually("the tariff is in force everywhere", DEADLINE, || tariff_is_everywhere(mesh, per_hour));
}

fn does_its_worst(for_time: Duration) {
    let mesh = mesh_that_knows_it();
    mesh.wait_linked(DEADLINE);
    let honest: Vec<usize> = vec![1, 2];
    mesh.centrals[0].http.enter("edge-1", "29A00000");
    mesh.wait_equal(DEADLINE);
    let own_logs = |central: &Central| -> Vec<LogId> {
        let is_of_the_mesh = |log: &LogId| log.central.as_str() != BAD;
        let mut logs: Vec<LogId> = logs_held(central).into_iter().filter(is_of_the_mesh).collect();
        logs.sort();
        logs
    };
    let (before_kib, stop) = (resident_kib(&mesh.centrals[0]), AtomicBool::new(false));
    let begun = Instant::now();
    let mut bad = Bad::new(&mesh.centrals[0]);
    let fingerprint = bad.credentials.fingerprint();
    for central in ["central-2", "central-77"] {
        let admission = bad.admits(central, &bad.credentials.clone());
        eventually("its word is held", DEADLINE, || mesh.centrals.iter().all(|it| logs_held(it).contains(&admission)));
    }
    for central in ["central-1", "central-2", "central-77"] {
        // One without a signature may be of an older version: that is told if it stays so for a minute.
        let log = bad.log(central);
        let events = bad.events_of(&log, 3, Some(bad.credentials.clone()));
        bad.gives_log(&log, &events);
        let told = |line: &str| line.contains("alarm=log_not_its_authors") && line.contains(&format!("{central}/"));
        eventually("what is in another's name is told", DEADLINE, || mesh.centrals[0].log().lines().any(told));
    }
    bad.gives(BAD, Some(format!(r#"{{"type":"X","pad":"{}"}}"#, "x".repeat(900_000)).into()));
    let turns = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (stop, turns) = (&stop, &turns);
        let _ends = Ends(stop);
        let hostile = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                bad.turn();
                turns.fetch_add(1, Ordering::Relaxed);
            }
            bad
        });
        let start = Instant::now();
        let mut car = 0;
        // Long enough, and until it did something.
        while start.elapsed() < for_time || turns.load(Ordering::Relaxed) <= 100 {
            assert!(start.elapsed() < for_time + 3 * DEADLINE, "it did something: {turns:?}");
            car += 1;
            let plate = format!("29A{:05}", 10_000 + car);
            for central in [0, honest[car % 2]] {
                let edge = format!("edge-{central}");
                let plate = format!("{plate}{central}");
                let plate = &plate[plate.len() - 8..];
                mesh.centrals[central].http.enter(&edge, plate);
                eventually("a car is known everywhere", DEADLINE, || {
                    mesh.centrals.iter().all(|other| other.http.rows_of(plate).len() == 1)
                });
                // It may remove what it heard of, the entry of a moment ago too: then there is no car to let out, and that is said.
                let left = mesh.centrals[central].http.press(&edge, plate, "EXIT");
                if left.status == 409 {
                    let row = mesh.centrals[central].http.rows_of(plate).remove(0);
                    assert_eq!((left.field("code"), &row["status"]), ("not_inside", &json!("VOID")), "{row}");
                } else {
                    assert_eq!(left.ok().field("action"), "EXIT");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut bad = hostile.join().unwrap();
        println!("{} logs of its own are held", logs_held(&mesh.centrals[0]).len());
        // What it said last may be under way, with a price of its own and the greatest clock: then it is set once more.
        eventually("the tariff can be set though it is let in", DEADLINE, || {
            if fee_per_hour(&mesh.centrals[0]) != 7_000 {
                set_tariff(&mesh, 7_000);
            }
            tariff_is_everywhere(&mesh, 7_000)
        });
        mesh.centrals[0].http.post(&format!("/api/p2p/peers/{BAD}/expel"), &json!({"reason": "stolen"})).ok();
        eventually("it is out", DEADLINE, || {
            let status = mesh.centrals[0].http.p2p_status();
            let peers = status["peers"].as_array().unwrap();
            peers.iter().any(|peer| peer["peer_id"] == BAD && peer["expelled"] == true && peer["connected"] == false)
        });
        bad.socket = None;
        assert!(!bad.link(), "and is not let in again");
    });
    println!("{turns:?} turns of {fingerprint}");
    // What it gave to one alone, unsigned, is taken by the others now; they ask for it again within a minute.
    mesh.wait_equal(DEADLINE + Duration::from_secs(60));
    tariff_can_be_set(&mesh, 8_000);
    // Nobody holds a word in another's name: each of these logs is one of those the three began.
    let logs = own_logs(&mesh.centrals[0]);
    assert!(mesh.centrals.iter().all(|central| own_logs(central) == logs));
    // Each is one its central began: it may say of the present one that it holds more, and then another is begun, now and then.
    let keys: BTreeMap<&str, String> = mesh.centrals.iter().map(|it| (it.id.as_str(), own_key(it))).collect();
    for central in &mesh.centrals {
        for (log, first) in first_events(central).into_iter().filter(|(log, _)| log.central.as_str() != BAD) {
            let opened_by = Proof::of(&first).opening().map(|(_, by)| by.certificate.clone()).unwrap();
            assert_eq!(opened_by, keys[log.central.as_str()], "{log} at {}", central.id);
        }
    }
    // As long as it was, on a slow machine longer than it was to be.
    let most = 2 + 8 + 1 + usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    for central in &mesh.centrals {
        let count = logs.iter().filter(|log| log.central.as_str() == central.id).count();
        assert!(count <= most, "{count} logs of {}: {logs:?}", central.id);
    }
    for central in &mesh.centrals {
        let forged = central.http.rows_of("66A66666");
        let of_others = forged.iter().find(|row| row["source_central"] != BAD);
        assert!(of_others.is_none(), "{of_others:?}");
    }
    let told = mesh.centrals[0].log();
    for alarm in ["log_not_its_authors", "oversized_event"] {
        assert!(told.lines().any(|line| line.contains(&format!("alarm={alarm}")) && line.contains(BAD)), "{alarm}");
    }
    let after_kib = resident_kib(&mesh.centrals[0]);
    println!("resident before {before_kib} KiB, after {after_kib} KiB");
    assert!(after_kib < before_kib + MOST_GROWTH_KIB, "{before_kib} KiB, then {after_kib} KiB");
}

#[test]
fn a_peer_that_does_its_worst_harms_nobody_else_and_is_out_when_it_is_expelled() {
    does_its_worst(Duration::from_secs(6));
}

/// It lets in accomplices of its choice, of whom one was linked when it is expelled and one was not. That is told; and the one nobody met is
/// let in no more.
#[test]
fn whom_an_expelled_one_let_in_and_nobody_met_is_let_in_no_more() {
    let mut mesh = mesh_that_knows_it();
    let central = &mesh.centrals[0];
    let mut bad = Bad::new(central);
    let [mut met, mut unmet] = ["sleeper-1", "sleeper-2"].map(|name| Bad::named(name, central));
    for accomplice in [&met, &unmet] {
        let said = bad.admits(accomplice.name, &accomplice.credentials);
        eventually("its word is held", DEADLINE, || mesh.centrals.iter().all(|it| logs_held(it).contains(&said)));
    }
    for central in &mesh.centrals {
        eventually("it is told whom it let in", DEADLINE, || {
            let shown = central.http.p2p_status()["admitted"].as_array().unwrap().clone();
            let by: Vec<_> = shown.iter().filter(|one| one["by"] == BAD).map(|one| one["central"].clone()).collect();
            by.contains(&json!("sleeper-1")) && by.contains(&json!("sleeper-2"))
        });
        eventually("in the log, too", DEADLINE, || {
            let log = central.log();
            let lines = || log.lines().filter(|line| line.contains("event=central_admitted") && line.contains(BAD));
            ["sleeper-1", "sleeper-2"].iter().all(|name| lines().any(|line| line.contains(name)))
        });
        // Of one central the first is told at once, the others are counted.
        eventually("and in the audit", DEADLINE, || {
            let audit = central.http.get("/api/access/audit").ok().text;
            audit.contains("sleeper-1") && audit.contains("central:central-9")
        });
    }
    let central = &mesh.centrals[0];
    eventually("one is linked", DEADLINE, || met.link());
    assert_eq!(peer(central, "sleeper-1")["let_in_by"], BAD);
    central.http.post(&format!("/api/p2p/peers/{BAD}/expel"), &json!({"reason": "bad"})).ok();
    let out = |it: &mut Bad| !it.link();
    assert!(out(&mut bad) && out(&mut unmet), "neither is let in any more");
    assert_eq!(peer(central, "sleeper-1")["let_in_by"], BAD, "who was met stays, where everybody sees it");
    mesh.centrals[0].terminate();
    mesh.centrals[0].start();
    assert!(out(&mut bad) && out(&mut unmet), "nor after a restart");
    eventually("who was met is linked again", DEADLINE, || met.link());
    // A person may know better.
    let central = &mesh.centrals[0];
    let waits = central.http.p2p_status()["pending"].clone();
    let fingerprint = unmet.credentials.fingerprint();
    assert!(waits.as_array().unwrap().iter().any(|one| one["fingerprint"] == fingerprint.to_string()), "{waits}");
    let place = json!({"ip": "127.0.0.1", "p2p_port": 2});
    central.http.post(&format!("/api/p2p/pending/{fingerprint}"), &place).ok();
    eventually("it is linked", DEADLINE, || unmet.link());
    assert_eq!(peer(central, "sleeper-2")["let_in_by"], Value::Null);
}

/// It takes back what people announced, at one stroke: every audit says who did, and a person announces it again.
#[test]
fn prices_it_takes_back_are_told_everywhere_under_its_name_and_announced_again_by_a_press() {
    let mesh = mesh_that_knows_it();
    let moments = ["2099-01-01 00:00:00", "2099-02-01 00:00:00"];
    let announce = |moment: &str| {
        let fees = json!({"fee_base": 0, "fee_per_hour": 9_000, "fee_overnight": 0, "fee_daily_max": 0});
        mesh.centrals[0].http.put("/api/parking/fees", &json!({"valid_from": moment, "fees": fees})).ok();
    };
    let announced = |central: &Central| -> Vec<Value> {
        let held = central.http.get("/api/parking/fees").ok().body["announced"].clone();
        held.as_array().unwrap().iter().map(|one| one["valid_from"].clone()).collect()
    };
    moments.into_iter().for_each(announce);
    eventually("they are announced everywhere", DEADLINE, || mesh.centrals.iter().all(|it| announced(it) == moments));
    let mut bad = Bad::new(&mesh.centrals[0]);
    let log = bad.log(BAD);
    let mut author = Author::new([7; 32], Box::new(bad.credentials.clone()));
    let (zone, long_ago_ms) = (SiteZone::default(), now_ms() - 2 * 24 * 60 * 60 * 1_000);
    let events: Vec<EventBytes> = (1..)
        .zip(moments)
        .map(|(seq, moment)| {
            let valid_from_ms = Some(zone.parse_local_text(moment).unwrap());
            let (body, by) = (Body::PriceList(PriceList { valid_from_ms, tariff: None }), None);
            let hlc = Hlc::new(now_ms() + 60_000).unwrap();
            // The first is heard of two days late.
            let timestamp_ms = if seq == 1 { long_ago_ms } else { now_ms() };
            let draft = Draft { hlc, timestamp_ms, skew_ms: None, event_id: None, body, by };
            let proof = author.proof(&log, seq);
            draft.encode_as(&log, seq, BAD, None, &proof).unwrap().into()
        })
        .collect();
    bad.gives_log(&log, &events);
    let late = format!("{} [{}]", moments[0], zone.local_text(long_ago_ms));
    for central in &mesh.centrals {
        eventually("they are taken back", DEADLINE, || announced(central).is_empty());
        eventually("and that is in the audit", DEADLINE, || {
            let audit = central.http.get("/api/access/audit").ok().body;
            audit["entries"].as_array().unwrap().iter().any(|entry| {
                let what = entry["what"].as_str().unwrap_or_default();
                entry["kind"] == "tariff" && entry["who"] == "central:central-9" && what == late
            })
        });
        assert!(central.log().contains("event=prices_changed_elsewhere central=central-9"));
    }
    moments.into_iter().for_each(announce);
    eventually("the later word counts", DEADLINE, || mesh.centrals.iter().all(|it| announced(it) == moments));
}

fn peer(central: &Central, id: &str) -> Value {
    let status = central.http.p2p_status();
    status["peers"].as_array().unwrap().iter().find(|peer| peer["peer_id"] == id).unwrap_or(&Value::Null).clone()
}

/// What it writes in its own name is taken, as it was let in for that; but it does not fill the disk.
#[test]
fn who_fills_the_disk_in_its_own_name_is_slowed_and_told_of() {
    let mut mesh = mesh_that_knows_it();
    mesh.centrals[0].terminate();
    // As much is free nowhere.
    mesh.centrals[0].config["tuning"]["low_disk_mb"] = json!(1_000_000);
    mesh.centrals[0].write_config();
    mesh.start_all_but_linked();
    let central = &mesh.centrals[0];
    let size = || std::fs::metadata(central.database()).unwrap().len() + wal_bytes(central);
    let before = size();
    let mut bad = Bad::new(central);
    let start = Instant::now();
    let told = || central.log().contains("alarm=too_much_of_one");
    let mut gave = 0;
    while !told() {
        assert!(start.elapsed() < 3 * DEADLINE, "{gave} logs were taken, and nobody was told");
        if bad.socket.is_none() && !bad.link() {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        let logs: Vec<LogId> = (0..8).map(|_| bad.log(BAD)).collect();
        let fat = |number: usize| format!(r#"{{"type":"X","n":{number},"pad":"{}"}}"#, "x".repeat(15_000)).into();
        bad.announce(logs.into_iter().map(|log| (log, (0..16).map(fat).collect())).collect());
        let announced = Instant::now();
        while announced.elapsed() < Duration::from_millis(300) {
            bad.serve();
        }
        gave = bad.given.len();
    }
    // It goes on for a while.
    let still = Instant::now();
    while still.elapsed() < Duration::from_secs(2) {
        bad.turn();
    }
    let grown = size() - before;
    println!("{gave} logs of 240 kB, {} MB grown", grown / 1_000_000);
    assert!(grown < 64 << 20, "{grown} bytes");
    let status = central.http.p2p_status();
    let taken =
        status["peers"].as_array().unwrap().iter().find(|peer| peer["peer_id"] == BAD).unwrap()["taken"].clone();
    assert!(taken["bytes"].as_u64().unwrap() > 16 << 20, "{status}");
    assert!(central.http.get("/metrics").text.contains(r#"parkmesh_taken_bytes{peer="central-9"}"#));
    central.http.enter("edge-1", "29A12345");
    mesh.centrals[1].http.enter("edge-1", "29A54321");
    eventually("the others are not held up", DEADLINE, || {
        mesh.centrals.iter().all(|it| ["29A12345", "29A54321"].iter().all(|plate| it.http.rows_of(plate).len() == 1))
    });
}

/// It writes exits into the gate of another, with the name of who has it, and corrects what he took: the sheet names it beside each, and he owes
/// nothing for an exit that his gate did not tell, after its expulsion neither.
#[test]
fn money_it_writes_into_the_gate_of_another_is_in_no_drawer_and_under_its_name() {
    let mut mesh = mesh_that_knows_it();
    mesh.centrals[0].terminate();
    mesh.centrals[0].security("admin", "password");
    mesh.centrals[0].write_config();
    mesh.centrals[0].start();
    mesh.wait_linked(DEADLINE);
    let central = &mesh.centrals[0];
    let code = json!({"code": central.first_code(), "name": "lan", "password": "ba con voi"});
    let lan = central.http.with("Cookie", central.http.post("/api/access/code", &code).ok().cookie());
    let opened = lan.post("/api/shifts", &json!({"edge_id": "edge-1", "opening_cash": 100_000})).ok().body;
    let id = opened["shift"]["id"].as_str().unwrap().to_owned();
    let stay = lan.enter("edge-1", "29A00001");
    let out = json!({"edge_id": "edge-1", "plate_id": "29A00001", "direction": "EXIT", "force": true, "reason": "thử", "fee": 20_000});
    lan.open(&out).ok();
    let sheet = || central.http.get(&format!("/api/shifts/{id}")).ok().body;
    assert_eq!(sheet()["shift"]["expected_cash"], 120_000);
    let page = central.http.get(&format!("/api/shifts/{id}/exits")).ok().body;
    let own: FactId = page["exits"][0]["fact"].as_str().unwrap().parse().unwrap();
    let mut bad = Bad::new(central);
    let log = bad.log(BAD);
    let mut author = Author::new([7; 32], Box::new(bad.credentials.clone()));
    let forged = Exit {
        stay: Some(None),
        force: true,
        taken_by: Some(Doer::new(DoerKind::Person, "lan")),
        ..Exit::of(Some(PlateId::parse("66A66666").unwrap()), "central-1", "edge-1", Vnd(9_000_000))
    };
    // It does not say how much it changes.
    let right_fee = Some(RightFee { exit: own, before: Vnd(20_000), fee: Vnd(50_000) });
    let corrected = Correction { right_fee, reason: "bad".to_owned(), ..Correction::default() };
    let said = [("x".to_owned(), Body::Exit(forged)), (stay, Body::Correction(corrected))];
    let events: Vec<EventBytes> = (1..)
        .zip(said)
        .map(|(seq, (event_id, body))| {
            let (hlc, event_id, by) = (Hlc::new(now_ms()).unwrap(), Some(event_id), None);
            let draft = Draft { hlc, timestamp_ms: now_ms(), skew_ms: None, event_id, body, by };
            let proof = author.proof(&log, seq);
            draft.encode_as(&log, seq, BAD, None, &proof).unwrap().into()
        })
        .collect();
    bad.gives_log(&log, &events);
    eventually("it is told", DEADLINE, || sheet()["elsewhere"].as_array().unwrap().len() == 2);
    let is_named = || {
        let told = sheet();
        assert_eq!(
            (&told["shift"]["elsewhere"], &told["shift"]["expected_cash"]),
            (&json!(9_030_000), &json!(120_000)),
            "{told}"
        );
        let lines: Vec<_> = told["elsewhere"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                (
                    line["told_by"].as_str().unwrap().to_owned(),
                    line["kind"].as_str().unwrap().to_owned(),
                    line["counts"] == true,
                    line["amount"].as_i64().unwrap(),
                )
            })
            .collect();
        let line = |kind: &str, counts, amount| (BAD.to_owned(), kind.to_owned(), counts, amount);
        assert_eq!(lines, [line("correction", false, 30_000), line("exit", false, 9_000_000)]);
    };
    is_named();
    lan.post(&format!("/api/p2p/peers/{BAD}/expel"), &json!({"reason": "bad"})).ok();
    is_named();
    let closed = lan.post(&format!("/api/shifts/{id}/close"), &json!({"counted_cash": 120_000})).ok().body;
    assert_eq!(
        (&closed["shift"]["difference"], &closed["shift"]["figures"]["exits"]),
        (&json!(0), &json!(1)),
        "{closed}"
    );
}

fn wal_bytes(central: &Central) -> u64 {
    std::fs::metadata(central.data_directory().join("central.db-wal")).map_or(0, |wal| wal.len())
}

/// `HOSTILE_SECONDS=600 cargo test --release --test hostile -- --ignored --nocapture`
#[test]
#[ignore = "as long as there is time for"]
fn it_does_its_worst_for_long() {
    let seconds = std::env::var("HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    does_its_worst(Duration::from_secs(seconds));
}
