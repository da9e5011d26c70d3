//! A predecessor, played by a thread: its sockets, its frames and its rules, the bad ones too. It forgets what it could not
//! send, says everything over every connection, and answers a question over the connection it dialled itself.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parkmesh::domain::time::SiteZone;
use serde_json::{Value, json};

use super::ws::Ws;

/// The original waits 10 s before it dials again.
const REDIAL: Duration = Duration::from_millis(300);

const TABLE: &str = "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, plate_id TEXT NOT NULL, plate_view TEXT NOT NULL, \
    entry_time TEXT NOT NULL, entry_camera_id INTEGER, entry_camera_name TEXT, entry_confidence REAL, entry_source TEXT, \
    exit_time TEXT, exit_camera_id INTEGER, exit_camera_name TEXT, exit_confidence REAL, exit_source TEXT, duration TEXT, \
    fee INTEGER DEFAULT 0, status TEXT NOT NULL, created_at TEXT, updated_at TEXT, event_id TEXT, source_central TEXT, \
    edge_id TEXT, sync_status TEXT DEFAULT 'LOCAL')";

#[derive(Debug, Clone, PartialEq)]
pub struct OldRow {
    pub id: i64,
    pub event_id: String,
    pub plate: String,
    pub source: String,
    pub status: String,
    pub fee: i64,
    entered: String,
    exited: Option<String>,
    exit_camera: Option<String>,
    exit_source: &'static str,
    created_ms: i64,
}

#[derive(Default)]
struct State {
    rows: Vec<OldRow>,
    to_say: Vec<Value>,
    /// Frames it did not understand.
    errors: Vec<String>,
    hellos: usize,
    /// Peers it has dialled.
    links: usize,
    on_utc: bool,
}

impl State {
    fn local(&self, ms: i64) -> String {
        if self.on_utc { utc(ms) } else { local(ms) }
    }
}

/// One old central.
pub struct OldCentral {
    pub id: String,
    pub port: u16,
    v2: bool,
    state: Arc<Mutex<State>>,
    running: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Whom it dials: id and `ip:port`.
    peers: Vec<(String, String)>,
    listener: Option<TcpListener>,
}

impl Drop for OldCentral {
    fn drop(&mut self) {
        self.stop();
    }
}

fn now_ms() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

fn local(ms: i64) -> String {
    SiteZone::default().local_text(ms)
}

fn utc(ms: i64) -> String {
    SiteZone::named("UTC").unwrap().local_text(ms)
}

impl OldCentral {
    /// Of the first or the second revision, listening on 127.0.0.1, not running.
    pub fn new(id: &str, v2: bool) -> Self {
        // One that nobody takes between its end and its return, or before one of ours stands there.
        let port = super::net::own_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
        Self {
            id: id.to_owned(),
            port,
            v2,
            state: Arc::default(),
            running: Arc::default(),
            thread: None,
            peers: Vec::new(),
            listener: Some(listener),
        }
    }

    /// Its machine's clock shows UTC.
    pub fn on_utc(&mut self) {
        self.state.lock().unwrap().on_utc = true;
    }

    /// Runs, dialling `peer` (`ip:port`).
    pub fn start(&mut self, peer: &str) {
        self.start_among(vec![(String::new(), peer.to_owned())]);
    }

    /// Runs, dialling these: their ids, and `ip:port`.
    pub fn start_among(&mut self, peers: Vec<(String, String)>) {
        self.peers = peers;
        self.restart();
    }

    pub fn restart(&mut self) {
        let listener = self.listener.take().unwrap_or_else(|| {
            super::eventually_some("its port is free", super::DEADLINE, || {
                TcpListener::bind(("127.0.0.1", self.port)).ok()
            })
        });
        self.running.store(true, Ordering::Relaxed);
        let mut play = Play {
            id: self.id.clone(),
            v2: self.v2,
            state: self.state.clone(),
            outbound: self.peers.iter().map(|(id, address)| Client::new(id, address)).collect(),
            inbound: Vec::new(),
        };
        let running = self.running.clone();
        self.thread = Some(std::thread::spawn(move || {
            while running.load(Ordering::Relaxed) {
                play.turn(&listener);
            }
        }));
    }

