//! A running server on a bound socket, with or without TLS.
//!
//! Connections are counted per address, and all together, from before the first byte is read, the TLS handshake included, until they
//! end: one too many is closed unread, so that who holds sockets open holds his own alone. Whoever does not read what we write is given up
//! after a minute by the kernel, whatever the connection waits for meanwhile; at the API port also who takes less than 64 KiB of it
//! in 20 s.
//!
//! Of no connection more is read than its address is granted a second ([`Metered`]), whatever is sent and whatever becomes of it.
//! Reading is charged after it was done, and the next read of any connection of that address waits until it is paid. So a sender is
//! slowed by TCP, and nothing is lost.

use std::any::Any;
use std::future::{Future as _, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpMessage as _, HttpService, KeepAlive, Protocol, Request, Response};
use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_tls::accept::{TlsError, max_concurrent_tls_connect};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server};
use actix_web::error::Error;
use actix_web::http::header::{TRANSFER_ENCODING, UPGRADE};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::pipeline::{Answering, Piecemeal};
use super::room::{Full, Room, RoomPlace};
use super::server::SHUTDOWN_TIMEOUT_S;
use crate::links::intake::Sender;
use crate::links::socket::give_up_unread;
use crate::ops::offences::{Offence, Offences};
use crate::tls::TlsTerms;

/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a connection to be closed in order.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One that is refused because its address has enough is not read, and closed after this, if there is room: who comes again and again
/// costs little.
const REFUSED_FOR: Duration = Duration::from_secs(1);
/// TLS handshakes under way at a time in one worker; then none is accepted there until one is over. Far more than the addresses
/// of a site may have under way together.
const MAX_HANDSHAKES: usize = 1_024;

/// Where there is more to be taken, so much at least is, in such a time: the slowest telephone line there is. Who reads a few bytes now and
/// then would keep his answers in memory for hours.
const LEAST_TAKEN: (usize, Duration) = (64 * 1024, Duration::from_secs(20));
/// What the kernel keeps of what we write, so that what was taken is seen as it is taken; it allows itself twice as much.
const SEND_BUFFER: usize = 64 * 1024;

/// How a server treats its connections.
#[derive(Clone)]
pub struct ServerTerms {
    pub workers: usize,
    /// Of the server, in log lines.
    pub name: &'static str,
    /// Counts them, and knows how many one address and all may have.
    pub room: Arc<Room>,
    pub offences: Arc<Offences>,
    /// How long one may be idle between requests.
    pub keep_alive: Duration,
    /// Time for the head of a request.
    pub head_timeout: Duration,
    /// `None`: spoken with in clear.
    pub tls: Option<TlsTerms>,
    /// Who takes less than 64 KiB in 20 s of what waits for him is given up. Links between centrals have bounds of their own, and lines of any kind.
    pub is_taken_fast: bool,
    /// What a handler wants to know of the socket.
    pub on_connect: fn(&dyn Any, &mut Extensions),
}

/// Starts serving.
///
/// # Errors
/// Those of the system.
pub fn serve<F, I, S, B>(listener: TcpListener, terms: &ServerTerms, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    // Read by each worker when it starts.
    max_concurrent_tls_connect(MAX_HANDSHAKES);
    let address = listener.local_addr()?;
    let builder = ServerBuilder::default()
        .workers(terms.workers)
        // [`Room`] closes those that are too many, and keeps places for who is known. This bound is of those not looked at yet: in a
        // burst they would take the last descriptors.
        .max_concurrent_connections(terms.room.most_accepted().div_ceil(terms.workers.max(1)))
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let (own, name) = (terms.clone(), format!("server-{address}"));
    // The sockets differ in type, with and without TLS, and nothing else does.
    macro_rules! http {
        () => {{
            let (ending, on_connect) = (ending.clone(), own.on_connect);
            let app = app().into_factory().map_err(|error: S::Error| error.into().error_response());
            let app = apply_fn_factory(app, |mut request: Request, app: &_| {
                // A socket is no body. Frames in chunks of a byte would take a hundred times their length in memory.
                if request.headers().contains_key(TRANSFER_ENCODING) {
                    request.headers_mut().remove(UPGRADE);
                }
                let turn = Answering::of(&request);
                let answer = Service::<Request>::call(app, request);
                async move {
                    let answer: Response<B> = answer.await?.into();
                    Ok(Answering::until_sent(turn, answer))
                }
            });
            HttpService::build()
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .keep_alive(KeepAlive::Timeout(own.keep_alive))
                .client_request_timeout(own.head_timeout)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .local_addr(address)
                .on_connect_ext(move |io: &Piecemeal<_>, kept: &mut Extensions| {
                    kept.insert(io.pipeline());
                    on_connect(io.of() as &dyn Any, kept);
                })
                .finish(map_config(app, |()| AppConfig::default()))
        }};
    }
    let builder = match terms.tls.clone() {
        Some(mut tls) => {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            builder.listen(name, listener, move || {
                let mut acceptor = Acceptor::new(tls.clone());
                acceptor.set_handshake_timeout(HANDSHAKE_TIMEOUT);
                let secured = acceptor.map_init_err(|_| ()).map_err(TlsError::into_service_error);
                let secured = secured.and_then(fn_service(|io: TlsStream<Metered>| {
                    let from = io.get_ref().0.peer_addr();
                    ready(Ok((Piecemeal::new(io), Protocol::Http1, from)))
                }));
                counted(&own, secured.and_then(http!().map_err(TlsError::Service)), |error| match error {
                    TlsError::Service(error) => garbage(error),
                    TlsError::Tls(error) if is_mere_end(error) => None,
                    TlsError::Tls(error) => Some((Offence::TlsHandshake, error.to_string())),
                    TlsError::Timeout => Some((Offence::TlsHandshake, "not finished in time".to_owned())),
                })
            })?
        }
        None => builder.listen(name, listener, move || {
            let clear = fn_service(|io: Metered| {
                let from = io.peer_addr();
                ready(Ok((Piecemeal::new(io), Protocol::Http1, from)))
            });
            counted(&own, clear.and_then(http!()), garbage)
        })?,
    };
    Ok(builder.run())
}

