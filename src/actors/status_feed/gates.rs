//! The gates of the site as a dashboard shows them: those of the settings, and all that something happened at.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::Detected;
use crate::config::model::Config;
use crate::feed::line::EventLine;
use crate::ledger::settings::Settings;
use crate::store::reader::DayStats;

/// Most gates remembered; edge ids are what clients say they are.
const MAX_GATES: usize = 256;
/// Plates shown as what a gate's camera read.
const MAX_SEEN: usize = 5;

/// The last event of each gate, `central/edge`, and what the cameras of this central read last.
#[derive(Debug, Default)]
pub struct Gates {
    last: BTreeMap<String, EventLine>,
    seen: BTreeMap<String, VecDeque<Detected>>,
}

impl Gates {
    /// Something happened; not necessarily now.
    pub fn saw(&mut self, line: &EventLine) {
        let Some(gate) = line.gate().filter(|_| matches!(line.kind, "entry" | "exit")) else { return };
        if self.last.get(&gate).is_some_and(|known| known.at_ms > line.at_ms) {
            return;
        }
        self.last.insert(gate, line.clone());
        if self.last.len() > MAX_GATES {
            let oldest = self.last.iter().min_by_key(|(_, line)| line.at_ms).map(|(gate, _)| gate.clone());
            oldest.map(|gate| self.last.remove(&gate));
        }
    }

    /// A camera of this central read a plate. Reading it again only renews it.
    pub fn detected(&mut self, central: &str, detected: Detected) {
        let seen = self.seen.entry(format!("{central}/{}", detected.edge_id)).or_default();
        seen.retain(|known| known.plate_id != detected.plate_id);
        seen.push_back(detected);
        if seen.len() > MAX_SEEN {
            seen.pop_front();
        }
        if self.seen.len() > MAX_GATES {
            let newest = |seen: &VecDeque<Detected>| seen.back().map(|detected| detected.at_ms);
            let oldest = self.seen.iter().min_by_key(|(_, seen)| newest(seen)).map(|(gate, _)| gate.clone());
            oldest.map(|gate| self.seen.remove(&gate));
        }
    }

    /// The members of section `gates`.
    #[must_use]
    pub fn show(&self, config: &Config, settings: &Settings, day: &DayStats) -> Vec<(String, Value)> {
        let own = config.this_central.id.as_str();
        let mut gates: BTreeMap<String, Value> = BTreeMap::new();
        for edge in &config.edges {
            let gate = json!({"central": own, "edge": edge.id, "name": edge.name, "lane": edge.direction});
            gates.insert(format!("{own}/{}", edge.id), gate);
        }
        for (gate, line) in &self.last {
            let fields =
                gates.entry(gate.clone()).or_insert_with(|| json!({"central": line.central, "edge": line.edge}));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("last".into(), json!(line));
            }
        }
        for (gate, seen) in &self.seen {
            let (central, edge) = gate.split_once('/').unwrap_or((gate, ""));
            let fields = gates.entry(gate.clone()).or_insert_with(|| json!({"central": central, "edge": edge}));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("seen".into(), json!(seen));
            }
        }
        for sums in day.gates.iter().take(MAX_GATES) {
            let gate = gates
                .entry(format!("{}/{}", sums.central, sums.edge_id))
                .or_insert_with(|| json!({"central": sums.central, "edge": sums.edge_id}));
            if let Some(fields) = gate.as_object_mut() {
                fields.insert("entries".into(), sums.entries.into());
                fields.insert("exits".into(), sums.exits.into());
                fields.insert("revenue".into(), sums.revenue.into());
            }
        }
        // Those of other centrals, as they called them.
        for (gate, fields) in &mut gates {
            let is_named = fields.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
            if let (false, Some(name), Some(fields)) = (is_named, settings.name(gate), fields.as_object_mut()) {
                fields.insert("name".into(), name.into());
            }
        }
        gates.into_iter().collect()
    }
}