    pub fn has_dialled_all(&self) -> bool {
        self.state.lock().unwrap().links == self.peers.len()
    }

    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Its process ends; its database stays.
    pub fn stop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the old central plays by its rules");
        }
        // What it could not send is forgotten.
        self.state.lock().unwrap().to_say.clear();
    }

    /// Its database, as the second revision makes one.
    pub fn save(&self, path: &std::path::Path) {
        let database = rusqlite::Connection::open(path).unwrap();
        database.execute_batch(TABLE).unwrap();
        for row in self.rows() {
            let at = |central: &str| format!("{central}/edge-1");
            let own = if row.source == self.id { "edge_manual" } else { "p2p_sync" };
            let columns = (row.id, &row.plate, &row.entered, at(&row.source), own, &row.exited, &row.exit_camera);
            let insert = "INSERT INTO history(id, plate_id, plate_view, entry_time, entry_camera_name, entry_source, exit_time, \
                exit_camera_name, exit_source, duration, fee, status, event_id, source_central, edge_id, sync_status, created_at, \
                updated_at) VALUES(?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '0 giờ 0 phút', ?9, ?10, ?11, ?12, 'edge-1', 'SYNCED', ?13, ?13)";
            let (id, plate, entered, camera, source, exited, exit_camera) = columns;
            let written = utc(row.created_ms);
            let exit_source = exited.as_ref().map(|_| row.exit_source);
            database
                .execute(
                    insert,
                    rusqlite::params![
                        id,
                        plate,
                        entered,
                        camera,
                        source,
                        exited,
                        exit_camera,
                        exit_source,
                        row.fee,
                        row.status,
                        row.event_id,
                        row.source,
                        written
                    ],
                )
                .unwrap();
        }
    }

    pub fn rows(&self) -> Vec<OldRow> {
        self.state.lock().unwrap().rows.clone()
    }

    pub fn row(&self, plate: &str) -> Option<OldRow> {
        self.rows().into_iter().rev().find(|row| row.plate == plate)
    }

    pub fn errors(&self) -> Vec<String> {
        self.state.lock().unwrap().errors.clone()
    }

    /// A car comes in at its gate.
    pub fn enter(&self, plate: &str) -> String {
        let at_ms = now_ms();
        let event_id = format!("{}_{at_ms}_{plate}", self.id);
        let mut state = self.state.lock().unwrap();
        let entered = state.local(at_ms);
        insert(&mut state, &event_id, plate, &self.id, &entered);
        let edge: Value = if self.v2 { json!(1) } else { json!("edge-1") };
        state.to_say.push(json!({
            "type": "VEHICLE_ENTRY_PENDING", "source_central": self.id, "timestamp": at_ms, "event_id": event_id,
            "data": {"plate_id": plate, "plate_view": plate, "edge_id": edge, "camera_type": if self.v2 { "ENTRY" } else { "unknown" },
                     "direction": "ENTRY", "entry_time": entered},
        }));
        event_id
    }

    /// A car that is inside leaves at its gate.
    pub fn leave(&self, plate: &str, fee: i64) {
        let frame = self.let_out(plate, fee);
        self.say(frame);
    }

    /// v1: a car leaves, as its edge program reports. It tells nobody.
    pub fn leave_unsaid(&self, plate: &str, fee: i64) {
        self.let_out(plate, fee);
    }

    fn let_out(&self, plate: &str, fee: i64) -> Value {
        // It tells whole seconds; in that of its entry no car leaves.
        let at_ms = now_ms() + 1_000;
        let mut state = self.state.lock().unwrap();
        let exited = state.local(at_ms);
        let row =
            state.rows.iter_mut().rev().find(|row| row.plate == plate && row.status == "IN").expect("a car inside");
        row.status = "OUT".to_owned();
        row.fee = fee;
        row.exited = Some(exited.clone());
        row.exit_camera = Some(format!("{}/edge-8", self.id));
        row.exit_source = "edge_manual";
        // The second revision says an id of the exit's own.
        let event_id = if self.v2 { format!("edge-8_{at_ms}_{plate}") } else { row.event_id.clone() };
        let mut data = json!({"exit_central": self.id, "exit_edge": "edge-8", "exit_time": exited, "fee": fee, "duration": "0 giờ 0 phút"});
        if self.v2 {
            data["plate_id"] = json!(plate);
        }
        json!({"type": "VEHICLE_EXIT", "source_central": self.id, "timestamp": at_ms, "event_id": event_id, "data": data})
    }

    /// It says this as it is.
    pub fn say(&self, frame: Value) {
        self.state.lock().unwrap().to_say.push(frame);
    }

    /// v2: a person edits or removes a row; said by its number.
    pub fn edit(&self, event_id: &str, plate: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        let index = state.rows.iter().position(|row| row.event_id == event_id).expect("a row");
        let row_id = state.rows[index].id;
        let frame = match plate {
            Some(plate) => {
                plate.clone_into(&mut state.rows[index].plate);
                json!({"type": "HISTORY_UPDATE", "data": {"history_id": row_id, "plate_text": plate, "plate_view": plate}})
            }
            None => {
                state.rows.remove(index);
                json!({"type": "HISTORY_DELETE", "data": {"history_id": row_id}})
            }
        };
        let mut frame = frame;
        frame["source_central"] = json!(self.id);
        frame["timestamp"] = json!(now_ms());
        frame["event_id"] = Value::Null;
        state.to_say.push(frame);
    }
}

