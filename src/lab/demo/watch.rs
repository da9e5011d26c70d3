//! Asks every central how it stands, for the table and for the end of a demo.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use super::table::{Figures, Line};
use crate::lab::caller::Caller;
use crate::lab::client::{Address, ClientError};

/// How long a central may take to answer before its line says that it does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches one central.
#[derive(Debug)]
struct Watched {
    id: String,
    address: Address,
    caller: Caller,
    /// The events it held when it was asked last.
    before: Option<(Instant, i64)>,
}

/// Watches all of them.
#[derive(Debug)]
pub struct Watch(Vec<Watched>);

/// What must be equal between centrals at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: String,
    /// Events held.
    pub events: i64,
    /// The digest of the history; empty if the central gives none.
    pub digest: String,
    /// Every peer is linked.
    pub linked: bool,
}

impl Watch {
    #[must_use]
    pub fn new(centrals: impl IntoIterator<Item = (String, Address)>) -> Self {
        let watched = |(id, address): (String, Address)| Watched {
            id,
            caller: Caller::new(address.clone(), PATIENCE),
            address,
            before: None,
        };
        Self(centrals.into_iter().map(watched).collect())
    }

    /// The lines of the table.
    pub async fn lines(&mut self) -> Vec<Line> {
        join_all(self.0.iter_mut().map(Watched::line)).await
    }

    /// How all stand; an error if one of them does not answer.
    pub async fn standings(&mut self) -> Result<Vec<Standing>, ClientError> {
        join_all(self.0.iter_mut().map(Watched::standing)).await.into_iter().collect()
    }
}

impl Watched {
    async fn line(&mut self) -> Line {
        let figures = self.figures().await.ok();
        if figures.is_none() {
            self.before = None;
        }
        Line { id: self.id.clone(), url: format!("http://{}", self.address.authority), figures }
    }

    #[expect(clippy::cast_precision_loss, reason = "events of one second are far below 2^52")]
    async fn figures(&mut self) -> Result<Figures, ClientError> {
        let stats = self.caller.get("/api/stats").await?;
        let status = self.caller.get("/api/p2p/status").await?;
        let (now, events) = (Instant::now(), status.number("events"));
        let events_per_s = self.before.map_or(0.0, |(then, before)| {
            events.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
        });
        self.before = Some((now, events));
        let peers = status.body.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Figures {
            inside: stats.number("vehicles_in_parking"),
            events_per_s,
            revenue_today_vnd: stats.number("revenue_today"),
            linked: status.number("connected_peers"),
            peers: status.number("total_peers"),
            lag: peers.iter().map(lag_of).collect(),
        })
    }

    async fn standing(&mut self) -> Result<Standing, ClientError> {
        let status = self.caller.get("/api/p2p/status").await?;
        Ok(Standing {
            id: self.id.clone(),
            events: status.number("events"),
            digest: status.text("digest").to_owned(),
            linked: status.number("connected_peers") == status.number("total_peers"),
        })
    }
}

fn lag_of(peer: &Value) -> (String, Option<i64>) {
    let id = peer.get("peer_id").and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |field: &str| peer.get(field).and_then(Value::as_i64);
    let connected = peer.get("connected").and_then(Value::as_bool).unwrap_or_default();
    let lag = number("we_lack_events").max(number("it_lacks_events"));
    (id, lag.filter(|_| connected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lag_of_a_link_is_the_greater_of_both_ways_and_unknown_without_a_link() {
        let peer = |connected, ours: Value, its: Value| json!({"peer_id": "b", "connected": connected, "we_lack_events": ours, "it_lacks_events": its});
        assert_eq!(lag_of(&peer(true, json!(3), json!(5))), ("b".to_owned(), Some(5)));
        assert_eq!(lag_of(&peer(true, json!(3), Value::Null)).1, Some(3));
        assert_eq!(lag_of(&peer(false, json!(3), json!(5))).1, None);
    }
}
