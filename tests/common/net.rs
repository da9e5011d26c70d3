//! Addresses that nobody else uses, and links that can be cut.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::time::Duration;

use parkmesh::lab::proxy::{LinkState, Proxy};

/// An address of the loopback net for one central of this process: `127.<by process>.<by process>.<count>`.
///
/// So ports need not be searched for, keep their meaning over restarts, and no two test programs meet.
pub fn own_address() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(count < u8::MAX, "a test program has at most 253 centrals");
    let process = std::process::id();
    format!("127.{}.{}.{count}", 64 + (process >> 8) % 128, process % 256)
}

/// A port of 127.0.0.1 that is free, and stays so while nobody listens there: below those that the kernel hands out to whoever
/// asks for any or dials, another one with each call, and away from those of other test programs.
pub fn own_port() -> u16 {
    const FIRST: u16 = 20_000;
    const OF_EACH: u16 = 64;
    const PROGRAMS: u16 = 120;
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let program = u16::try_from(std::process::id() % u32::from(PROGRAMS)).expect("a small number");
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        assert!(count < OF_EACH, "a test program has at most {OF_EACH} ports of its own");
        let port = FIRST + program * OF_EACH + count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A connection from an address of one's own choice.
pub fn connect_from(source: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    connect_with(source, to, |_| Ok(()))
}

/// As [`connect_from`], with so little room for what comes that who is written to gets on only as fast as we read.
pub fn connect_with_little_room(source: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    connect_with(source, to, |fd| Ok(rustix::net::sockopt::set_socket_recv_buffer_size(fd, 4_096)?))
}

fn connect_with(
    source: IpAddr,
    to: SocketAddr,
    set: impl FnOnce(&OwnedFd) -> std::io::Result<()>,
) -> std::io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let fd: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set(&fd)?;
    bind(&fd, &SocketAddr::new(source, 0))?;
    connect(&fd, &to)?;
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// A proxy in front of a central's P2P port, carried by a thread of its own.
#[derive(Debug)]
pub struct Link(Proxy);

impl Link {
    /// A link to `target`, open.
    pub fn to(target: SocketAddr) -> Self {
        let start = async move { Proxy::start("127.0.0.1:0".parse().unwrap(), target).await };
        let (sender, receiver) = std::sync::mpsc::channel();
        carrier().spawn(async move { sender.send(start.await) });
        Self(receiver.recv().expect("the carrier runs").expect("a free port"))
    }

    pub fn port(&self) -> u16 {
        self.0.address().port()
    }

    /// In force once this returns: nothing that is said from then on passes a cut, and a cut that is healed at once was one.
    pub fn set(&self, state: LinkState) {
        self.0.set(state);
        let (sender, receiver) = std::sync::mpsc::channel();
        carrier().spawn(async move {
            // Who carries a connection was woken before this was spawned, and has had its turn when this has had three.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            sender.send(())
        });
        receiver.recv().expect("the carrier runs");
    }
}

/// The runtime that carries all proxies of this test program.
fn carrier() -> &'static tokio::runtime::Handle {
    static CARRIER: OnceLock<tokio::runtime::Handle> = OnceLock::new();
    CARRIER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    })
}
