//! Somebody who is told over HTTP: remembers all he hears, answers as a test says, and can be killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{DEADLINE, eventually, net};

/// What is answered: status and body; `None`: the connection ends without a word.
type Answers = Box<dyn FnMut(&Heard) -> Option<(u16, String)> + Send>;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub head: String,
    pub body: Value,
}

impl Heard {
    /// A header; empty: there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }
}

pub struct Receiver {
    pub address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answer: Arc<Mutex<Answers>>,
    is_up: Arc<AtomicBool>,
}

impl Receiver {
    /// It answers `200 ok`.
    pub fn start(port: u16) -> Self {
        let receiver = Self {
            address: format!("{}:{port}", net::own_address()),
            heard: Arc::default(),
            answer: Arc::new(Mutex::new(Box::new(|_| Some((200, "ok".to_owned()))))),
            is_up: Arc::default(),
        };
        receiver.revive();
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/told", self.address)
    }

    /// From now on it answers so.
    pub fn answers(&self, status: u16, text: &str) {
        let text = text.to_owned();
        self.answers_by(move |_| Some((status, text.clone())));
    }

    /// From now on it answers what this gives; `None`: it ends the connection.
    pub fn answers_by(&self, answer: impl FnMut(&Heard) -> Option<(u16, String)> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// It listens no more, and says nothing more on connections it has.
    pub fn kill(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        // Whoever waits in accept wakes.
        drop(TcpStream::connect(&self.address));
        eventually("nobody listens", DEADLINE, || TcpStream::connect(&self.address).is_err());
    }

    pub fn revive(&self) {
        let listener = TcpListener::bind(&self.address).unwrap();
        self.is_up.store(true, Ordering::SeqCst);
        let (heard, answer, is_up) = (self.heard.clone(), self.answer.clone(), self.is_up.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !is_up.load(Ordering::SeqCst) {
                    return;
                }
                let (heard, answer, is_up) = (heard.clone(), answer.clone(), is_up.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &heard, &answer, &is_up));
            }
        });
    }

    pub fn all(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Bodies of this kind and code.
    pub fn told(&self, kind: &str, code: &str) -> Vec<Value> {
        let all = self.all().into_iter().map(|heard| heard.body);
        all.filter(|body| body["kind"] == kind && body["code"] == code).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.is_up.store(false, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
    }
}

/// Reads requests and answers them until either side ends. `None`: it did.
fn serve(stream: TcpStream, heard: &Mutex<Vec<Heard>>, answer: &Mutex<Answers>, is_up: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        if !is_up.load(Ordering::SeqCst) {
            return None;
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let one = Heard { head, body };
        heard.lock().unwrap().push(one.clone());
        let said = (answer.lock().unwrap())(&one);
        let Some((status, text)) = said else {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        };
        let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        (&stream).write_all(reply.as_bytes()).ok()?;
    }
}
