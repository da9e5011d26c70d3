//! The HELLO: who is at the other end, and whether we may talk.
//!
//! And whether a central goes on from where it was seen last, or from an older copy of its directory.
//!
//! Each start of the program is noted in its database and told with those before it. Who was seen last has to be among them: otherwise
//! the directory was put back from a copy, its disk forgot the last start, or a copy of it ran in its place meanwhile.

use crate::domain::ids::CentralId;
use crate::trust::judge::Distrust;
use crate::trust::site::{OtherSite, OwnSite};
use crate::wire::compressed;
use crate::wire::frame::{ErrorFrame, Hello, Listens, SHARES_PEOPLE, Versions, code};
pub use crate::wire::frame::{Instance, Start};

/// The versions of the protocol this build speaks.
pub const VERSIONS: Versions = Versions { min: 1, max: 1 };

/// The capability of a central whose logs begin with its signature: one of its name that does not is not its own.
pub const SIGNS_LOGS: &str = "signed_logs";

/// Who this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub central: CentralId,
    pub instance: Instance,
    /// Where it tells others it can be dialled.
    pub listens: Option<Listens>,
    /// Which start of its database it is; `None`: that could not be noted.
    pub start: Option<Start>,
    /// Which site it belongs to.
    pub site: OwnSite,
}

/// Why a HELLO is not accepted. The dialler waits the longest back-off before it tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloRefusal {
    #[error("no protocol version in common: ours {}..={}, theirs {}..={}", VERSIONS.min, VERSIONS.max, theirs.min, theirs.max)]
    Version { theirs: Versions },
    #[error("expected central {expected}, found {found}")]
    Identity { expected: CentralId, found: CentralId },
    #[error("central {0} is not configured as a peer here")]
    NotConfigured(CentralId),
    #[error("this address leads back to this central")]
    SelfConnection,
    #[error("another process uses the central id {0}")]
    DuplicateCentralId(CentralId),
    #[error("HELLO was expected")]
    HelloExpected,
    #[error("this central speaks TLS with others (security.p2p); a HELLO without a certificate is not listened to")]
    CertificateExpected,
    #[error(transparent)]
    OtherSite(#[from] OtherSite),
    #[error(transparent)]
    Distrusted(#[from] Distrust),
}

impl Identity {
    /// The HELLO of this process.
    pub fn hello(&self, wall_ms: i64) -> Hello {
        Hello {
            versions: VERSIONS,
            capabilities: [compressed::CAPABILITY, SIGNS_LOGS, SHARES_PEOPLE].map(str::to_owned).to_vec(),
            central: self.central.clone(),
            instance: self.instance,
            wall_ms,
            listens: self.listens.clone(),
            start: self.start.clone(),
            site: Some(self.site.get()),
        }
    }

    /// Whether the sender of `hello` may be talked to at all: not ourselves, not our double, a common version, no other site. An
    /// acceptor asks this before it knows which peer it is, then looks the id up among its peers.
    ///
    /// # Errors
    /// [`HelloRefusal`]; [`HelloRefusal::DuplicateCentralId`] is worth an alarm: someone else has our name.
    pub fn check(&self, hello: &Hello) -> Result<(), HelloRefusal> {
        if hello.instance == self.instance && hello.central == self.central {
            return Err(HelloRefusal::SelfConnection);
        }
        if hello.central == self.central {
            return Err(HelloRefusal::DuplicateCentralId(hello.central.clone()));
        }
        let theirs = hello.versions;
        if theirs.min > theirs.max || theirs.min > VERSIONS.max || theirs.max < VERSIONS.min {
            return Err(HelloRefusal::Version { theirs });
        }
        Ok(self.site.check(hello.site)?)
    }

    /// Whether the sender of `hello` is the peer that was dialled.
    ///
    /// # Errors
    /// [`HelloRefusal`]
    pub fn check_peer(&self, expected: &CentralId, hello: &Hello) -> Result<(), HelloRefusal> {
        self.check(hello)?;
        if hello.central != *expected {
            return Err(HelloRefusal::Identity { expected: expected.clone(), found: hello.central.clone() });
        }
        Ok(())
    }
}

impl HelloRefusal {
    /// The stable code in the ERROR frame.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => code::VERSION,
            Self::Identity { .. } | Self::NotConfigured(_) => code::IDENTITY,
            Self::SelfConnection => code::SELF_CONNECTION,
            Self::DuplicateCentralId(_) => code::DUPLICATE_CENTRAL_ID,
            Self::HelloExpected => code::HELLO_EXPECTED,
            Self::OtherSite(_) => code::SITE,
            Self::Distrusted(distrust) if distrust.waits_for_a_person() => code::PENDING,
            Self::CertificateExpected | Self::Distrusted(_) => code::CERTIFICATE,
        }
    }

    /// What the refused side is told before its socket is closed.
    pub fn frame(&self) -> ErrorFrame {
        ErrorFrame { error: self.to_string(), code: self.code().to_owned() }
    }
}

