//! The edges that are heard of: what they say of themselves, and when they last said anything. In memory only; an edge
//! says it again within half a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// An edge that was silent for this long is offline, in ms: it says something every 30 s.
pub const OFFLINE_AFTER_MS: i64 = 60_000;
/// Edges remembered; a site has some ten. Beyond it the one silent for longest is forgotten.
const MAX_EDGES: usize = 1_000;
/// Longest text an edge may say of itself, in characters.
const MAX_TEXT_CHARS: usize = 100;

/// What one edge said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeardEdge {
    pub name: Option<String>,
    /// `ENTRY`, `EXIT`, …
    pub kind: Option<String>,
    pub ip: Option<String>,
    /// Of events, by its own count.
    pub events_sent: u64,
    pub events_failed: u64,
    /// Of its reports since the start, by our count: those that could not be taken as what they tell.
    pub events_refused: u64,
    /// When it first and last said anything, Unix ms.
    pub first_ms: i64,
    pub last_ms: i64,
    /// When it last said that it lives, by a heartbeat or its line, Unix ms; `None`: it never did. A camera that calls when a car
    /// passes says nothing all night, and is well: only who says that he lives is missed.
    pub lived_ms: Option<i64>,
}

impl HeardEdge {
    pub fn is_online(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_ms) < OFFLINE_AFTER_MS
    }
}

/// Every edge heard of since the start, by id.
#[derive(Debug, Default)]
pub struct EdgeRoster(Mutex<BTreeMap<String, HeardEdge>>);

impl EdgeRoster {
    /// Notes that an edge said something; `note` takes over what it said of itself.
    pub fn heard(&self, edge_id: &str, now_ms: i64, note: impl FnOnce(&mut HeardEdge)) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.len() >= MAX_EDGES && !edges.contains_key(edge_id) {
            let silent = edges.iter().min_by_key(|(_, edge)| edge.last_ms).map(|(id, _)| id.clone());
            silent.map(|id| edges.remove(&id));
        }
        let edge =
            edges.entry(edge_id.to_owned()).or_insert_with(|| HeardEdge { first_ms: now_ms, ..HeardEdge::default() });
        edge.last_ms = now_ms;
        note(edge);
    }

    /// Notes that an edge said that it lives.
    pub fn lives(&self, edge_id: &str, now_ms: i64, note: impl FnOnce(&mut HeardEdge)) {
        self.heard(edge_id, now_ms, |edge| {
            edge.lived_ms = Some(now_ms);
            note(edge);
        });
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, HeardEdge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What an edge says of itself, as it is kept: without control characters, and of a length people read.
pub fn said(text: Option<&str>) -> Option<String> {
    let text: String = text?.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_online_until_it_was_silent_for_a_minute() {
        let roster = EdgeRoster::default();
        roster.heard("1", 1_000, |edge| edge.name = said(Some("Cổng\u{7} vào")));
        roster.heard("1", 31_000, |edge| edge.events_sent = 5);
        let edge = roster.all().remove("1").unwrap();
        assert_eq!((edge.first_ms, edge.name.as_deref(), edge.events_sent), (1_000, Some("Cổng vào"), 5));
        assert!(edge.is_online(90_999) && !edge.is_online(91_000));
        // A clock that is set back takes nobody off.
        assert!(edge.is_online(0));
    }

    #[test]
    fn the_roster_is_bounded() {
        let roster = EdgeRoster::default();
        for number in 0..=MAX_EDGES {
            roster.heard(&number.to_string(), i64::try_from(number).unwrap(), |_| {});
        }
        let all = roster.all();
        assert_eq!(all.len(), MAX_EDGES);
        assert!(!all.contains_key("0") && all.contains_key("1"));
    }
}