/// What others did that ended a connection, if it was that.
type Garbage<E> = fn(&E) -> Option<(Offence, String)>;

fn garbage(error: &DispatchError) -> Option<(Offence, String)> {
    match error {
        DispatchError::Parse(error) => Some((Offence::Http, error.to_string())),
        _ => None,
    }
}

/// The other side went away, as somebody does who looks whether the port is open.
fn is_mere_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Counts each connection as long as it is served; one too many is closed unread. What ended it is noted where it was garbage.
fn counted<H>(
    terms: &ServerTerms,
    http: H,
    garbage: Garbage<H::Error>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = H::Error, InitError = H::InitError> + use<H>
where
    H: ServiceFactory<Metered, Config = (), Response = ()>,
    <H::Service as Service<Metered>>::Future: 'static,
{
    let (room, offences, at) = (terms.room.clone(), terms.offences.clone(), terms.name);
    let is_taken_fast = terms.is_taken_fast;
    apply_fn_factory(http, move |io: TcpStream, http: &H::Service| {
        // Without an address it is gone already.
        let from = io.peer_addr().ok().map(|from| from.ip().to_canonical());
        let sender = from.map(|from| Sender { offences: offences.clone(), at, from });
        let entered = from.map(|from| room.enter(from));
        give_up_unread(&io);
        if is_taken_fast {
            // A socket that has ended already needs none.
            let _ended = rustix::net::sockopt::set_socket_send_buffer_size(&io, SEND_BUFFER);
        }
        // Without it answers wait for what comes after them.
        drop(io.set_nodelay(true));
        if let (Some(sender), Some(Err(full))) = (&sender, &entered) {
            match full {
                Full::OfOne => {
                    sender.offends(Offence::TooManyConnections, "it has as many as one address may have now")
                }
                Full::OfAll => {
                    let of_whom =
                        || format!("all that are not kept for known addresses are taken; most by {}", room.most());
                    offences.note_with(Offence::NoConnectionLeft, at, "all", of_whom);
                }
            }
        }
        let (served, refused) = match entered {
            Some(Ok(taken)) => (Some(http.call(Metered::new(io, taken, is_taken_fast))), None),
            Some(Err(Full::OfOne)) => (None, room.hold().map(|held| (held, io))),
            _ => (None, None),
        };
        async move {
            let Some(served) = served else {
                if refused.is_some() {
                    tokio::time::sleep(REFUSED_FOR).await;
                }
                drop(refused);
                return Ok(());
            };
            let ended = served.await;
            if let (Err(error), Some(sender)) = (&ended, &sender)
                && let Some((what, reason)) = garbage(error)
            {
                sender.offends(what, &reason);
            }
            ended
        }
    })
}

/// See the module.
#[derive(Debug)]
pub struct Metered {
    io: TcpStream,
    /// Its place, kept as long as it is open.
    taken: RoomPlace,
    /// What was read is not paid yet.
    unpaid: Option<Pin<Box<Sleep>>>,
    /// Whether it is given up if too little is taken, and since it had to be waited for: what was taken, and until when more has to be.
    is_taken_fast: bool,
    slow: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Metered {
    pub fn new(io: TcpStream, taken: RoomPlace, is_taken_fast: bool) -> Self {
        let mut metered = Self { io, taken, unpaid: None, is_taken_fast, slow: None };
        metered.charge(0);
        metered
    }

    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.io.peer_addr().ok()
    }

    /// What came of writing so many bytes.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let (least, time) = LEAST_TAKEN;
        match written {
            Poll::Ready(Ok(count)) => {
                // All of it: it waits for us.
                let is_enough = |(taken, _): &mut (usize, _)| {
                    *taken += count;
                    count == bytes || *taken >= least
                };
                self.slow.take_if(is_enough);
            }
            Poll::Pending if self.is_taken_fast => {
                let (_, until) = self.slow.get_or_insert_with(|| (0, Box::pin(sleep(time))));
                ready!(until.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        written
    }

    fn charge(&mut self, bytes: usize) {
        let wait = self.taken.charge(bytes);
        self.unpaid = (wait > Duration::ZERO).then(|| Box::pin(sleep(wait)));
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(unpaid) = &mut this.unpaid {
            ready!(unpaid.as_mut().poll(cx));
            this.unpaid = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        this.charge(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.judge(cx, bytes.len(), written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.judge(cx, bytes.iter().map(|part| part.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl ActixStream for Metered {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.io, cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.io, cx)
    }
}
