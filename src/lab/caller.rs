//! Calls to one central that wait for JSON: for questions and simulated gates, where ease matters more than speed.

use std::time::Duration;

use serde_json::Value;

use super::client::{Address, ClientError, Connection, write_request};

/// A status and the JSON that came with it (`Null` if it was none).
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A text field of the body, empty if it is not there.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number of the body, 0 if it is not there.
    #[must_use]
    pub fn number(&self, field: &str) -> i64 {
        self.body.get(field).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// One caller with one kept connection, opened when needed.
#[derive(Debug)]
pub struct Caller {
    address: Address,
    connection: Option<Connection>,
    request: Vec<u8>,
    patience: Duration,
}

impl Caller {
    /// `patience`: how long one call, its connecting included, may take.
    #[must_use]
    pub fn new(address: Address, patience: Duration) -> Self {
        Self { address, connection: None, request: Vec::new(), patience }
    }

    /// # Errors
    /// [`ClientError`] if no whole answer came in time.
    pub async fn get(&mut self, path: &str) -> Result<Reply, ClientError> {
        self.call("GET", path, None).await
    }

    /// The call is made again on a new connection if a kept one turns out to be closed: give it a `request_id`.
    ///
    /// # Errors
    /// [`ClientError`] if no whole answer came in time; the central may have acted all the same.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Reply, ClientError> {
        self.call("POST", path, Some(body.to_string().as_bytes())).await
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Reply, ClientError> {
        let path = format!("{}{path}", self.address.path);
        write_request(&mut self.request, method, &self.address.authority, &path, body);
        let late = || ClientError::Late(self.patience.as_millis());
        // Taken out: an error or a dropped call leaves no half-used connection behind.
        let kept = self.connection.take();
        let may_be_stale = kept.is_some();
        let exchange = async {
            match exchange(&self.address.authority, kept, &self.request).await {
                Err(ClientError::Closed | ClientError::Io(_)) if may_be_stale => {
                    exchange(&self.address.authority, None, &self.request).await
                }
                outcome => outcome,
            }
        };
        let (reply, connection) = tokio::time::timeout(self.patience, exchange).await.map_err(|_| late())??;
        self.connection = connection;
        Ok(reply)
    }
}

/// One exchange on `connection`, or on a new one; gives the connection back if it can be used again.
async fn exchange(
    authority: &str,
    connection: Option<Connection>,
    request: &[u8],
) -> Result<(Reply, Option<Connection>), ClientError> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => Connection::open(authority).await?,
    };
    let answer = connection.exchange(request).await?;
    let reply =
        Reply { status: answer.status, body: serde_json::from_slice(answer.body).unwrap_or(serde_json::Value::Null) };
    let keep_alive = answer.keep_alive;
    Ok((reply, keep_alive.then_some(connection)))
}
