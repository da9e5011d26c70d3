//! A dashboard at the status feed, which reads when it is told to, and not before.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DEADLINE;
use super::ws::Ws;

/// One dashboard.
pub struct Dashboard {
    socket: Ws,
    /// `feed` and `number` of the last message that was read.
    pub feed: String,
    pub number: u64,
}

impl Dashboard {
    /// `address`: `host:port`; `query`: `""` or `"?feed=…&after=…"`.
    #[track_caller]
    pub fn open(address: &str, query: &str) -> Self {
        let socket = Ws::dial(address, &format!("/ws/status{query}"), None).expect("a WebSocket");
        Self { socket, feed: String::new(), number: 0 }
    }

    /// The next message, not acknowledged.
    #[track_caller]
    pub fn read(&mut self) -> Value {
        let text = self.socket.hear(DEADLINE).expect("an open socket").expect("a message in time");
        let message: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(feed) = message["feed"].as_str() {
            self.feed = feed.to_owned();
        }
        self.number = message["number"].as_u64().unwrap_or(self.number);
        message
    }

    /// The next message, acknowledged.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let message = self.read();
        self.ack();
        message
    }

    /// Reads and acknowledges until a message is the one.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let message = self.next();
            if is_it(&message) {
                return message;
            }
            assert!(start.elapsed() < DEADLINE, "within {DEADLINE:?}: {what}; the last was {message}");
        }
    }

    /// Whether nothing is said within `patience`.
    pub fn hears_nothing(&mut self, patience: Duration) -> bool {
        self.socket.hear(patience).expect("an open socket").is_none()
    }

    pub fn ack(&mut self) {
        self.socket.say(&json!({"type": "ack", "number": self.number})).expect("an open socket");
    }
}
