//! The state every dashboard shows, with a number that grows by one each time it is published.
//!
//! - Each part remembers the number at which it last changed. What changed since number `n` is every part whose own number is
//!   greater: so one change covers any distance, and a dashboard that comes back, or is slow, gets one message, not many.
//! - What was removed is remembered as removed, up to [`MAX_REMOVED`] parts; who is further behind gets a snapshot.
//! - Of the events the newest [`MAX_EVENTS`] are kept; a change says how many it leaves out.
//!
//! Invariant: applying `since(n)` to the state at `n` gives the state at `number()`.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

/// Events a dashboard can be shown.
pub const MAX_EVENTS: usize = 100;
/// Removed members remembered.
const MAX_REMOVED: usize = 1_000;

/// One part, and the number it changed at. `None`: removed.
#[derive(Debug, Clone, PartialEq)]
struct BoardPart {
    value: Option<Value>,
    changed_at: u64,
}

/// The state. Parts are named `section` or, in a section with members, `section` and the member's key.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Tells this board from one of an earlier life of the process, whose numbers mean something else.
    id: String,
    /// Of the last publication; 0: none yet.
    number: u64,
    whole: BTreeMap<&'static str, BoardPart>,
    members: BTreeMap<&'static str, BTreeMap<String, BoardPart>>,
    /// The newest, oldest first, each with the number it came at.
    events: VecDeque<(u64, Value)>,
    /// Number and count of events that were pushed out of `events`, for the numbers still of interest.
    left_out: VecDeque<(u64, u64)>,
    removed: usize,
    /// Changes since numbers below this are not known any more.
    floor: u64,
    unpublished: bool,
}

