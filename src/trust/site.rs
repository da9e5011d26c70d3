//! Which site a central belongs to, so that two sites on one network never become one by mistake.
//!
//! A site id is drawn at random at the first start. It is *loose* until a person said what belongs together: by an invitation, or by a
//! yes to a central that knocked. Between centrals that are linked a firm id goes before a loose one, and of two loose ones the lower
//! one; of two firm ones neither gives way, and there is no link. So a mesh that was set up by hand, or before there were site ids,
//! agrees by itself, whatever the order its centrals meet in, and never refuses itself.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::as_text;

/// Behind the id of a site that a person stands behind.
const FIRM: &str = " firm";

/// 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u64);

/// A site id, and whether a person stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteMark {
    pub id: SiteId,
    #[serde(default)]
    pub firm: bool,
}

/// They belong to two sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it belongs to another site ({theirs}, this is {ours}): centrals of two sites are not linked")]
pub struct OtherSite {
    pub ours: SiteId,
    pub theirs: SiteId,
}

impl SiteMark {
    /// What this central belongs to after it met one that it trusts.
    ///
    /// # Errors
    /// [`OtherSite`]
    pub fn met(self, theirs: Self) -> Result<Self, OtherSite> {
        match (self.firm, theirs.firm) {
            _ if self.id == theirs.id => Ok(Self { firm: self.firm || theirs.firm, ..self }),
            (true, true) => Err(OtherSite { ours: self.id, theirs: theirs.id }),
            (true, false) => Ok(self),
            (false, true) => Ok(theirs),
            (false, false) => Ok(if self.id < theirs.id { self } else { theirs }),
        }
    }
}

/// The site of this central, for all who introduce it to others. Clones are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSite(Rc<Cell<SiteMark>>);

impl OwnSite {
    pub fn new(mark: SiteMark) -> Self {
        Self(Rc::new(Cell::new(mark)))
    }

    /// Where there is no site to belong to: in tests and simulations.
    pub fn of_nobody() -> Self {
        Self::new(SiteMark { id: SiteId(0), firm: false })
    }

    pub fn get(&self) -> SiteMark {
        self.0.get()
    }

    /// Whether one that tells this may be linked; one of an older version tells nothing.
    ///
    /// # Errors
    /// [`OtherSite`]
    pub fn check(&self, theirs: Option<SiteMark>) -> Result<(), OtherSite> {
        theirs.map_or(Ok(()), |theirs| self.get().met(theirs).map(drop))
    }

    /// A central that is trusted told this.
    pub fn met(&self, theirs: Option<SiteMark>) {
        if let Some(Ok(mark)) = theirs.map(|theirs| self.get().met(theirs)) {
            self.0.set(mark);
        }
    }

    /// A person said what belongs to this site: a central that told `theirs`, where one was meant. A yes to a central of a site that
    /// stands comes to that site.
    pub fn confirm(&self, theirs: Option<SiteMark>) {
        self.met(theirs);
        self.0.set(SiteMark { firm: true, ..self.get() });
    }
}

/// As HEARTBEATs tell it.
impl fmt::Display for SiteMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id, if self.firm { FIRM } else { "" })
    }
}

impl FromStr for SiteMark {
    type Err = BadSiteId;

    fn from_str(text: &str) -> Result<Self, BadSiteId> {
        let firm = text.strip_suffix(FIRM);
        Ok(Self { id: firm.unwrap_or(text).parse()?, firm: firm.is_some() })
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a site id has 16 hex digits")]
pub struct BadSiteId;

impl FromStr for SiteId {
    type Err = BadSiteId;

    fn from_str(text: &str) -> Result<Self, BadSiteId> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self).ok_or(BadSiteId)
    }
}

as_text!(SiteId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(id: u64, firm: bool) -> SiteMark {
        SiteMark { id: SiteId(id), firm }
    }

    #[test]
    fn only_two_that_persons_stand_behind_refuse_each_other() {
        for (ours, theirs, after) in [
            (mark(1, false), mark(2, false), Ok(mark(1, false))),
            (mark(2, false), mark(1, false), Ok(mark(1, false))),
            (mark(1, false), mark(2, true), Ok(mark(2, true))),
            (mark(2, true), mark(1, false), Ok(mark(2, true))),
            (mark(1, false), mark(1, true), Ok(mark(1, true))),
            (mark(1, true), mark(2, true), Err(OtherSite { ours: SiteId(1), theirs: SiteId(2) })),
        ] {
            assert_eq!(ours.met(theirs), after, "{ours:?} {theirs:?}");
            let own = OwnSite::new(ours);
            assert_eq!(own.check(Some(theirs)).is_ok(), after.is_ok());
            own.met(Some(theirs));
            assert_eq!(own.get(), after.unwrap_or(ours));
            let own = OwnSite::new(ours);
            own.confirm(Some(theirs));
            assert_eq!(own.get(), SiteMark { firm: true, ..after.unwrap_or(ours) });
            assert_eq!(own.check(None), Ok(()));
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let text = serde_json::to_string(&mark(0xab, true)).unwrap();
        assert_eq!(text, r#"{"id":"00000000000000ab","firm":true}"#);
        assert_eq!(serde_json::from_str::<SiteMark>(&text).unwrap(), mark(0xab, true));
        for mark in [mark(0xab, true), mark(0, false)] {
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
        for bad in ["", "0", "00000000000000zz", "+0000000000000ab"] {
            assert!(bad.parse::<SiteId>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Centrals that were set up by hand or upgraded, and at most one of which a person stood behind, agree, in whatever order
        /// they meet, and none is ever refused.
        #[test]
        fn a_mesh_agrees_by_itself(
            ids in prop::collection::btree_set(any::<u64>(), 2..8),
            firm in prop::option::of(0..8_usize),
            meetings in prop::collection::vec((0..8_usize, 0..8_usize), 0..40),
        ) {
            let mut marks: Vec<SiteMark> =
                ids.iter().enumerate().map(|(index, id)| mark(*id, firm == Some(index))).collect();
            let count = marks.len();
            let everybody = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
            let all = meetings.into_iter().map(|(a, b)| (a % count, b % count)).chain(everybody.clone()).chain(everybody);
            for (a, b) in all {
                let (left, right) = (marks[a], marks[b]);
                marks[a] = left.met(right).unwrap();
                marks[b] = right.met(left).unwrap();
            }
            prop_assert!(marks.windows(2).all(|two| two[0] == two[1]), "{:?}", marks);
        }
    }
}
