//! One address that floods a central, or holds its sockets, and an edge elsewhere whose cars want in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::central::API_PORT;
use super::{Central, DEADLINE, eventually};

/// Where the flood comes from, and where the well-behaved edge stands.
pub const FLOODER: [u8; 4] = [127, 99, 1, 1];
pub const EDGE: [u8; 4] = [127, 99, 2, 2];
/// Connections the flood comes over.
const CONNECTIONS: usize = 32;
/// Between two cars of a busy gate, which is not another flood.
const BETWEEN_CARS: Duration = Duration::from_millis(10);

/// How the requests of a flood ended.
#[derive(Debug, Default)]
pub struct Flood {
    pub answered: AtomicUsize,
    /// With 429.
    pub turned_away: AtomicUsize,
}

impl Flood {
    /// Runs `work` while one address asks as fast as it can; it begins once requests are turned away.
    pub fn during<T>(&self, central: &Central, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        let before = self.turned_away.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| self.ask_until(&over, central));
            }
            let _ends = Ends(&over);
            let is_bounded = || self.turned_away.load(Ordering::Relaxed) > before + CONNECTIONS;
            eventually("the flood is turned away", DEADLINE, is_bounded);
            work()
        })
    }

    fn ask_until(&self, over: &AtomicBool, central: &Central) {
        let request = format!("GET /api/stats HTTP/1.1\r\nHost: {}\r\n\r\n", central.ip);
        while !over.load(Ordering::Relaxed) {
            let Ok(mut stream) = connect_from(FLOODER, central) else { continue };
            while let Ok(status) = call(&mut stream, &request) {
                match status {
                    429 => self.turned_away.fetch_add(1, Ordering::Relaxed),
                    _ => self.answered.fetch_add(1, Ordering::Relaxed),
                };
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
}

/// Says that something is over when it is dropped: also where the test fails, and threads that went on would be waited for for ever.
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets cars in, one after the other, over one connection of the well-behaved edge; how long each was answered after.
pub fn let_in(central: &Central, numbers: Range<usize>) -> Vec<Duration> {
    let mut stream = connect_from(EDGE, central).unwrap();
    numbers
        .map(|number| {
            std::thread::sleep(BETWEEN_CARS);
            let start = Instant::now();
            assert_eq!(call(&mut stream, &entry(central, number)).unwrap(), 200);
            start.elapsed()
        })
        .collect()
}

/// A connection from a loopback address of one's own choice.
pub fn connect_from(source: [u8; 4], central: &Central) -> std::io::Result<TcpStream> {
    super::net::connect_from(source.into(), format!("{}:{API_PORT}", central.ip).parse().unwrap())
}

/// A request over a connection that stays; its status.
pub fn call(stream: &mut (impl Read + Write), request: &str) -> std::io::Result<u16> {
    stream.write_all(request.as_bytes())?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0usize) {
            return Ok(head.split(' ').nth(1).unwrap().parse().unwrap());
        }
    }
}

/// An entry at the well-behaved edge.
pub fn entry(central: &Central, number: usize) -> String {
    let body = format!("{{\"edge_id\":\"edge-1\",\"plate_id\":\"29A{number:05}\",\"direction\":\"ENTRY\"}}");
    let (host, length) = (&central.ip, body.len());
    format!(
        "POST /api/edge/barrier/open HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
