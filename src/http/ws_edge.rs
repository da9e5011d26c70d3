//! The sockets of edge programs: they send what they would post to `/api/edge/event`, and get an answer for each.
//!
//! An event is answered before the next is read, and all sockets of an address together are read at the rate its requests are granted
//! (`tuning.max_requests_per_second`): an edge that sends faster is slowed by TCP, and nothing it said is lost.
//! An edge that knows nothing of answers ignores them. What happens at other gates it is told, some at a time: the next are
//! taken when its pong says that these have arrived.
//!
//! What the edge programs of the second revision hear of each other: who came in and left at other gates.
//!
//! Nobody waits for an edge: what is committed is put into one ring, from which each socket takes at its own pace. Who falls
//! behind by the whole ring has lost something, and is told so by the end of its socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, StreamHandler};
use actix_http::ws::{CloseCode, Message, ProtocolError};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use actix_web_actors::ws::{WebsocketContext, WsResponseBuilder};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::access::{Caller, Pass, from, note_denial};
use super::edge_programs::{gate_named_in, read_sent, take_sent};
use super::error::{ApiError, Code};
use super::input::{self, SHORT_LIMIT_BYTES};
use super::operation::{Operation, socket, success};
use super::state::Worker;
use super::unreadable::note_refused;
use super::ws_intake::{self, Intake, Patience};
use crate::access::right::Need;
use crate::domain::event::{Body, Event};
use crate::domain::plate::{self, PlateId};
use crate::domain::time::SiteZone;
use crate::domain::told::fields::{self, Fields};
use crate::gates::report::{CameraId, EventReport};
use crate::links::intake::{IntakeRate, IntakeVerdict, Meter, Sender};
use crate::links::socket::close_reason;
use crate::ops::offences::Offence;
use crate::replication::log::Run;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        socket("/ws/edge", Need::Gate, upgrade, "A WebSocket of an edge program: docs/http-api.md.")
            .refuses(&[Code::NotAWebsocket]),
    ]
}

/// An edge that has not said which it is after this long is let go.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the socket is pinged, and looked at whether it and this central still live.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
const PING_PERIOD: Duration = Duration::from_secs(20);
/// Without a word or pong for so long the edge is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Notes of other gates under way at a time.
const MAX_NOTES: usize = 256;
/// Between two lots of them: an edge answers each with a pong.
const NOTES_PERIOD: Duration = Duration::from_millis(50);
/// Pings and pongs an edge may send a second.
const CONTROL_PER_S: u32 = 50;
/// Texts in a row that cannot be read; each was answered with what is wrong.
const MAX_UNREADABLE: u32 = 50;
/// What a ping after notes carries.
const NOTES_MARK: &[u8] = b"notes";
/// Why a socket is closed that does not say whose it is.
const NO_EDGE: &str = "No edge_id provided";

/// `GET /ws/edge`
///
/// # Errors
/// The request is no upgrade.
pub async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let now = Instant::now();
    let pass = Pass::of(&request, &worker);
    let sender = Sender {
        offences: worker.shared.offences.clone(),
        at: "/ws/edge",
        from: from(&request, &worker.shared.config.borrow()),
    };
    let meter = Meter::new(IntakeRate { data_per_s: 1, control_per_s: CONTROL_PER_S });
    let (shared, source) = (worker.shared.clone(), sender.from);
    let payload = Intake::of(
        payload,
        ws_intake::SocketTerms {
            sender: sender.clone(),
            max_frame_bytes: SHORT_LIMIT_BYTES,
            patience: Patience::endless(),
            judge: Box::new(move |is_control| {
                if is_control {
                    return meter.judge(true);
                }
                let per_s = shared.config.borrow().tuning.max_requests_per_second;
                shared.rates.pace(per_s, source).map_or(IntakeVerdict::Take, IntakeVerdict::Later)
            }),
        },
    );
    let socket = EdgeSocket {
        worker,
        pass,
        sender,
        edge_id: None,
        heard: now,
        pinged: now,
        opened: now,
        unreadable: 0,
        notes: None,
    };
    let upgraded = WsResponseBuilder::new(socket, &request, payload).frame_size(SHORT_LIMIT_BYTES).start();
    upgraded.map_err(|_| ApiError::not_a_websocket().into())
}

