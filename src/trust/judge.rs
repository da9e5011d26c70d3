//! Whether a socket may speak as the central it says it is.
//!
//! A fingerprint belongs to one central and a central has one fingerprint. Which, was said by a person, or by the first
//! contact: then whoever answered at the configured address, or dialled from it, is believed until a person compares.

use std::net::IpAddr;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;

/// A configured peer, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    pub id: CentralId,
    /// `None`: it was never met.
    pub pin: Option<Fingerprint>,
    /// Where it should be; `None`: a host name, which is not looked up here.
    pub ip: Option<IpAddr>,
}

/// How the socket came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// We dialled the configured address.
    Dialled,
    /// It dialled us from this address.
    From(IpAddr),
}

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believed {
    /// The certificate is the one pinned for this central.
    Pinned,
    /// The first contact: the certificate is to be pinned.
    FirstContact,
}

/// Why it is not believed. The sentences are told to the other side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error(
        "central {claimed} is known here by another certificate: if this is not its new machine, give this one an id of its own"
    )]
    Changed { claimed: CentralId, pinned: Fingerprint },
    #[error("a person refused this certificate of {0} here")]
    Refused(CentralId),
    #[error("central {0} was expelled from this mesh")]
    Expelled(CentralId),
    /// The certificate shown is our own.
    #[error(
        "this certificate is {own}'s own: the address leads back to it, or {claimed} is a clone, made from a copy of its data \
         directory; then stop {claimed}, remove its data directory and start it again"
    )]
    OwnCertificate { claimed: CentralId, own: CentralId },
    #[error("{0} is the id of the central that was dialled, which has another key: give this one an id of its own")]
    OwnId(CentralId),
    #[error("this certificate is that of {owner}, not of {claimed}")]
    OfAnother { claimed: CentralId, owner: CentralId },
    #[error("central {0} was met first at another address than its configured one: it waits for a person's yes here")]
    Elsewhere(CentralId),
    #[error("central {0} is not configured as a peer here: it waits for a person's yes here")]
    Unknown(CentralId),
}

impl Distrust {
    /// Whether a person is asked; everything else is refused as it is.
    pub fn waits_for_a_person(&self) -> bool {
        matches!(self, Self::Elsewhere(_) | Self::Unknown(_))
    }
}

/// Judges who showed the certificate `shown` and says it is `claimed`, `peers` being those configured at `own`.
///
/// # Errors
/// [`Distrust`]
pub fn judge(
    own: &CentralId,
    claimed: &CentralId,
    shown: Fingerprint,
    reached: Reached,
    peers: impl IntoIterator<Item = KnownPeer>,
) -> Result<Believed, Distrust> {
    let mut found = None;
    for peer in peers {
        if peer.id == *claimed {
            found = Some(peer);
        } else if peer.pin == Some(shown) {
            return Err(Distrust::OfAnother { claimed: claimed.clone(), owner: peer.id });
        }
    }
    if claimed == own {
        return Err(Distrust::OwnId(claimed.clone()));
    }
    let peer = found.ok_or_else(|| Distrust::Unknown(claimed.clone()))?;
    match peer.pin {
        Some(pinned) if pinned == shown => Ok(Believed::Pinned),
        Some(pinned) => Err(Distrust::Changed { claimed: claimed.clone(), pinned }),
        None if is_at(reached, peer.ip) => Ok(Believed::FirstContact),
        None => Err(Distrust::Elsewhere(claimed.clone())),
    }
}

/// Whether the socket leads to the configured address. Among centrals of one machine every loopback address is that of all.
fn is_at(reached: Reached, configured: Option<IpAddr>) -> bool {
    match (reached, configured) {
        (Reached::Dialled, _) => true,
        (Reached::From(from), Some(ip)) => from == ip || from.is_loopback() && ip.is_loopback(),
        (Reached::From(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(of: &str) -> Fingerprint {
        Fingerprint::of_certificate(of.as_bytes())
    }

    fn id(text: &str) -> CentralId {
        text.parse().unwrap()
    }

    /// c1 is pinned, c2 was never met, c3 is known by a host name.
    fn peers() -> Vec<KnownPeer> {
        let known = |name: &str, pin: Option<&str>, ip: Option<&str>| KnownPeer {
            id: id(name),
            pin: pin.map(fingerprint),
            ip: ip.map(|ip| ip.parse().unwrap()),
        };
        vec![
            known("c1", Some("k1"), Some("10.0.0.1")),
            known("c2", None, Some("10.0.0.2")),
            known("c3", None, None),
            known("c4", None, Some("127.0.0.4")),
        ]
    }

    #[test]
    fn a_certificate_speaks_for_one_central_and_for_no_other() {
        let changed = |name: &str| Err(Distrust::Changed { claimed: id(name), pinned: fingerprint("k1") });
        let of_c1 = |name: &str| Err(Distrust::OfAnother { claimed: id(name), owner: id("c1") });
        let elsewhere = |name: &str| Err(Distrust::Elsewhere(id(name)));
        let dialled = Reached::Dialled;
        let from = |ip: &str| Reached::From(ip.parse().unwrap());
        for (claimed, key, reached, expected) in [
            ("c1", "k1", dialled, Ok(Believed::Pinned)),
            ("c1", "k1", from("10.0.0.99"), Ok(Believed::Pinned)),
            ("c1", "k2", dialled, changed("c1")),
            ("c1", "k2", from("10.0.0.1"), changed("c1")),
            ("c2", "k1", dialled, of_c1("c2")),
            ("c2", "k1", from("10.0.0.2"), of_c1("c2")),
            ("c9", "k1", from("10.0.0.1"), of_c1("c9")),
            ("c2", "k2", dialled, Ok(Believed::FirstContact)),
            ("c2", "k2", from("10.0.0.2"), Ok(Believed::FirstContact)),
            ("c2", "k2", from("10.0.0.3"), elsewhere("c2")),
            ("c2", "k2", from("127.0.0.1"), elsewhere("c2")),
            ("c3", "k3", dialled, Ok(Believed::FirstContact)),
            ("c3", "k3", from("10.0.0.3"), elsewhere("c3")),
            ("c4", "k4", from("127.0.0.1"), Ok(Believed::FirstContact)),
            ("c4", "k4", from("10.0.0.4"), elsewhere("c4")),
            ("c9", "k9", from("10.0.0.9"), Err(Distrust::Unknown(id("c9")))),
            ("c0", "k9", from("10.0.0.9"), Err(Distrust::OwnId(id("c0")))),
            ("c0", "k1", from("10.0.0.1"), of_c1("c0")),
        ] {
            let judged = judge(&id("c0"), &id(claimed), fingerprint(key), reached, peers());
            assert_eq!(judged, expected, "{claimed} with {key}, {reached:?}");
        }
    }
}
