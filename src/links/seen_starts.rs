//! Which start of each peer was seen last, by this process or by those before it. Lives on the main thread and outlives the links.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::mesh::Door;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::replication::starts::{SeenOf, SeenStart};

/// Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct SeenStarts {
    last: Rc<RefCell<BTreeMap<CentralId, (String, SeenStart)>>>,
    /// Where it is noted for good.
    note: Door<SeenOf>,
}

impl SeenStarts {
    /// With what was noted.
    #[must_use]
    pub fn new(noted: Vec<SeenOf>, note: Door<SeenOf>) -> Self {
        let last = noted.into_iter().map(|(central, key, seen)| (central, (key, seen))).collect();
        Self { last: Rc::new(RefCell::new(last)), note }
    }

    /// The last one of a peer, unless it had another certificate then: its machine was replaced.
    #[must_use]
    pub fn of(&self, peer: &CentralId, pin: Option<Fingerprint>) -> Option<SeenStart> {
        let last = self.last.borrow();
        last.get(peer).filter(|(key, _)| *key == text(pin)).map(|(_, seen)| *seen)
    }

    pub fn saw(&self, peer: &CentralId, pin: Option<Fingerprint>, seen: SeenStart) {
        self.last.borrow_mut().insert(peer.clone(), (text(pin), seen));
        self.note.send((peer.clone(), text(pin), seen));
    }
}

fn text(pin: Option<Fingerprint>) -> String {
    pin.map(|pin| pin.to_string()).unwrap_or_default()
}
