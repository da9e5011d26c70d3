//! A TCP proxy that stands between two centrals, so that a link can be cut, held, slowed and healed.
//!
//! It neither reads nor changes what passes. Invariant: bytes of one connection arrive whole and in order, or the
//! connection ends; a held link loses nothing, as a network that comes back loses nothing of a TCP stream.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Most bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most chunks under way in one direction of a delayed link.
const CHUNKS_UNDER_WAY: usize = 64;

/// What a link does with connections and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Everything passes at once.
    Open,
    /// Everything passes, later.
    Delayed(Duration),
    /// Connections stay, nothing is read and nothing passes: a black hole. What was under way passes after healing.
    Held,
    /// What the dialler sends is not read; what it is sent passes: a peer that talks and never reads.
    Deaf,
    /// Connections end at once and new ones are closed as soon as they come.
    Cut,
}

/// A running proxy. Ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<LinkState>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.send_replace(LinkState::Cut);
    }
}

impl Proxy {
    /// Listens on `listen` and passes what comes to `target`. Must be called within a tokio runtime, which carries it.
    ///
    /// # Errors
    /// What the operating system says about `listen`; `target` need not be there yet.
    pub async fn start(listen: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (state, watched) = watch::channel(LinkState::Open);
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((inbound, _)) => drop(tokio::spawn(carry(inbound, target, watched.clone()))),
                    // Too many open files, or the caller is gone already: others may still come.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Self { address, state, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts, holds, slows or heals the link, now.
    pub fn set(&self, state: LinkState) {
        self.state.send_replace(state);
    }
}

/// Carries one connection until it ends on either side or the link is cut.
async fn carry(inbound: TcpStream, target: SocketAddr, mut state: watch::Receiver<LinkState>) {
    if state.wait_for(|state| *state != LinkState::Held).await.is_ok_and(|state| *state == LinkState::Cut) {
        return;
    }
    let Ok(outbound) = TcpStream::connect(target).await else { return };
    if inbound.set_nodelay(true).and_then(|()| outbound.set_nodelay(true)).is_err() {
        return;
    }
    let (from_dialler, to_dialler) = inbound.into_split();
    let (from_target, to_target) = outbound.into_split();
    let there = pin!(carry_one_way(from_dialler, to_target, state.clone(), |state| {
        matches!(state, LinkState::Held | LinkState::Deaf)
    }));
    let back = pin!(carry_one_way(from_target, to_dialler, state.clone(), |state| state == LinkState::Held));
    let cut = pin!(async move { state.wait_for(|state| *state == LinkState::Cut).await.is_ok() });
    // A cut comes before what could still pass. An end on one side ends the whole connection: WebSocket peers have no use for
    // half of one.
    select(cut, select(there, back)).await;
}

/// Reads chunks and hands each on when it is due; `holds`: in which states nothing is read or handed on.
async fn carry_one_way(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mut state: watch::Receiver<LinkState>,
    holds: fn(LinkState) -> bool,
) {
    let (due, under_way) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let deliver = pin!(deliver(under_way, to, state.clone(), holds));
    let read = pin!(async move {
        loop {
            if state.wait_for(|state| !holds(*state)).await.is_err() {
                return;
            }
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            if !matches!(from.read_buf(&mut chunk).await, Ok(1..)) {
                return;
            }
            let delay = match *state.borrow() {
                LinkState::Delayed(delay) => delay,
                _ => Duration::ZERO,
            };
            if due.send((Instant::now() + delay, chunk)).await.is_err() {
                return;
            }
        }
    });
    if let Either::Left(((), deliver)) = select(read, deliver).await {
        deliver.await;
    }
}

async fn deliver(
    mut under_way: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<LinkState>,
    holds: fn(LinkState) -> bool,
) {
    while let Some((due, chunk)) = under_way.recv().await {
        tokio::time::sleep_until(due).await;
        if state.wait_for(|state| !holds(*state)).await.is_err() || to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1:0";
    const SOON: Duration = Duration::from_secs(5);

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    fn on_one_thread<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(SOON, test).await.expect("in time") })
    }

    #[test]
    fn an_open_link_passes_everything_in_order() {
        on_one_thread(async {
            let proxy = Proxy::start(LOCAL.parse().unwrap(), echo().await).await.unwrap();
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
            let (mut from, mut to) = stream.split();
            let mut answer = vec![0; large.len()];
            let (sent, read) = futures_util::future::join(to.write_all(&large), from.read_exact(&mut answer)).await;
            assert!(sent.is_ok() && read.is_ok() && answer == large);
        });
    }

    #[test]
    fn a_cut_ends_connections_and_healing_lets_new_ones_through() {
        on_one_thread(async {
            let proxy = Proxy::start(LOCAL.parse().unwrap(), echo().await).await.unwrap();
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(ask(&mut stream, b"a").await.unwrap(), b"a");
            proxy.set(LinkState::Cut);
            assert!(!matches!(stream.read(&mut [0; 8]).await, Ok(1..)), "the old connection ends");
            let mut during = TcpStream::connect(proxy.address()).await.unwrap();
            assert!(ask(&mut during, b"b").await.is_err(), "a new one is closed");
            proxy.set(LinkState::Open);
            let mut after = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(ask(&mut after, b"c").await.unwrap(), b"c");
        });
    }

    #[test]
    fn a_deaf_link_passes_only_what_the_target_says() {
        on_one_thread(async {
            let listener = TcpListener::bind(LOCAL).await.unwrap();
            let proxy = Proxy::start(LOCAL.parse().unwrap(), listener.local_addr().unwrap()).await.unwrap();
            let mut dialler = TcpStream::connect(proxy.address()).await.unwrap();
            let (mut target, _) = listener.accept().await.unwrap();
            proxy.set(LinkState::Deaf);
            dialler.write_all(b"unheard").await.unwrap();
            let heard = tokio::time::timeout(Duration::from_millis(100), target.read_u8()).await;
            assert!(heard.is_err(), "{heard:?}");
            target.write_all(b"t").await.unwrap();
            assert_eq!(dialler.read_u8().await.unwrap(), b't');
            proxy.set(LinkState::Open);
            assert_eq!(target.read_u8().await.unwrap(), b'u');
        });
    }

    #[test]
    fn a_held_link_says_nothing_and_loses_nothing() {
        on_one_thread(async {
            let proxy = Proxy::start(LOCAL.parse().unwrap(), echo().await).await.unwrap();
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(ask(&mut stream, b"a").await.unwrap(), b"a");
            proxy.set(LinkState::Held);
            let silent = tokio::time::timeout(Duration::from_millis(100), ask(&mut stream, b"held")).await;
            assert!(silent.is_err());
            proxy.set(LinkState::Open);
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"held");
        });
    }

    #[test]
    fn a_delay_is_kept_both_ways() {
        on_one_thread(async {
            let proxy = Proxy::start(LOCAL.parse().unwrap(), echo().await).await.unwrap();
            proxy.set(LinkState::Delayed(Duration::from_millis(40)));
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            let start = Instant::now();
            assert_eq!(ask(&mut stream, b"a").await.unwrap(), b"a");
            assert!(start.elapsed() >= Duration::from_millis(80));
        });
    }
}