fn insert(state: &mut State, event_id: &str, plate: &str, source: &str, entered: &str) {
    let id = state.rows.iter().map(|row| row.id).max().unwrap_or(0) + 1;
    state.rows.push(OldRow {
        id,
        event_id: event_id.to_owned(),
        plate: plate.to_owned(),
        source: source.to_owned(),
        status: "IN".to_owned(),
        fee: 0,
        entered: entered.to_owned(),
        exited: None,
        exit_camera: None,
        exit_source: "",
        created_ms: now_ms(),
    });
}

struct Play {
    id: String,
    v2: bool,
    state: Arc<Mutex<State>>,
    outbound: Vec<Client>,
    inbound: Vec<Ws>,
}

/// The connection it dials to one peer.
struct Client {
    id: String,
    address: String,
    socket: Option<Ws>,
    /// Two of them may dial each other at once, so that neither waits for the other.
    dialling: Option<Receiver<Option<Ws>>>,
    dialled: Option<Instant>,
}

impl Client {
    fn new(id: &str, address: &str) -> Self {
        Self { id: id.to_owned(), address: address.to_owned(), socket: None, dialling: None, dialled: None }
    }

    /// Dials when it is time to; whether a connection stands that did not before.
    fn has_dialled(&mut self, v2: bool) -> bool {
        if let Some(dialling) = &self.dialling {
            match dialling.try_recv() {
                Err(TryRecvError::Empty) => return false,
                result => self.socket = result.unwrap_or_default(),
            }
            self.dialling = None;
        } else if self.dialled.is_none_or(|dialled| dialled.elapsed() > REDIAL) {
            self.dialled = Some(Instant::now());
            let (address, (says, dialling)) = (self.address.clone(), channel());
            std::thread::spawn(move || {
                says.send(Ws::dial(&address, if v2 { "/ws/p2p" } else { "/" }, None).ok()).is_ok()
            });
            self.dialling = Some(dialling);
        }
        self.socket.is_some()
    }
}

impl Play {
    fn turn(&mut self, listener: &TcpListener) {
        self.inbound.extend(Ws::accept(listener, Duration::from_millis(1)));
        let request = self.request();
        for client in &mut self.outbound {
            if client.socket.is_some() || !client.has_dialled(self.v2) {
                continue;
            }
            if let Some(outbound) = &mut client.socket {
                if self.v2 {
                    let _sent = outbound.say(&json!({"peer_id": self.id}));
                }
                let _sent = outbound.say(&request);
            }
        }
        let links = self.outbound.iter().filter(|client| client.socket.is_some()).count();
        self.state.lock().unwrap().links = links;
        let to_say = std::mem::take(&mut self.state.lock().unwrap().to_say);
        // Over every connection, and forgotten whether there was one or not.
        for frame in &to_say {
            let clients = self.outbound.iter_mut().filter_map(|client| client.socket.as_mut());
            for socket in self.inbound.iter_mut().chain(clients) {
                let _sent = socket.say(frame);
            }
        }
        let mut inbound = std::mem::take(&mut self.inbound);
        inbound.retain_mut(|socket| self.listen(socket, true));
        self.inbound.extend(inbound);
        for index in 0..self.outbound.len() {
            if let Some(mut socket) = self.outbound[index].socket.take()
                && self.listen(&mut socket, false)
            {
                self.outbound[index].socket = Some(socket);
            }
        }
    }

    fn request(&self) -> Value {
        // What it really asks, after an outage: since now.
        json!({"type": "SYNC_REQUEST", "source_central": self.id, "timestamp": now_ms(), "event_id": null,
               "data": {"since_timestamp": now_ms()}})
    }