struct EdgeSocket {
    worker: web::Data<Worker>,
    /// Who opened it; with keys it speaks for its own edge alone, and as long as the key is good.
    pass: Pass,
    sender: Sender,
    /// What the edge called itself; `None` until it did.
    edge_id: Option<String>,
    opened: Instant,
    heard: Instant,
    pinged: Instant,
    /// Texts in a row that were none of an edge program.
    unreadable: u32,
    /// `None`: somebody waits for the next, or for the pong that says that the last have arrived.
    notes: Option<Notes>,
}

type Notes = broadcast::Receiver<Arc<Note>>;

type Carrying = WebsocketContext<EdgeSocket>;

impl EdgeSocket {
    fn text(&mut self, text: &str, context: &mut Carrying) {
        let caller = self.caller();
        if let Err(refused) = caller.check(Need::Gate) {
            return end(CloseCode::Policy, &refused.to_string(), context);
        }
        let sent = read_sent(text);
        let first = sent.as_ref().ok().and_then(|events| events.first());
        let kind = first.and_then(|event| event.get("type")).and_then(Value::as_str);
        let is_hello = self.edge_id.is_none() && first.is_some_and(says_only_who_it_is);
        let mut is_known = true;
        if self.edge_id.is_none()
            && let Some(event) = first
        {
            match CameraId::read(gate_named_in(event)) {
                Some(named) if !self.introduce(named.edge_id(), context) => return,
                named => is_known = named.is_some(),
            }
        }
        if let Some(edge_id) = &self.edge_id {
            self.note_life(edge_id);
        }
        match kind.filter(|_| is_known) {
            Some("ping") => return context.text(json!({"type": "pong"}).to_string()),
            // Some answer what they are told of other gates.
            Some("pong" | "answer") => return,
            // A program that sends its queue at once says who it is with its first event.
            _ if is_hello && is_known => return,
            _ => {}
        }
        let its_id = first.and_then(|event| event.get("event_id")).cloned();
        let (worker, edge_id, text) = (self.worker.clone(), self.edge_id.clone(), text.to_owned());
        let taken = wrap_future::<_, Self>(async move {
            if worker.shared.is_stopping() {
                return Err(ApiError::stopping());
            }
            let taken = take_sent(&worker, &caller, edge_id.as_deref(), &text, sent).await;
            if taken.is_ok() {
                worker.shared.rooms.know(caller.from);
            }
            taken.inspect_err(|error| note_denial(&caller, "/ws/edge", error, &worker.shared))
        });
        context.wait(taken.map(move |taken, socket, context| {
            socket.count_unreadable(taken.as_ref().err(), context);
            let fields = match taken.map(|taken| json!(success(taken))) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => ApiError::internal().body(),
                Err(error) => error.body(),
            };
            answer(fields, its_id, context);
            if !is_known {
                end(CloseCode::Policy, NO_EDGE, context);
            }
        }));
    }

    /// Somebody who sends one thing after the other that cannot be read is no edge program.
    fn count_unreadable(&mut self, refused: Option<&ApiError>, context: &mut Carrying) {
        let Some(error) = refused.filter(|error| error.status_code() == StatusCode::BAD_REQUEST) else {
            self.unreadable = 0;
            return;
        };
        self.unreadable += 1;
        if self.unreadable >= MAX_UNREADABLE {
            self.sender.offends(Offence::UnreadableTexts, &error.to_string());
            end(CloseCode::Policy, "too many texts that cannot be read", context);
        }
    }

    /// The first text says who it is: `{"edge_id": 1}`, or an event with its camera. `false`: it may not speak as that, and the socket has
    /// ended.
    fn introduce(&mut self, edge_id: String, context: &mut Carrying) -> bool {
        let caller = self.caller();
        if let Err(error) = caller.check_edge(&edge_id) {
            note_denial(&caller, "/ws/edge", &error, &self.worker.shared);
            end(CloseCode::Policy, &error.to_string(), context);
            return false;
        }
        let message = format!("Edge '{edge_id}' registered successfully");
        context.text(json!({"type": "connected", "message": message}).to_string());
        self.edge_id = Some(edge_id);
        let notes = self.worker.shared.edge_news.listen();
        Self::take_notes(notes, context);
        true
    }

    /// Waits for what happens at other gates, and tells it.
    fn take_notes(mut notes: Notes, context: &mut Carrying) {
        let taking = async move {
            tokio::time::sleep(NOTES_PERIOD).await;
            let mut taken = match notes.recv().await {
                Ok(first) => vec![first],
                Err(RecvError::Lagged(_)) => return Err("too slow: events of other gates were lost"),
                Err(RecvError::Closed) => return Err("this central is stopping"),
            };
            while taken.len() < MAX_NOTES
                && let Ok(next) = notes.try_recv()
            {
                taken.push(next);
            }
            Ok((taken, notes))
        };
        context.spawn(wrap_future::<_, Self>(taking).map(|taken, socket, context| match taken {
            Ok((taken, notes)) => {
                let own_central = socket.worker.shared.config().this_central.id.to_string();
                let own = |note: &Note| note.central == own_central && socket.edge_id.as_ref() == Some(&note.edge_id);
                for note in taken.iter().filter(|note| !own(note)) {
                    context.text(note.text.as_str());
                }
                context.ping(NOTES_MARK);
                socket.notes = Some(notes);
            }
            Err(reason) => end(CloseCode::Away, reason, context),
        }));
    }

    /// Who it is now.
    fn caller(&self) -> Caller {
        self.pass.caller(&self.worker.shared)
    }

    fn note_life(&self, edge_id: &str) {
        self.worker.shared.roster.lives(edge_id, self.worker.shared.clock.now_ms(), |_| {});
    }

    fn look(&mut self, context: &mut Carrying) {
        if self.worker.shared.is_stopping() {
            end(CloseCode::Away, "this central is stopping", context);
        } else if let Err(refused) = self.caller().check(Need::Gate) {
            end(CloseCode::Policy, &refused.to_string(), context);
        } else if self.heard.elapsed() > SILENCE {
            end(CloseCode::Away, "nothing was heard for a minute", context);
        } else if self.edge_id.is_none() && self.opened.elapsed() > HELLO_TIMEOUT {
            end(CloseCode::Policy, NO_EDGE, context);
        } else if self.pinged.elapsed() > PING_PERIOD {
            self.pinged = Instant::now();
            context.ping(b"edge");
        }
    }
}

