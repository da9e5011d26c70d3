//! The two dialects of the predecessor: the only place that knows their frames.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | a socket to it | `ws://ip:p2p_port/` | `ws://ip:api_port/ws/p2p` |
//! | the first frame | none | `{"peer_id": "<own id>"}` |
//! | `edge_id` | a text | a number |
//! | an exit | by its entry's id | by id, else the newest car inside with that plate |
//!
//! A predecessor knows no acknowledgement and no place in a log: [`hear`] makes statements of what it says, [`tell`] frames
//! of what it should know.

pub mod hear;
pub mod tell;
#[cfg(test)]
mod tests;

/// Largest frame of a predecessor, in bytes: an answer has up to 5,000 rows of some 425 bytes.
pub const MAX_LEGACY_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Rows in one answer; as many mean that there are more.
pub const ANSWER_ROWS: usize = 5_000;
/// The path of the second revision, on its HTTP port.
pub const V2_PATH: &str = "/ws/p2p";

/// Which of the two a predecessor speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    V1,
    V2,
}

impl Dialect {
    /// As it stands in log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "legacy-v1",
            Self::V2 => "legacy-v2",
        }
    }
}
