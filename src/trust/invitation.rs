//! Invitations: a text that a person carries from a central of the mesh to a new one, and the codes in it.
//!
//! The text names the inviting central, where it is and its fingerprint, so that the new one talks to nobody else; the code lets
//! whoever has it in, once, within its time. So both sides are known to each other from the first word.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;

/// How an invitation begins: what it is and its form, so that another form can be told from a wrong one.
const SCHEME: &str = "parkmesh-invitation:1";
/// Between the parts. In none of them: an id, a host, a port, a fingerprint and a code have no `/`.
const SEPARATOR: char = '/';
/// 25 letters of 5 bits: nobody tries them out.
pub const CODE_LETTERS: usize = 25;
const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Most open ones: the one that ends first makes room.
pub const MAX_OPEN: usize = 16;

/// What is carried to the new central.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    pub central: CentralId,
    /// IP address or host name of the inviting central.
    pub host: String,
    pub p2p_port: u16,
    pub fingerprint: Fingerprint,
    pub code: Code,
}

/// The secret of an invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// Why a text is no invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInvitation {
    #[error("an invitation begins with \"{SCHEME}/\": copy the whole text")]
    Form,
    #[error("a part of the invitation is missing or changed: copy the whole text")]
    Part,
}

/// What became of a code that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    #[error("this invitation was used, or never made here: make a new one")]
    Unknown,
    #[error("this invitation has expired: make a new one")]
    Expired,
}

impl Code {
    /// Of random bytes, one for each letter.
    pub fn of_random(bytes: [u8; CODE_LETTERS]) -> Self {
        let letter = |byte: &u8| CODE_ALPHABET.get(usize::from(*byte) % CODE_ALPHABET.len()).copied().map(char::from);
        Self(bytes.iter().filter_map(letter).collect())
    }

    /// The letters, for the one place that sends them.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = BadInvitation;

    fn from_str(text: &str) -> Result<Self, BadInvitation> {
        let is_letter = |letter: u8| CODE_ALPHABET.contains(&letter);
        let right = text.len() == CODE_LETTERS && text.bytes().all(is_letter);
        if right { Ok(Self(text.to_owned())) } else { Err(BadInvitation::Part) }
    }
}

/// Never in a log.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({} at {}:{}, {})", self.central, self.host, self.p2p_port, self.fingerprint)
    }
}

impl Invitation {
    /// The text that is carried.
    pub fn to_text(&self) -> String {
        let Self { central, host, p2p_port, fingerprint, code } = self;
        format!("{SCHEME}/{central}/{host}/{p2p_port}/{fingerprint}/{}", code.0)
    }
}

impl FromStr for Invitation {
    type Err = BadInvitation;

    /// Blanks and line ends are ignored: mail and chat add some.
    fn from_str(text: &str) -> Result<Self, BadInvitation> {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let mut parts = text.split(SEPARATOR);
        if parts.next() != Some(SCHEME) {
            return Err(BadInvitation::Form);
        }
        let mut part = || parts.next().filter(|part| !part.is_empty()).ok_or(BadInvitation::Part);
        let invitation = Self {
            central: CentralId::new(part()?).map_err(|_| BadInvitation::Part)?,
            host: part()?.to_owned(),
            p2p_port: part()?.parse().ok().filter(|port| *port > 0).ok_or(BadInvitation::Part)?,
            fingerprint: part()?.parse().map_err(|_| BadInvitation::Part)?,
            code: part()?.parse()?,
        };
        if parts.next().is_some() { Err(BadInvitation::Part) } else { Ok(invitation) }
    }
}

/// The invitations that wait for their guests. In memory only: a restart ends them all.
#[derive(Debug, Default)]
pub struct OpenInvitations(BTreeMap<String, i64>);

impl OpenInvitations {
    /// From now on, until `until_ms` (Unix ms).
    pub fn open(&mut self, code: &Code, until_ms: i64, now_ms: i64) {
        self.0.retain(|_, until_ms| *until_ms > now_ms);
        if self.0.len() >= MAX_OPEN
            && let Some(first) = self.0.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(code, _)| code.clone())
        {
            self.0.remove(&first);
        }
        self.0.insert(code.0.clone(), until_ms);
    }

    /// Somebody shows a code. It is used up by that; gives until when it was good.
    ///
    /// # Errors
    /// [`CodeRefused`]
    pub fn take(&mut self, code: &Code, now_ms: i64) -> Result<i64, CodeRefused> {
        match self.0.remove(&code.0) {
            None => Err(CodeRefused::Unknown),
            Some(until_ms) if until_ms <= now_ms => Err(CodeRefused::Expired),
            Some(until_ms) => Ok(until_ms),
        }
    }

    /// What the code was for failed through no fault of the guest: he may come again.
    pub fn give_back(&mut self, code: &Code, until_ms: i64) {
        self.0.insert(code.0.clone(), until_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(seed: u8) -> Code {
        Code::of_random([seed; CODE_LETTERS])
    }

    fn invitation() -> Invitation {
        Invitation {
            central: "central-1".parse().unwrap(),
            host: "fd00::1".into(),
            p2p_port: 9000,
            fingerprint: Fingerprint::of_certificate(b"x"),
            code: code(7),
        }
    }

    #[test]
    fn what_is_carried_arrives_however_it_was_wrapped() {
        let text = invitation().to_text();
        let wrapped = format!(" {}\r\n{}\n", &text[..40], &text[40..]);
        assert_eq!(text.parse(), Ok(invitation()));
        assert_eq!(wrapped.parse(), Ok(invitation()));
        assert!(!format!("{:?}", invitation()).contains(code(7).reveal()), "no secret in a log");
    }

    #[test]
    fn a_text_that_lost_something_is_no_invitation() {
        let text = invitation().to_text();
        assert_eq!("hello".parse::<Invitation>(), Err(BadInvitation::Form));
        assert_eq!(text.replace(":1/", ":2/").parse::<Invitation>(), Err(BadInvitation::Form));
        for end in SCHEME.len() + 1..text.len() {
            assert_eq!(text[..end].parse::<Invitation>(), Err(BadInvitation::Part), "{}", &text[..end]);
        }
        for (from, to) in [("9000", "0"), ("9000", "99999"), ("central-1", "central_1"), ("central-1", "")] {
            assert_eq!(text.replace(from, to).parse::<Invitation>(), Err(BadInvitation::Part), "{to}");
        }
        assert_eq!(format!("{text}/more").parse::<Invitation>(), Err(BadInvitation::Part));
    }

    #[test]
    fn a_code_works_once_and_within_its_time() {
        let mut open = OpenInvitations::default();
        open.open(&code(1), 1_000, 0);
        open.open(&code(2), 1_000, 0);
        assert_eq!(open.take(&code(3), 1), Err(CodeRefused::Unknown));
        assert_eq!(open.take(&code(1), 999), Ok(1_000));
        assert_eq!(open.take(&code(1), 999), Err(CodeRefused::Unknown));
        assert_eq!(open.take(&code(2), 1_000), Err(CodeRefused::Expired));
        for number in 0..2 * MAX_OPEN {
            open.open(&code(u8::try_from(number).unwrap()), 2_000 + number as i64, 1_000);
        }
        assert_eq!(open.0.len(), MAX_OPEN);
        assert_eq!(open.take(&code(u8::try_from(2 * MAX_OPEN - 1).unwrap()), 1_001), Ok(2_031));
    }
}
