//! A blocking client of one central with the documented calls.

use std::time::Duration;

use parkmesh::lab::compare::Snapshot;
use serde_json::{Value, json};

use super::openapi;

/// How long one call may take: nothing a central does for an edge takes longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows asked for at once when a whole history is read.
const PAGE: usize = 500;

/// A status, its headers and what came with it.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    /// `Null` if the body is not JSON.
    pub body: Value,
    pub text: String,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The cookie that came with it, as a browser sends it back.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let set = self.headers.get("set-cookie").expect("a cookie").to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    /// A text field of the body, `""` if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number of the body.
    #[track_caller]
    pub fn number(&self, name: &str) -> i64 {
        let found = self.body.get(name).and_then(Value::as_i64);
        found.unwrap_or_else(|| panic!("no number '{name}' in {}", self.text))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Fails the test unless the answer is a success as documented.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.is_success() && self.flag("success"), "{} {}", self.status, self.text);
        self
    }

    /// Fails the test unless the answer is an error as documented: this status, a sentence and a stable code.
    #[track_caller]
    pub fn refused(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.body.get("success"), Some(&Value::Bool(false)), "{}", self.text);
        assert!(!self.field("error").is_empty() && !self.field("code").is_empty(), "{}", self.text);
        self
    }
}

/// Calls one central. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    agent: ureq::Agent,
    /// Sent with each call.
    headers: Vec<(String, String)>,
}

impl Http {
    /// `base`: `http://host:port`.
    pub fn new(base: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None)
            .build();
        Self { base: base.into(), agent: config.into(), headers: Vec::new() }
    }

    /// The same central, called with one more header: a cookie, a token, a key.
    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.into()));
        other
    }

    /// Any call, whose answer must be one the OpenAPI document knows. `Err`: no answer came; whether it was acted upon is unknown.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Reply, String> {
        let mut builder = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        if let Some((content_type, _)) = body {
            builder = builder.header("Content-Type", content_type);
        }
        let config = |request| self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let sent = match body {
            Some((_, bytes)) => self.agent.run(config(builder.body(bytes.to_vec()).map_err(|e| e.to_string())?)),
            None => {
                let request = builder.body(()).map_err(|e| e.to_string())?;
                self.agent.run(request)
            }
        };
        let mut response = sent.map_err(|error| error.to_string())?;
        let bytes =
            response.body_mut().with_config().limit(64 << 20).read_to_vec().map_err(|error| error.to_string())?;
        let reply = Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        };
        openapi::check(method, path, reply.status, &reply.body);
        Ok(reply)
    }

    fn send_json(&self, method: &str, path: &str, body: &Value) -> Result<Reply, String> {
        self.send(method, path, Some(("application/json", body.to_string().as_bytes())))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).unwrap_or_else(|error| panic!("GET {}{path}: {error}", self.base))
    }

    pub fn try_get(&self, path: &str) -> Result<Reply, String> {
        self.send("GET", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).unwrap_or_else(|error| panic!("POST {}{path} {body}: {error}", self.base))
    }

    pub fn try_post(&self, path: &str, body: &Value) -> Result<Reply, String> {
        self.send_json("POST", path, body)
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.send_json("PUT", path, body).unwrap_or_else(|error| panic!("PUT {}{path} {body}: {error}", self.base))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None).unwrap_or_else(|error| panic!("DELETE {}{path}: {error}", self.base))
    }

    /// A removal with its reason.
    #[track_caller]
    pub fn void(&self, event_id: &str, body: &Value) -> Reply {
        let path = format!("/api/parking/history/{event_id}");
        self.send_json("DELETE", &path, body).unwrap_or_else(|error| panic!("DELETE {}{path}: {error}", self.base))
    }

    /// A correction.
    #[track_caller]
    pub fn correct(&self, event_id: &str, body: &Value) -> Reply {
        self.put(&format!("/api/parking/history/{event_id}"), body)
    }

    /// `barrier/open` with an explicit direction.
    #[track_caller]
    pub fn press(&self, edge: &str, plate: &str, direction: &str) -> Reply {
        self.open(&json!({"edge_id": edge, "plate_id": plate, "direction": direction}))
    }

    /// `barrier/open` with any body.
    #[track_caller]
    pub fn open(&self, body: &Value) -> Reply {
        self.post("/api/edge/barrier/open", body)
    }

    /// A car in, which must succeed; its event id.
    #[track_caller]
    pub fn enter(&self, edge: &str, plate: &str) -> String {
        let reply = self.press(edge, plate, "ENTRY").ok();
        assert_eq!(reply.field("action"), "ENTRY", "{}", reply.text);
        reply.field("event_id").to_owned()
    }

    /// A car out, which must succeed; its fee.
    #[track_caller]
    pub fn leave(&self, edge: &str, plate: &str) -> i64 {
        let reply = self.press(edge, plate, "EXIT").ok();
        assert_eq!(reply.field("action"), "EXIT", "{}", reply.text);
        reply.number("fee")
    }

    /// `barrier/close` for what was just opened.
    #[track_caller]
    pub fn close(&self, edge: &str, plate: &str) -> Reply {
        self.post("/api/edge/barrier/close", &json!({"edge_id": edge, "plate_id": plate}))
    }

    /// `detection`.
    #[track_caller]
    pub fn detect(&self, edge: &str, plate: &str, direction: &str) -> Reply {
        let body = json!({
            "edge_id": edge, "plate_id": plate, "camera_type": "car", "direction": direction, "confidence": 0.95,
        });
        self.post("/api/edge/detection", &body)
    }

    /// The rows of a page: `history("search=29A&limit=10")`.
    #[track_caller]
    pub fn history(&self, query: &str) -> Vec<Value> {
        rows(&self.get(&format!("/api/parking/history?{query}")))
    }

    /// The rows of one plate, newest first.
    #[track_caller]
    pub fn rows_of(&self, plate: &str) -> Vec<Value> {
        self.history(&format!("search={plate}&limit=100"))
    }

    /// The whole history; call it when nothing is being written.
    #[track_caller]
    pub fn whole_history(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut offset = 0;
        loop {
            let page = self.history(&format!("limit={PAGE}&offset={offset}"));
            if page.is_empty() {
                return snapshot;
            }
            offset += page.len();
            page.into_iter().for_each(|row| snapshot.add(row));
        }
    }

    /// `/api/p2p/status`.
    #[track_caller]
    pub fn p2p_status(&self) -> Value {
        self.get("/api/p2p/status").ok().body
    }

    /// `/api/stats`.
    #[track_caller]
    pub fn stats(&self) -> Value {
        self.get("/api/stats").ok().body
    }
}

#[track_caller]
fn rows(reply: &Reply) -> Vec<Value> {
    let rows = reply.body.get("history").and_then(Value::as_array);
    rows.unwrap_or_else(|| panic!("no history in {} {}", reply.status, reply.text)).clone()
}
