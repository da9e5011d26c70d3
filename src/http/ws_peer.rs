//! Inbound sockets of peers: a thin pump between the WebSocket and the link it belongs to.
//!
//! The socket speaks first: its HELLO is shown to the registry, which names the link or refuses. From then on frames are
//! carried, nothing more; what may come is bounded by [`Intake`]. A frame is handed over before the next is read, so that who
//! sends faster than the link works is slowed by TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Handler, StreamHandler};
use actix_http::ws::{CloseCode, Message, ProtocolError};
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{WebsocketContext, WsResponseBuilder};
use log::debug;

use super::error::{ApiError, Code};
use super::operation::{Operation, socket};
use super::room::Rooms;
use super::screen::comes_from_browser;
use super::ws_intake::{self, Intake, Patience};
use crate::access::right::Need;
use crate::actors::mesh_registry::MeshRegistry;
use crate::actors::mesh_registry::admission::{Admitted, ForeignKnock, Knock};
use crate::actors::supervise::Handle;
use crate::domain::fingerprint::Fingerprint;
use crate::links::intake::{Meter, Sender};
use crate::links::socket::{
    self, FromSocket, PEER_RATE, SocketEvent, ToSocket, close_reason, closed_by_peer, lost, ping_number,
};
use crate::ops::offences::Offences;
use crate::replication::handshake::HelloRefusal;
use crate::wire::frame::{ErrorFrame, Frame, Hello};
use crate::wire::{MAX_FRAME_BYTES, SUBPROTOCOL};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        socket(
            "/ws/p2p",
            Need::Nothing,
            upgrade,
            "Where a predecessor of the second revision dials; not for programs.",
        )
        .refuses(&[Code::NotAWebsocket]),
    ]
}

/// Most that a socket may say before it is let in, frames and pings together. A HELLO has some 400 bytes; what predecessors say
/// first is longer.
const MAX_HELLO_BYTES: u64 = 8 * 1024;
const MAX_LEGACY_HELLO_BYTES: u64 = 64 * 1024;
/// A socket that has not introduced itself after this long is closed.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

pub type FrameEncoder = Arc<dyn Fn(&Frame) -> String + Send + Sync>;

/// What a pump needs to let a socket in.
#[derive(Clone)]
pub struct PeerEntrance {
    pub registry: Handle<MeshRegistry>,
    /// Writes the frames of a refusal, in our name.
    pub encoder: FrameEncoder,
    pub offences: Arc<Offences>,
    pub rooms: Rooms,
    /// Predecessors are let in here although centrals have to speak TLS.
    pub is_legacy_port: bool,
    /// The largest frame of theirs, in bytes.
    pub max_foreign_frame_bytes: usize,
}

/// Upgrades a request to a peer's socket. Any path: predecessors of ours dial `/`.
pub async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    entrance: web::Data<PeerEntrance>,
) -> Result<HttpResponse, actix_web::Error> {
    // A browser says from which page it comes, and no central is a browser: whatever page that is, it is no peer.
    if comes_from_browser(request.headers()) {
        return Err(ApiError::foreign_page().into());
    }
    let remote = request.peer_addr();
    let shown = request.conn_data::<Fingerprint>().copied();
    // Ours offer the subprotocol; predecessors know none, and their answers are larger than any frame of ours.
    let offers_ours = request.headers().get(SEC_WEBSOCKET_PROTOCOL).is_some_and(|offered| {
        offered.to_str().is_ok_and(|list| list.split(',').any(|name| name.trim() == SUBPROTOCOL))
    });
    let (max_bytes, patience) = if offers_ours {
        (MAX_FRAME_BYTES, Patience::new(MAX_HELLO_BYTES))
    } else {
        (entrance.max_foreign_frame_bytes, Patience::new(MAX_LEGACY_HELLO_BYTES))
    };
    let from = super::access::sender(&request);
    let at = if entrance.is_legacy_port { "legacy" } else { "p2p" };
    let sender = Sender { offences: entrance.offences.clone(), at, from };
    let meter = Meter::new(PEER_RATE);
    let payload = Intake::of(
        payload,
        ws_intake::SocketTerms {
            sender: sender.clone(),
            max_frame_bytes: max_bytes,
            patience: patience.clone(),
            judge: Box::new(move |is_control| meter.judge(is_control)),
        },
    );
    let entrance = entrance.get_ref().clone();
    let may_be_foreign = !offers_ours && shown.is_none();
    let pump = PeerPump { entrance, remote, sender, shown, may_be_foreign, patience, stage: Stage::Silent };
    let upgraded =
        WsResponseBuilder::new(pump, &request, payload).protocols(&[SUBPROTOCOL]).frame_size(max_bytes).start();
    upgraded.map_err(|_| ApiError::not_a_websocket().into())
}

enum Stage {
    /// Nothing was said yet.
    Silent,
    /// The registry is asked whether it may come in.
    Knocking,
    Admitted(Admitted),
}

struct PeerPump {
    entrance: PeerEntrance,
    remote: Option<SocketAddr>,
    sender: Sender,
    /// The certificate shown on it, if it is with TLS.
    shown: Option<Fingerprint>,
    may_be_foreign: bool,
    /// With what it says before it is let in.
    patience: Patience,
    stage: Stage,
}

type Pumping = WebsocketContext<PeerPump>;

