//! `/ws/status`: the status feed to one dashboard. Messages: docs/status-feed.md.
//!
//! One message is under way at a time: the next is asked of the feed when the dashboard has acknowledged the one before.
//! So a dashboard that does not read costs one message, and this side never queues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, StreamHandler};
use actix_http::ws::{CloseCode, CloseReason, Message, ProtocolError};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{WebsocketContext, WsResponseBuilder};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;
use utoipa::IntoParams;

use super::access::{Pass, from};
use super::error::{ApiError, Code};
use super::operation::{Operation, socket};
use super::room::RoomPlace;
use super::state::{Shared, Worker};
use super::ws_intake::{self, Intake, Patience};
use crate::access::right::Need;
use crate::actors::status_feed::{FeedSeen, Next, Update};
use crate::links::intake::{IntakeRate, Meter, Sender};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        socket(
            "/ws/status",
            Need::Look,
            status,
            "A WebSocket: the state of lot and mesh, and what changes: docs/status-feed.md.",
        )
        .query::<FeedParameters>()
        .refuses(&[Code::NotAWebsocket, Code::ForeignPage, Code::Busy]),
    ]
}

/// How often a socket is looked after.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// Nothing was said for this long: that we are there is said, so that a dashboard can tell silence from a dead line.
const ALIVE_PERIOD: Duration = Duration::from_secs(5);
const PING_PERIOD: Duration = Duration::from_secs(10);
/// Nothing was heard for this long: it is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(40);
/// A dashboard acknowledges what it is told, five times a second at most, and answers pings. All it says counts as control frames
/// do: too many end the socket.
const RATE: IntakeRate = IntakeRate { data_per_s: 1, control_per_s: 20 };
/// What a dashboard says is short.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FeedParameters {
    /// `feed` of the last message that was read.
    feed: Option<String>,
    /// Its `number`.
    after: Option<u64>,
}

/// `GET /ws/status`
pub async fn status(
    request: HttpRequest,
    payload: web::Payload,
    parameters: web::Query<FeedParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let from = from(&request, &worker.shared.config.borrow());
    let taken = worker.shared.rooms.dashboards.enter(from).map_err(|_full| ApiError::busy())?;
    let parameters = parameters.into_inner();
    let seen = parameters.feed.zip(parameters.after).map(|(feed, number)| FeedSeen { feed: feed.into(), number });
    let now = Instant::now();
    let sender = Sender { offences: worker.shared.offences.clone(), at: "/ws/status", from };
    let socket = StatusSocket {
        pass: Pass::of(&request, &worker),
        sender: sender.clone(),
        shared: worker.shared.clone(),
        seen,
        unread: None,
        asking: false,
        heard: now,
        said: now,
        pinged: now,
        _taken: taken,
    };
    let meter = Meter::new(RATE);
    let payload = Intake::of(
        payload,
        ws_intake::SocketTerms {
            sender,
            max_frame_bytes: MAX_MESSAGE_BYTES,
            patience: Patience::endless(),
            judge: Box::new(move |_| meter.judge(true)),
        },
    );
    let upgraded = WsResponseBuilder::new(socket, &request, payload).frame_size(MAX_MESSAGE_BYTES).start();
    upgraded.map_err(|_| ApiError::not_a_websocket().into())
}

struct StatusSocket {
    /// Who looks; when that may be no more, it is over.
    pass: Pass,
    sender: Sender,
    shared: Arc<Shared>,
    /// What the dashboard said it has read.
    seen: Option<FeedSeen>,
    /// Sent and not acknowledged.
    unread: Option<FeedSeen>,
    /// The feed is asked.
    asking: bool,
    heard: Instant,
    said: Instant,
    pinged: Instant,
    _taken: RoomPlace,
}

type Talking = WebsocketContext<StatusSocket>;

/// What a dashboard says. Other types are ignored.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LastSaid {
    Ack { number: u64 },
}

impl StatusSocket {
    fn ask(&mut self, context: &mut Talking) {
        if self.asking || self.unread.is_some() {
            return;
        }
        self.asking = true;
        let (reply, answer) = oneshot::channel();
        self.shared.feed.do_send(Next { seen: self.seen.clone(), reply });
        context.spawn(wrap_future::<_, Self>(answer).map(|answer, socket, context| {
            socket.asking = false;
            // Closed: the feed is being built anew and is asked again at the next look.
            if let Ok(Update { seen, text }) = answer {
                socket.unread = Some(seen);
                socket.say(text.to_string(), context);
            }
        }));
    }

    fn say(&mut self, text: String, context: &mut Talking) {
        self.said = Instant::now();
        context.text(text);
    }

    fn look(&mut self, context: &mut Talking) {
        if self.shared.is_stopping() {
            return end(CloseCode::Away, "this central is stopping", context);
        }
        if let Err(refused) = self.pass.caller(&self.shared).check(Need::Look) {
            return end(CloseCode::Policy, &refused.to_string(), context);
        }
        if self.heard.elapsed() > SILENCE_LIMIT {
            return end(CloseCode::Away, "nothing was heard", context);
        }
        if self.pinged.elapsed() > PING_PERIOD {
            self.pinged = Instant::now();
            context.ping(b"");
        }
        if self.unread.is_none() && self.said.elapsed() > ALIVE_PERIOD {
            let number = self.seen.as_ref().map(|seen| seen.number);
            let alive = json!({"type": "alive", "number": number, "now_ms": self.shared.clock.now_ms()});
            self.say(alive.to_string(), context);
        }
        self.ask(context);
    }

    fn hear(&mut self, text: &str, context: &mut Talking) {
        let Ok(LastSaid::Ack { number }) = serde_json::from_str(text) else { return };
        if let Some(unread) = self.unread.take_if(|unread| unread.number == number) {
            self.seen = Some(unread);
            self.ask(context);
        }
    }
}

fn end(code: CloseCode, reason: &str, context: &mut Talking) {
    context.close(Some(CloseReason { code, description: Some(reason.to_owned()) }));
    context.stop();
}

impl Actor for StatusSocket {
    type Context = Talking;

    fn started(&mut self, context: &mut Self::Context) {
        self.ask(context);
        context.run_interval(LOOK_PERIOD, |socket, context| socket.look(context));
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for StatusSocket {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match message {
            Ok(Message::Text(text)) => self.hear(&text, context),
            Ok(Message::Ping(payload)) => context.pong(&payload),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Binary(_) | Message::Continuation(_)) => {
                end(CloseCode::Unsupported, "only whole text messages are understood here", context);
            }
            Ok(Message::Close(_)) => {
                context.close(None);
                context.stop();
            }
            Err(error) => {
                context.close(Some(ws_intake::ended(&error, &self.sender)));
                context.stop();
            }
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}
