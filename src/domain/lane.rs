//! Which edges stand at one lane: a camera and its barrier can be two devices with ids of their own.

use std::collections::HashMap;

/// The lanes of this central that have more than one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lanes {
    of_edge: HashMap<String, String>,
}

impl Lanes {
    /// Of edges and the names of their lanes.
    pub fn of<'n>(edges: impl Iterator<Item = (&'n str, &'n str)>) -> Self {
        Self { of_edge: edges.map(|(edge, lane)| (edge.to_owned(), lane.to_owned())).collect() }
    }

    /// Whether an edge is one of several devices of a lane.
    pub fn has_several(&self, edge: &str) -> bool {
        self.of_edge.contains_key(edge)
    }

    /// The other devices of an edge's lane, in the order of their ids.
    pub fn others(&self, edge: &str) -> Vec<&str> {
        let Some(lane) = self.of_edge.get(edge) else { return Vec::new() };
        let mut others: Vec<&str> =
            self.of_edge.iter().filter(|(_, of)| *of == lane).map(|(id, _)| id.as_str()).collect();
        others.retain(|other| *other != edge);
        others.sort_unstable();
        others
    }

    /// Whether what two edges see or ask for passes the same place: they are one, or devices of one lane.
    pub fn is_one(&self, edge: &str, other: &str) -> bool {
        edge == other || self.of_edge.get(edge).is_some_and(|lane| self.of_edge.get(other) == Some(lane))
    }
}