impl PeerPump {
    fn text(&mut self, text: bytes::Bytes, context: &mut Pumping) {
        match &self.stage {
            Stage::Silent => match socket::frame(&text) {
                Ok(Frame::Hello(hello)) => self.knock(hello, context),
                _ if self.may_be_foreign => self.knock_as_foreign(text, context),
                _ => self.refuse(&HelloRefusal::HelloExpected, context),
            },
            Stage::Admitted(_) => self.hand_over(SocketEvent::Text(text), context),
            // Reading is paused while the registry is asked.
            Stage::Knocking => {}
        }
    }

    fn knock(&mut self, hello: Hello, context: &mut Pumping) {
        let knock = Knock { hello, remote: self.remote, shown: self.shown, pump: context.address().recipient() };
        self.ask(knock, context);
    }

    /// The first frame was none of ours.
    fn knock_as_foreign(&mut self, first: bytes::Bytes, context: &mut Pumping) {
        let (remote, at_foreign_port) = (self.remote.map(|remote| remote.ip()), self.entrance.is_legacy_port);
        let knock = ForeignKnock { first, remote, at_foreign_port, pump: context.address().recipient() };
        self.ask(knock, context);
    }

    fn ask<K>(&mut self, knock: K, context: &mut Pumping)
    where
        K: actix::Message<Result = Result<Admitted, HelloRefusal>> + Send + 'static,
        MeshRegistry: Handler<K>,
    {
        self.stage = Stage::Knocking;
        let answer = wrap_future::<_, Self>(self.entrance.registry.addr().send(knock));
        context.wait(answer.map(|answer, pump, context| match answer {
            Ok(Ok(admitted)) => pump.let_in(admitted),
            Ok(Err(refusal)) => pump.refuse(&refusal, context),
            // The registry is being built anew; the peer tries again shortly.
            Err(_) => end(CloseCode::Again, "try again", context),
        }));
    }

    fn let_in(&mut self, admitted: Admitted) {
        self.patience.let_in();
        self.entrance.rooms.peers.knows(self.sender.from);
        self.stage = Stage::Admitted(admitted);
    }

    fn refuse(&self, refusal: &HelloRefusal, context: &mut Pumping) {
        let error: ErrorFrame = refusal.frame();
        context.text((self.entrance.encoder)(&Frame::Error(error)));
        end(CloseCode::Policy, refusal.code(), context);
    }

    /// Waits until the link has taken it.
    fn hand_over(&self, event: SocketEvent, context: &mut Pumping) {
        if let Stage::Admitted(Admitted { socket, link }) = &self.stage {
            let taken = wrap_future::<_, Self>(link.send(FromSocket { socket: *socket, event }));
            context.wait(taken.map(|taken, _, context| {
                if taken.is_err() {
                    end(CloseCode::Away, "link ended", context);
                }
            }));
        }
    }

    fn closed(&mut self, reason: String) {
        let remote = self.remote.map(|remote| remote.to_string()).unwrap_or_default();
        debug!(event = "socket_ended", remote = remote.as_str(), reason = reason.as_str(); "inbound socket ended");
        if let Stage::Admitted(Admitted { socket, link }) = &self.stage {
            link.do_send(FromSocket { socket: *socket, event: SocketEvent::Closed(reason) });
        }
        self.stage = Stage::Silent;
    }
}

fn end(code: CloseCode, reason: &str, context: &mut Pumping) {
    context.close(Some(close_reason(code.into(), reason)));
    context.stop();
}

impl Actor for PeerPump {
    type Context = Pumping;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_later(HELLO_TIMEOUT, |pump, context| {
            if matches!(pump.stage, Stage::Silent) {
                pump.refuse(&HelloRefusal::HelloExpected, context);
            }
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.closed("the connection was lost".to_owned());
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for PeerPump {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(Message::Text(text)) => self.text(text.into_bytes(), context),
            Ok(Message::Ping(payload)) => context.pong(&payload),
            Ok(Message::Pong(payload)) => {
                if let Some(number) = ping_number(&payload) {
                    self.hand_over(SocketEvent::Pong(number), context);
                }
            }
            Ok(Message::Close(reason)) => {
                self.closed(closed_by_peer(reason));
                context.close(None);
                context.stop();
            }
            Ok(Message::Binary(bytes)) if matches!(self.stage, Stage::Admitted(_)) => {
                self.hand_over(SocketEvent::Compressed(bytes), context);
            }
            Ok(Message::Binary(_) | Message::Continuation(_)) => {
                let reason = "HELLO and whole frames are spoken here";
                self.closed(reason.to_owned());
                end(CloseCode::Unsupported, reason, context);
            }
            Ok(Message::Nop) => {}
            Err(error) => {
                self.closed(lost(&error));
                context.close(Some(ws_intake::ended(&error, &self.sender)));
                context.stop();
            }
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<ToSocket> for PeerPump {
    type Result = ();

    fn handle(&mut self, what: ToSocket, context: &mut Self::Context) {
        match what {
            ToSocket::Text(text) => context.text(text),
            ToSocket::Compressed(bytes) => context.binary(bytes),
            ToSocket::Ping(number) => context.ping(&number.to_be_bytes()),
            ToSocket::Close { code, reason } => end(CloseCode::from(code), &reason, context),
        }
    }
}