/// Whether an ERROR with this code says that trying again soon is pointless.
pub fn is_refusal(error_code: &str) -> bool {
    let refusals = [
        code::VERSION,
        code::IDENTITY,
        code::DUPLICATE_CENTRAL_ID,
        code::SELF_CONNECTION,
        code::CERTIFICATE,
        code::PENDING,
        code::SITE,
    ];
    refusals.contains(&error_code)
}

/// So many earlier starts are told; who was away for more of them cannot be judged.
pub const MOST_TOLD: usize = 32;

/// The last start seen of a central, and the fingerprint of its certificate; empty where none is shown.
pub type SeenOf = (CentralId, String, SeenStart);

/// The last start that was seen of a central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenStart {
    pub number: u64,
    pub instance: Instance,
}

impl SeenStart {
    /// `None`: its sender does not say which start it is.
    pub fn of(hello: &Hello) -> Option<Self> {
        hello.start.as_ref().map(|start| Self { number: start.number, instance: hello.instance })
    }

    /// Whether the process that is `now`, and says it is that `start`, has the database of the one seen here.
    pub fn leads_to(self, now: Instance, start: &Start) -> bool {
        if now == self.instance {
            return true;
        }
        let Some(back) = start.number.checked_sub(self.number).and_then(|steps| steps.checked_sub(1)) else {
            return false;
        };
        let told = usize::try_from(back).ok().and_then(|back| start.earlier.get(back));
        told.is_none_or(|earlier| *earlier == self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(central: &str, instance: u64) -> Identity {
        Identity {
            central: central.parse().unwrap(),
            instance: Instance(instance),
            listens: None,
            start: None,
            site: OwnSite::of_nobody(),
        }
    }

    #[test]
    fn one_common_version_is_enough() {
        let own = identity("c1", 1);
        for (min, max, good) in [(1, 1, true), (1, 9, true), (0, 1, true), (2, 9, false), (0, 0, false), (9, 1, false)]
        {
            let hello = Hello { versions: Versions { min, max }, ..identity("c2", 2).hello(0) };
            let refusal = HelloRefusal::Version { theirs: hello.versions };
            assert_eq!(own.check(&hello), if good { Ok(()) } else { Err(refusal) }, "{min}..={max}");
        }
    }

    #[test]
    fn ourselves_our_double_and_strangers_are_told_apart() {
        let own = identity("c1", 1);
        let c2 = "c2".parse().unwrap();
        assert_eq!(own.check_peer(&c2, &identity("c2", 2).hello(0)), Ok(()));
        assert_eq!(own.check(&identity("c1", 1).hello(0)), Err(HelloRefusal::SelfConnection));
        let double = HelloRefusal::DuplicateCentralId("c1".parse().unwrap());
        assert_eq!(own.check(&identity("c1", 2).hello(0)), Err(double));
        let found = "c3".parse().unwrap();
        let stranger = HelloRefusal::Identity { expected: c2.clone(), found };
        assert_eq!(own.check_peer(&c2, &identity("c3", 3).hello(0)), Err(stranger));
    }

    #[test]
    fn after_a_refusal_trying_again_soon_is_pointless() {
        let refusals = [
            HelloRefusal::Version { theirs: VERSIONS },
            HelloRefusal::NotConfigured("c1".parse().unwrap()),
            HelloRefusal::SelfConnection,
            HelloRefusal::DuplicateCentralId("c1".parse().unwrap()),
            HelloRefusal::CertificateExpected,
            HelloRefusal::Distrusted(Distrust::Unknown("c1".parse().unwrap())),
        ];
        assert!(refusals.iter().all(|refusal| is_refusal(&refusal.frame().code)));
        assert!(!is_refusal(HelloRefusal::HelloExpected.code()), "a slow start is no refusal");
    }

    #[test]
    fn a_copy_is_known_by_the_starts_it_does_not_know() {
        // The directory was copied after start 2, which was instance 20.
        let start =
            |number, earlier: &[u64]| Start { number, earlier: earlier.iter().copied().map(Instance).collect() };
        for (seen, now, started, goes_on) in [
            ((2, 20), 20, start(2, &[10]), true),
            ((2, 20), 30, start(3, &[20, 10]), true),
            ((2, 20), 50, start(5, &[40, 30, 20, 10]), true),
            // The copy ran as 31 when the original comes back, or the other way round.
            ((3, 31), 30, start(3, &[20, 10]), false),
            ((3, 31), 20, start(2, &[10]), false),
            ((3, 31), 40, start(4, &[30, 20, 10]), false),
            ((3, 31), 41, start(4, &[31, 20, 10]), true),
            ((4, 41), 31, start(3, &[20, 10]), false),
            // A new database.
            ((4, 41), 7, start(1, &[]), false),
            // Away for longer than is told.
            ((2, 20), 99, start(90, &[89, 88]), true),
            ((u64::MAX, 20), 99, start(0, &[]), false),
            ((0, 20), 99, start(u64::MAX, &[]), true),
        ] {
            let seen = SeenStart { number: seen.0, instance: Instance(seen.1) };
            assert_eq!(seen.leads_to(Instance(now), &started), goes_on, "{seen:?}, then {now} with {started:?}");
        }
    }
}