impl Board {
    pub fn new(id: String) -> Self {
        Self {
            id,
            number: 0,
            whole: BTreeMap::new(),
            members: BTreeMap::new(),
            events: VecDeque::new(),
            left_out: VecDeque::new(),
            removed: 0,
            floor: 0,
            unpublished: false,
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// A section as a whole.
    pub fn set(&mut self, section: &'static str, value: Value) {
        let changed_at = self.number + 1;
        let new = BoardPart { value: Some(value), changed_at };
        if self.whole.get(section).is_none_or(|part| part.value != new.value) {
            self.whole.insert(section, new);
            self.unpublished = true;
        }
    }

    /// One member of a section.
    pub fn set_member(&mut self, section: &'static str, key: &str, value: Value) {
        let changed_at = self.number + 1;
        let members = self.members.entry(section).or_default();
        match members.get_mut(key) {
            Some(part) if part.value.as_ref() == Some(&value) => return,
            Some(part) => {
                self.removed -= usize::from(part.value.is_none());
                *part = BoardPart { value: Some(value), changed_at };
            }
            None => {
                members.insert(key.to_owned(), BoardPart { value: Some(value), changed_at });
            }
        }
        self.unpublished = true;
    }

    /// All members of a section; those not named are removed.
    pub fn set_members(&mut self, section: &'static str, members: impl IntoIterator<Item = (String, Value)>) {
        let members: BTreeMap<String, Value> = members.into_iter().collect();
        let known = self.members.entry(section).or_default();
        let gone: Vec<String> = known
            .iter()
            .filter(|(key, part)| part.value.is_some() && !members.contains_key(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.remove_member(section, &key);
        }
        for (key, value) in members {
            self.set_member(section, &key, value);
        }
    }

    pub fn remove_member(&mut self, section: &'static str, key: &str) {
        let part = self.members.get_mut(section).and_then(|members| members.get_mut(key));
        let Some(part) = part.filter(|part| part.value.is_some()) else { return };
        *part = BoardPart { value: None, changed_at: self.number + 1 };
        self.removed += 1;
        self.unpublished = true;
        if self.removed > MAX_REMOVED {
            self.forget_removed();
        }
    }

    /// Whoever is behind this number starts over.
    fn forget_removed(&mut self) {
        for members in self.members.values_mut() {
            members.retain(|_, part| part.value.is_some());
        }
        self.removed = 0;
        self.floor = self.number + 1;
    }

    /// Something happened.
    pub fn push_event(&mut self, event: Value) {
        self.events.push_back((self.number + 1, event));
        if self.events.len() > MAX_EVENTS
            && let Some((number, _)) = self.events.pop_front()
        {
            match self.left_out.back_mut() {
                Some((last, count)) if *last == number => *count += 1,
                _ => self.left_out.push_back((number, 1)),
            }
            if self.left_out.len() > MAX_REMOVED
                && let Some((number, _)) = self.left_out.pop_front()
            {
                self.floor = self.floor.max(number);
            }
        }
        self.unpublished = true;
    }

    /// So many events happened before the next one, and are not shown.
    pub fn leave_out(&mut self, events: u64) {
        if events > 0 {
            self.left_out.push_back((self.number + 1, events));
            self.unpublished = true;
        }
    }

    /// Gives everything that changed the next number. False: nothing changed.
    pub fn publish(&mut self) -> bool {
        let changed = self.unpublished;
        self.number += u64::from(changed);
        self.unpublished = false;
        changed
    }

    /// All of it, as a message. `now_ms`: this central's clock.
    pub fn snapshot(&self, now_ms: i64) -> String {
        let mut message = self.parts_since(None);
        message.insert("type".into(), "snapshot".into());
        message.insert("feed".into(), self.id.as_str().into());
        message.insert("number".into(), self.number.into());
        message.insert("now_ms".into(), now_ms.into());
        message.insert("events".into(), self.events.iter().map(|(_, event)| event.clone()).collect());
        Value::Object(message).to_string()
    }

    /// What changed after number `after`, as a message; `None`: that is not known any more, or never was.
    pub fn since(&self, after: u64, now_ms: i64) -> Option<String> {
        if after < self.floor || after > self.number {
            return None;
        }
        let mut message = self.parts_since(Some(after));
        message.insert("type".into(), "change".into());
        message.insert("after".into(), after.into());
        message.insert("number".into(), self.number.into());
        message.insert("now_ms".into(), now_ms.into());
        let events: Vec<&Value> = self.events.iter().filter(|(number, _)| *number > after).map(|(_, e)| e).collect();
        if !events.is_empty() {
            message.insert("events".into(), json!(events));
        }
        let left_out: u64 = self.left_out.iter().filter(|(number, _)| *number > after).map(|(_, count)| count).sum();
        if left_out > 0 {
            message.insert("events_left_out".into(), left_out.into());
        }
        Some(Value::Object(message).to_string())
    }

    /// `None`: all that is there.
    fn parts_since(&self, after: Option<u64>) -> Map<String, Value> {
        let changed = |part: &BoardPart| after.is_none_or(|after| part.changed_at > after);
        let mut message = Map::new();
        for (section, part) in self.whole.iter().filter(|(_, part)| changed(part)) {
            message.insert((*section).into(), part.value.clone().unwrap_or(Value::Null));
        }
        for (section, members) in &self.members {
            let shown: Map<String, Value> = members
                .iter()
                .filter(|(_, part)| changed(part) && (after.is_some() || part.value.is_some()))
                .map(|(key, part)| (key.clone(), part.value.clone().unwrap_or(Value::Null)))
                .collect();
            if after.is_none() || !shown.is_empty() {
                message.insert((*section).into(), Value::Object(shown));
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    /// A dashboard that applies what it is told.
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Dashboard {
        number: u64,
        lot: Value,
        peers: BTreeMap<String, Value>,
        events: Vec<Value>,
    }

    impl Dashboard {
        fn apply(&mut self, message: &Map<String, Value>) {
            if message["type"] == "snapshot" {
                *self = Self::default();
            } else {
                assert_eq!(message["after"], self.number);
            }
            self.number = message["number"].as_u64().unwrap();
            self.lot = message.get("lot").unwrap_or(&self.lot).clone();
            for (key, value) in message.get("peers").and_then(Value::as_object).into_iter().flatten() {
                if value.is_null() {
                    self.peers.remove(key);
                } else {
                    self.peers.insert(key.clone(), value.clone());
                }
            }
            if message.contains_key("events_left_out") {
                self.events.clear();
            }
            self.events.extend(message.get("events").and_then(Value::as_array).cloned().unwrap_or_default());
            let drop = self.events.len().saturating_sub(MAX_EVENTS);
            self.events.drain(..drop);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Lot(u8),
        Peer(u8, u8),
        NoPeer(u8),
        Peers(Vec<u8>),
        Events(u8),
        Publish,
        /// This dashboard reads what it lacks.
        Read(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..4_u8).prop_map(Step::Lot),
            (0..5_u8, 0..3_u8).prop_map(|(peer, value)| Step::Peer(peer, value)),
            (0..5_u8).prop_map(Step::NoPeer),
            prop::collection::vec(0..5_u8, 0..4).prop_map(Step::Peers),
            (1..130_u8).prop_map(Step::Events),
            Just(Step::Publish),
            (0..3_usize).prop_map(Step::Read),
        ];
        prop::collection::vec(step, 1..80)
    }

    proptest! {
        #[test]
        fn a_dashboard_that_reads_now_and_then_shows_what_a_new_one_shows(steps in steps()) {
            let mut board = Board::new("feed".into());
            let mut dashboards = vec![Dashboard::default(); 3];
            let mut event = 0;
            board.set("lot", 0.into());
            board.set_members("peers", []);
            board.publish();
            for dashboard in &mut dashboards {
                dashboard.apply(&read(&board.snapshot(0)));
            }
            for step in steps {
                match step {
                    Step::Lot(value) => board.set("lot", value.into()),
                    Step::Peer(peer, value) => board.set_member("peers", &peer.to_string(), value.into()),
                    Step::NoPeer(peer) => board.remove_member("peers", &peer.to_string()),
                    Step::Peers(peers) => {
                        board.set_members("peers", peers.iter().map(|peer| (peer.to_string(), (*peer).into())));
                    }
                    Step::Events(count) => (0..count).for_each(|_| {
                        event += 1;
                        board.push_event(event.into());
                    }),
                    Step::Publish => {
                        board.publish();
                    }
                    Step::Read(which) => {
                        board.publish();
                        let dashboard = &mut dashboards[which];
                        let change = board.since(dashboard.number, 0).unwrap_or_else(|| board.snapshot(0));
                        dashboard.apply(&read(&change));
                    }
                }
            }
            board.publish();
            let mut fresh = Dashboard::default();
            fresh.apply(&read(&board.snapshot(0)));
            for dashboard in &mut dashboards {
                dashboard.apply(&read(&board.since(dashboard.number, 0).unwrap_or_else(|| board.snapshot(0))));
                prop_assert_eq!(&*dashboard, &fresh);
            }
        }
    }

    #[test]
    fn numbers_grow_by_one_and_only_where_something_changed() {
        let mut board = Board::new("feed".into());
        board.set("lot", 1.into());
        assert!(board.publish());
        board.set("lot", 1.into());
        board.set_member("peers", "a", 1.into());
        assert!(board.publish() && board.number() == 2);
        board.set_member("peers", "a", 1.into());
        board.remove_member("peers", "b");
        assert!(!board.publish() && board.number() == 2);
        let change = read(&board.since(1, 7).unwrap());
        assert_eq!(
            Value::Object(change),
            json!({"type": "change", "after": 1, "number": 2, "now_ms": 7, "peers": {"a": 1}})
        );
    }

    #[test]
    fn what_is_not_known_any_more_is_not_made_up() {
        let mut board = Board::new("feed".into());
        board.publish();
        assert!(board.since(1, 0).is_none(), "a number that was never given");
        for member in 0..=MAX_REMOVED {
            board.set_member("peers", &member.to_string(), 1.into());
        }
        board.publish();
        let before = board.number();
        board.set_members("peers", []);
        board.publish();
        assert!(board.since(before, 0).is_none());
        assert!(board.since(board.number(), 0).is_some());
    }

    #[test]
    fn a_flood_of_events_says_how_many_it_leaves_out() {
        let mut board = Board::new("feed".into());
        board.push_event(0.into());
        board.publish();
        (0..MAX_EVENTS + 50).for_each(|event| board.push_event(event.into()));
        board.publish();
        let change = read(&board.since(1, 0).unwrap());
        assert_eq!(change["events"].as_array().unwrap().len(), MAX_EVENTS);
        assert_eq!(change["events_left_out"], 50);
    }
}