    /// Hears what was said on a socket; whether it still stands.
    fn listen(&mut self, socket: &mut Ws, is_server: bool) -> bool {
        loop {
            let text = match socket.hear(Duration::ZERO) {
                Ok(Some(text)) => text,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let Ok(frame) = serde_json::from_str::<Value>(&text) else {
                // The second revision ends the connection.
                self.state.lock().unwrap().errors.push(text);
                return !self.v2;
            };
            if let Some(answer) = self.handle(&frame) {
                // The first revision answers over its own client only; an error where it came from, as a server.
                let is_error = answer["type"] == "ERROR";
                let is_asker =
                    |client: &&mut Client| client.id.is_empty() || frame["source_central"] == client.id.as_str();
                let own = self.outbound.iter_mut().find(is_asker).and_then(|client| client.socket.as_mut());
                let sent = match (own, is_error) {
                    (_, true) if is_server => socket.say(&answer),
                    (_, true) => Ok(()),
                    _ if self.v2 || !is_server => socket.say(&answer),
                    (Some(outbound), _) => outbound.say(&answer),
                    (None, _) => Ok(()),
                };
                if sent.is_err() {
                    return false;
                }
            }
        }
    }

    fn handle(&mut self, frame: &Value) -> Option<Value> {
        if frame.get("peer_id").is_some() {
            return Some(self.request());
        }
        let mut state = self.state.lock().unwrap();
        let event_id = frame["event_id"].as_str().unwrap_or_default().to_owned();
        let data = &frame["data"];
        match frame["type"].as_str().unwrap_or_default() {
            "VEHICLE_ENTRY_PENDING" => {
                if !state.rows.iter().any(|row| row.event_id == event_id) {
                    let (plate, source) =
                        (data["plate_id"].as_str().unwrap(), frame["source_central"].as_str().unwrap());
                    assert!(data["entry_time"].as_str().is_some_and(|text| text.len() == 19), "{frame}");
                    insert(&mut state, &event_id, plate, source, data["entry_time"].as_str().unwrap());
                }
                None
            }
            "VEHICLE_EXIT" => {
                let by_id = state.rows.iter().position(|row| row.event_id == event_id && row.status == "IN");
                let plate = data["plate_id"].as_str().unwrap_or_default().to_owned();
                let by_plate = || state.rows.iter().rposition(|row| row.plate == plate && row.status == "IN");
                let known = state.rows.iter().any(|row| row.event_id == event_id);
                let index = by_id.or_else(|| if self.v2 && !known { by_plate() } else { None });
                if let Some(index) = index {
                    let row = &mut state.rows[index];
                    row.status = "OUT".to_owned();
                    row.fee = data["fee"].as_i64().expect("a whole fee");
                    row.exited = data["exit_time"].as_str().map(ToOwned::to_owned);
                    row.exit_camera = Some(format!("{}/{}", data["exit_central"].as_str().unwrap(), data["exit_edge"]));
                    row.exit_source = "p2p_sync";
                }
                None
            }
            "SYNC_REQUEST" => {
                // The text of the ms in local time against the time of writing in UTC.
                let since = state.local(data["since_timestamp"].as_i64().expect("a number"));
                let rows = state.rows.iter().filter(|row| utc(row.created_ms) >= since).take(5_000);
                let events: Vec<Value> = rows.map(|row| row_json(row, &self.id)).collect();
                Some(
                    json!({"type": "SYNC_RESPONSE", "source_central": self.id, "timestamp": now_ms(), "event_id": null,
                            "data": {"events": events}}),
                )
            }
            // The row with that number, whatever it is.
            "HISTORY_UPDATE" | "HISTORY_DELETE" if self.v2 => {
                let index = state.rows.iter().position(|row| data["history_id"] == row.id);
                match (index, data["plate_text"].as_str()) {
                    (Some(index), Some(plate)) => plate.clone_into(&mut state.rows[index].plate),
                    (Some(index), None) => {
                        state.rows.remove(index);
                    }
                    (None, _) => state.errors.push(format!("no such row: {frame}")),
                }
                None
            }
            "HEARTBEAT" | "SYNC_RESPONSE" => None,
            other => {
                state.hellos += usize::from(other == "HELLO");
                if other != "HELLO" {
                    state.errors.push(frame.to_string());
                }
                let error = format!("Invalid message type: {other}");
                (!self.v2).then(|| json!({"type": "ERROR", "error": error, "timestamp": now_ms()}))
            }
        }
    }
}

fn row_json(row: &OldRow, own: &str) -> Value {
    let mut fields = json!({
        "id": row.id, "event_id": row.event_id, "source_central": row.source, "edge_id": "edge-1", "plate_id": row.plate,
        "plate_view": row.plate, "entry_time": row.entered, "entry_camera_name": format!("{}/edge-1", row.source),
        "entry_confidence": 0.0, "entry_source": if row.source == own { "edge_manual" } else { "p2p_sync" }, "fee": row.fee,
        "status": row.status, "sync_status": "SYNCED", "created_at": utc(row.created_ms), "updated_at": utc(row.created_ms),
    });
    if let (Some(exited), Some(camera)) = (&row.exited, &row.exit_camera) {
        fields["exit_time"] = json!(exited);
        fields["exit_camera_name"] = json!(camera);
        fields["exit_source"] = json!(row.exit_source);
        fields["duration"] = json!("0 giờ 0 phút");
    }
    fields
}