/// It tells of nothing that happened.
fn says_only_who_it_is(event: &Value) -> bool {
    let tells = event.get("data").is_some() || Fields::of(&[event]).get(fields::PLATE).is_some();
    !tells && event.is_object() && EventReport::read(event).is_err()
}

/// `its_id`: what the edge called the event, so that it knows what was answered.
fn answer(mut fields: Map<String, Value>, its_id: Option<Value>, context: &mut Carrying) {
    fields.insert("type".into(), "answer".into());
    fields.insert("answers".into(), its_id.unwrap_or(Value::Null));
    context.text(Value::Object(fields).to_string());
}

fn end(code: CloseCode, reason: &str, context: &mut Carrying) {
    context.close(Some(close_reason(code.into(), reason)));
    context.stop();
}

impl Actor for EdgeSocket {
    type Context = Carrying;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(LOOK_PERIOD, Self::look);
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for EdgeSocket {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match message {
            Ok(Message::Text(text)) => self.text(&text, context),
            Ok(Message::Ping(payload)) => context.pong(&payload),
            Ok(Message::Pong(payload)) if payload == NOTES_MARK => {
                if let Some(notes) = self.notes.take() {
                    Self::take_notes(notes, context);
                }
            }
            Ok(Message::Pong(_)) => {
                if let Some(edge_id) = &self.edge_id {
                    self.note_life(edge_id);
                }
            }
            Ok(Message::Nop) => {}
            Ok(Message::Close(_)) => {
                context.close(None);
                context.stop();
            }
            Ok(Message::Binary(bytes)) => self.text(&input::gates_text(&bytes), context),
            Ok(Message::Continuation(_)) => {
                let error = ApiError::new(Code::Invalid, "an event in several frames: send it in one");
                note_refused(&self.worker, &self.caller(), self.edge_id.as_deref(), &error);
                end(CloseCode::Unsupported, &error.to_string(), context);
            }
            Err(error) => {
                if ws_intake::is_too_long(&error) {
                    // It may have told of a barrier that opened.
                    let refused = ApiError::too_large(SHORT_LIMIT_BYTES);
                    note_refused(&self.worker, &self.caller(), self.edge_id.as_deref(), &refused);
                }
                context.close(Some(ws_intake::ended(&error, &self.sender)));
                context.stop();
            }
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

/// How many notes an edge may be behind.
const RING: usize = 4_096;

/// One event, as edges are told.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it happened.
    pub central: String,
    pub edge_id: String,
    pub text: String,
}

/// The ring. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct EdgeNews(broadcast::Sender<Arc<Note>>);

impl Default for EdgeNews {
    fn default() -> Self {
        Self(broadcast::Sender::new(RING))
    }
}

impl EdgeNews {
    /// What is committed from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Note>> {
        self.0.subscribe()
    }

    /// These events are durable here. Costs nothing while no edge listens.
    pub fn committed(&self, runs: &[Run], zone: &SiteZone) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for note in runs.iter().flat_map(|run| &run.events).filter_map(|bytes| note(&Event::parse(bytes).ok()?, zone)) {
            // Whoever listened may have gone this moment.
            let _heard = self.0.send(Arc::new(note));
        }
    }
}

