//! Clients that send WebSocket frames as fast as they can, and what that costs a central.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Central;
use super::central::{API_PORT, P2P_PORT};

/// What is sent without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Text,
    Ping,
    Pong,
    /// Of a message that never ends.
    Fragment,
    /// One frame that announces 2^40 bytes, and those.
    Endless,
}

pub const ALL: [Sent; 5] = [Sent::Text, Sent::Ping, Sent::Pong, Sent::Fragment, Sent::Endless];

/// A socket of a central, and what is said first on it.
#[derive(Debug, Clone)]
pub struct Socket {
    pub name: &'static str,
    pub port: u16,
    pub path: &'static str,
    pub protocol: Option<&'static str>,
    pub first: Option<String>,
    /// Where it is sent to instead of the central, for comparison.
    pub sink: Option<SocketAddr>,
}

/// Every kind of socket there is; `central-2` is a peer that is linked by what is said first.
pub fn sockets() -> Vec<Socket> {
    let of = |name, port, path, protocol, first: Option<&str>| Socket {
        name,
        port,
        path,
        protocol,
        first: first.map(str::to_owned),
        sink: None,
    };
    let hello = r#"{"type":"HELLO","source_central":"central-2","timestamp":1733140800000,"event_id":null,"data":{"versions":{"min":1,"max":1},"capabilities":[],"central":"central-2","instance":"00000000000000aa","wall_ms":1733140800000}}"#;
    let ours = Some("parkmesh.1");
    vec![
        of("/ws/status", API_PORT, "/ws/status", None, None),
        of("/ws/edge, silent", API_PORT, "/ws/edge", None, None),
        of("/ws/edge", API_PORT, "/ws/edge", None, Some(r#"{"edge_id":"edge-9"}"#)),
        of("/ws/p2p", API_PORT, "/ws/p2p", None, None),
        of("p2p, silent", P2P_PORT, "/", ours, None),
        of("p2p, linked", P2P_PORT, "/", ours, Some(hello)),
    ]
}

/// One frame as a client sends it, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        126..65_536 => frame.extend([0x80 | 126].iter().chain(&(length as u16).to_be_bytes())),
        _ => frame.extend([0x80 | 127].iter().chain(&(length as u64).to_be_bytes())),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

impl Sent {
    /// What is sent once, and what is sent over and over.
    fn bytes(self) -> (Vec<u8>, Vec<u8>) {
        let (opening, one) = match self {
            Self::Text => (vec![], frame(0x81, br#"{"type":"ping"}"#)),
            Self::Ping => (vec![], frame(0x89, &[b'x'; 100])),
            Self::Pong => (vec![], frame(0x8a, b"")),
            Self::Fragment => (frame(0x01, b"x"), frame(0x00, b"x")),
            Self::Endless => (vec![0x82, 0x80 | 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![b'x'; 1_000]),
        };
        (opening, one.repeat(64 * 1024 / one.len()))
    }
}

/// What a flood came to.
#[derive(Debug, Default)]
pub struct Came {
    /// Taken by the kernel of the central's machine.
    pub bytes: AtomicU64,
    /// Connections that were upgraded.
    pub sockets: AtomicU64,
}

/// Runs `work` while one address sends over so many connections, which come again when they are ended; every other one reads.
pub fn during<T>(
    central: &Central,
    socket: &Socket,
    sent: &[Sent],
    from: [u8; 4],
    connections: usize,
    work: impl FnOnce() -> T,
) -> (T, Came) {
    let (over, came) = (AtomicBool::new(false), Came::default());
    let result = std::thread::scope(|scope| {
        let (over, came) = (&over, &came);
        for number in 0..connections {
            let sent = sent[number % sent.len()];
            scope.spawn(move || {
                // It is on another machine in truth: here it must not compete for the cores.
                let _refused = rustix::process::setpriority_process(None, 19);
                while !over.load(Ordering::Relaxed) {
                    let reads = number % 2 == 0;
                    if send_until_ended(central, socket, sent, from, reads, over, came).is_err() {
                        // Turned away: a flooder would not wait longer.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        result
    });
    match result {
        Ok(result) => (result, came),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn send_until_ended(
    central: &Central,
    socket: &Socket,
    sent: Sent,
    from: [u8; 4],
    reads: bool,
    over: &AtomicBool,
    came: &Came,
) -> std::io::Result<()> {
    let mut stream = upgraded(central, socket, from)?;
    came.sockets.fetch_add(1, Ordering::Relaxed);
    let (opening, block) = sent.bytes();
    if let Some(first) = &socket.first {
        stream.write_all(&frame(0x81, first.as_bytes()))?;
    }
    stream.write_all(&opening)?;
    stream.set_nonblocking(true)?;
    let (mut done, mut read) = (0, vec![0; 64 * 1024]);
    while !over.load(Ordering::Relaxed) {
        match stream.write(&block[done..]) {
            Ok(count) => {
                done = (done + count) % block.len();
                came.bytes.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => return Ok(()),
        }
        if reads && matches!(stream.read(&mut read), Ok(0)) {
            return Ok(());
        }
    }
    Ok(())
}

/// A connection on which frames may be sent.
pub fn upgraded(central: &Central, socket: &Socket, from: [u8; 4]) -> std::io::Result<TcpStream> {
    let to = socket.sink.map_or_else(|| format!("{}:{}", central.ip, socket.port), |sink| sink.to_string());
    let mut stream = super::net::connect_from(from.into(), to.parse().unwrap())?;
    let protocol =
        socket.protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n")).unwrap_or_default();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n",
        socket.path
    );
    stream.write_all(request.as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() > 4_096 {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101") { Ok(stream) } else { Err(ErrorKind::ConnectionRefused.into()) }
}

/// Upgrades whoever comes and reads what he sends: what a flood costs the machine alone.
pub fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = vec![0; 64 * 1024];
                let _asked = stream.read(&mut bytes);
                let _answered = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
                while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

/// The most memory a central had in KiB while `work` ran.
pub fn most_memory_kib<T>(central: &Central, work: impl FnOnce() -> T) -> (usize, T) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(central.memory_kib());
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        match result {
            Ok(result) => (watch.join().unwrap(), result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// How long cars are let in, one after the other, for so long; how long each was answered after.
pub fn let_in_for(central: &Central, numbers_from: usize, time: Duration) -> Vec<Duration> {
    let (start, mut took, mut next) = (Instant::now(), Vec::new(), numbers_from);
    while start.elapsed() < time {
        took.extend(super::flood::let_in(central, next..next + 10));
        next += 10;
    }
    took
}

/// The time within which 99 of 100 were answered.
pub fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[(took.len() * 99 / 100).min(took.len() - 1)]
}
