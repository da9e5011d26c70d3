//! What a caller shows to prove who it is, and what is kept of that.

use crate::access::sessions::SessionId;
use crate::vault::secret::{self, Kind};

/// What a caller shows to prove who it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'r> {
    /// Of the cookie.
    pub session: Option<&'r str>,
    /// From the header `Authorization` or `X-Edge-Key`: a token or the key of an edge.
    pub secret: Option<&'r str>,
}

/// What a caller showed, without what could be shown again: for a socket, which stays open longer than an answer takes.
#[derive(Debug, Clone)]
pub enum Proof {
    Nothing,
    Session(SessionId),
    /// `of_edge`: it is the key of one, else a token.
    Secret {
        hash: String,
        of_edge: bool,
    },
}

impl Shown<'_> {
    #[must_use]
    pub fn proof(self) -> Proof {
        match (self.secret, self.session) {
            (Some(shown), _) => {
                Proof::Secret { hash: secret::digest_text(shown), of_edge: shown.starts_with(Kind::EdgeKey.prefix()) }
            }
            (None, Some(session)) => Proof::Session(secret::digest(session)),
            (None, None) => Proof::Nothing,
        }
    }
}