/// The note of an event; `None`: edges have no word for it.
fn note(event: &Event, zone: &SiteZone) -> Option<Note> {
    let at = zone.local_text(event.timestamp_ms);
    let (kind, edge_id, event_id, mut fields) = match &event.body {
        Body::Entry(entry) => {
            let data = data(Some(&entry.plate_id), Some(&entry.plate_view), entry.confidence);
            ("ENTRY", entry.edge_id.as_str(), event.event_id.as_deref(), json!({"data": data, "entry_time": at}))
        }
        Body::Exit(exit) => {
            let data = data(exit.plate_id.as_ref(), exit.plate_view.as_deref(), exit.confidence);
            let fields = json!({"data": data, "exit_time": at, "fee": exit.fee, "duration": exit.duration});
            ("EXIT", exit.exit_edge.as_str(), event.exit_stay().or(event.event_id.as_deref()), fields)
        }
        Body::Correction(correction) => {
            let data = data(Some(correction.plate_id.as_ref()?), correction.plate_view.as_deref(), None);
            ("UPDATE", "", event.event_id.as_deref(), json!({"data": data, "history_id": null}))
        }
        Body::Void(_) => ("DELETE", "", event.event_id.as_deref(), json!({"data": {}, "history_id": null})),
        _ => return None,
    };
    let camera_id = edge_id.parse::<i64>().map_or_else(|_| Value::from(edge_id), Value::from);
    let central = event.source_central.clone();
    if let Value::Object(fields) = &mut fields {
        fields.insert("type".into(), kind.into());
        fields.insert("event_id".into(), event_id.into());
        fields.insert("source_central".into(), central.as_str().into());
        fields.insert("camera_id".into(), camera_id);
        fields.insert("camera_name".into(), format!("{central}/{edge_id}").into());
        fields.insert("camera_type".into(), kind.into());
    }
    Some(Note { central, edge_id: edge_id.to_owned(), text: fields.to_string() })
}

fn data(plate: Option<&PlateId>, view: Option<&str>, confidence: Option<f64>) -> Value {
    let view = view.filter(|view| !view.is_empty()).map(ToOwned::to_owned).or_else(|| plate.map(plate::view));
    json!({"plate_text": plate, "plate_view": view, "confidence": confidence, "source": "p2p_sync"})
}
