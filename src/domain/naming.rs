//! What the site calls itself and its gates: said once, known at every central.

use serde::{Deserialize, Serialize};

use super::problem::is_plain_text;

/// The site itself, as the id of a name. A gate's has a slash in it.
pub const SITE: &str = "site";
/// Longest id, in characters: `central/edge`.
const MAX_ID_CHARS: usize = 192;
/// Longest name, in characters; as that in the settings.
pub const MAX_NAME_CHARS: usize = 100;

/// From now on it is called so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// [`SITE`], or a gate, `central-1/edge-1`.
    pub id: String,
    /// Empty: it has none any more.
    pub name: String,
}

impl Naming {
    pub fn of_site(name: &str) -> Self {
        Self { id: SITE.to_owned(), name: name.to_owned() }
    }

    pub fn of_gate(central: &str, edge_id: &str, name: &str) -> Self {
        Self { id: [central, "/", edge_id].concat(), name: name.to_owned() }
    }

    /// Texts of a length that can be shown.
    pub fn is_sound(&self) -> bool {
        let is_id = self.id == SITE || self.id.contains('/');
        is_id && is_plain_text(&self.id, MAX_ID_CHARS) && is_plain_text(&self.name, MAX_NAME_CHARS)
    }
}
