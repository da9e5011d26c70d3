//! Which centrals were found on this network, and how they stand to this one: kept while the actor that listens is built anew, and
//! shown to people. Nobody is dialled or trusted because he was found; a person links, as by hand.
//!
//! Lives on the main thread. Clones are the same.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use log::info;
use tokio::sync::watch;

use super::mesh::MeshClock;
use super::status::{FoundShown, MeshStatus, NearbyShown};
use super::trust_desk::TrustDesk;
use crate::config::model::{Config, DiscoveryMode, P2pMode};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::named::named;
use crate::ops::offences::SaidOnce;
use crate::trust::judge::{Believed, Distrust, Reached};
use crate::trust::site::{OwnSite, SiteMark};
use crate::trust::strangers::{Stranger, Strangers};
use crate::wire::announcement::{Announcement, LIFETIME_S};

named! {
    /// How a central that was found stands to this one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Nearness {
        /// It belongs to no site yet, or to one that only machines agreed on.
        New = "new",
        /// Of this site, and not linked with this central.
        SameSite = "same_site",
        /// Of a site that stands, which this central would come to.
        ItsSite = "its_site",
        /// Of another site: not to be linked.
        OtherSite = "other_site",
        /// It has the id of this central, or of a peer with another certificate: not to be linked.
        IdTaken = "id_taken",
    }

    /// Why this central neither says that it is there nor hears others.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum WhyQuiet {
        /// `security.discovery` is `off`.
        SwitchedOff = "switched_off",
        /// Nobody else can reach it.
        Loopback = "loopback",
        /// Centrals prove nothing to each other, or this one has no usable key.
        NoProof = "no_proof",
        /// Its address is not one of IPv4.
        NotIpv4 = "not_ipv4",
    }
}

/// Whether it is looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looking {
    On,
    Quiet(WhyQuiet),
    /// The network or the system does not let it; tried again.
    Failed(String),
}

#[derive(Clone)]
pub struct Nearby(Rc<NearbyParts>);

struct NearbyParts {
    config: watch::Receiver<Arc<Config>>,
    trust: TrustDesk,
    site: OwnSite,
    clock: MeshClock,
    /// This central cannot prove itself to others.
    is_off: bool,
    looking: RefCell<Looking>,
    found: RefCell<Strangers>,
    said: RefCell<SaidOnce>,
}

impl Nearby {
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        trust: TrustDesk,
        site: OwnSite,
        clock: MeshClock,
        is_off: bool,
    ) -> Self {
        let looking = RefCell::new(Looking::Quiet(WhyQuiet::SwitchedOff));
        let (found, said) = (RefCell::default(), RefCell::default());
        Self(Rc::new(NearbyParts { config, trust, site, clock, is_off, looking, found, said }))
    }

    /// The interface to speak on, by its address; unspecified: the system chooses.
    ///
    /// # Errors
    /// [`WhyQuiet`]
    pub fn place(&self) -> Result<Ipv4Addr, WhyQuiet> {
        place(&self.0.config.borrow(), self.0.is_off)
    }

    /// What this central says of itself.
    pub fn own(&self) -> Announcement {
        let own = &self.0.config.borrow().this_central;
        Announcement {
            central: own.id.clone(),
            fingerprint: self.0.trust.own(),
            site: self.0.site.get(),
            p2p_port: own.p2p_port,
        }
    }

    /// From now on it is looked so; whether that is news.
    pub fn looks(&self, looking: Looking) -> bool {
        if looking != Looking::On {
            *self.0.found.borrow_mut() = Strangers::default();
        }
        self.0.looking.replace(looking.clone()) != looking
    }

    /// A central said that it is there, in a message from that address.
    pub fn heard(&self, said: Announcement, from: Ipv4Addr) {
        let is_place = !from.is_unspecified() && !from.is_loopback() && !from.is_multicast() && !from.is_broadcast();
        if said.fingerprint == self.0.trust.own() || !is_place {
            return;
        }
        let now_ms = self.0.clock.now().wall_ms;
        let (central, fingerprint) = (said.central.clone(), said.fingerprint);
        let stranger = Stranger {
            central: said.central,
            from: from.into(),
            listens: Some((from.to_string(), said.p2p_port)),
            site: Some(said.site),
            first_seen_ms: now_ms,
            last_seen_ms: now_ms,
        };
        let is_new = self.0.found.borrow_mut().spoke(fingerprint, stranger.clone());
        // A new certificate costs a stranger nothing; a new address does.
        let is_told = is_new && self.nearness(fingerprint, &stranger).is_some();
        if is_told && self.0.said.borrow_mut().is_news(&from.to_string(), "found", Instant::now()) {
            info!(event = "central_found", central = central.as_str(), remote:% = from, fingerprint:% = fingerprint; "a central on this network that is not linked here says that it is there");
        }
    }

    /// A central said that it goes.
    pub fn left(&self, fingerprint: Fingerprint, from: Ipv4Addr) {
        let mut found = self.0.found.borrow_mut();
        if found.get(&fingerprint).is_some_and(|known| known.from == IpAddr::from(from)) {
            found.settle(&fingerprint);
        }
    }

    pub fn forget_silent(&self) {
        let now_ms = self.0.clock.now().wall_ms;
        self.0.found.borrow_mut().forget_silent(now_ms, i64::from(LIFETIME_S) * 1_000);
    }

    /// Shows who was found and is not linked; who knocked as well is shown as waiting. Must follow those.
    pub fn show(&self, status: &mut MeshStatus) {
        self.forget_silent();
        let (state, reason) = match &*self.0.looking.borrow() {
            Looking::On => ("on", None),
            Looking::Quiet(why) => ("off", Some(why.name().to_owned())),
            Looking::Failed(reason) => ("failed", Some(reason.clone())),
        };
        let waits = |fingerprint| status.pending.iter().any(|pending| pending.fingerprint == fingerprint);
        let found = self.0.found.borrow().list().into_iter().filter(|(fingerprint, _)| !waits(*fingerprint));
        let found = found.filter_map(|(fingerprint, stranger)| {
            let nearness = self.nearness(fingerprint, &stranger)?;
            Some(FoundShown {
                central: stranger.central,
                fingerprint,
                ip: stranger.from,
                p2p_port: stranger.listens?.1,
                nearness: nearness.name().to_owned(),
                first_seen_ms: stranger.first_seen_ms,
                last_seen_ms: stranger.last_seen_ms,
            })
        });
        status.nearby = NearbyShown { state: state.to_owned(), reason, found: found.collect() };
    }

    fn nearness(&self, fingerprint: Fingerprint, stranger: &Stranger) -> Option<Nearness> {
        let believed = self.0.trust.judge(&stranger.central, fingerprint, Reached::From(stranger.from));
        nearness(believed, self.0.site.get(), stranger.site?)
    }
}

/// Where this central can be found by others, and how they know it.
fn place(config: &Config, is_off: bool) -> Result<Ipv4Addr, WhyQuiet> {
    if config.security.discovery == DiscoveryMode::Off {
        return Err(WhyQuiet::SwitchedOff);
    }
    // So no central that is tried out, or tested, speaks to a network.
    if config.this_central.ip.is_loopback() || config.listen_ip().is_loopback() {
        return Err(WhyQuiet::Loopback);
    }
    if is_off || config.security.p2p == P2pMode::Open {
        return Err(WhyQuiet::NoProof);
    }
    match (config.bind.filter(|ip| !ip.is_unspecified()), config.this_central.ip.ip()) {
        (Some(IpAddr::V4(ip)), _) | (None, Some(IpAddr::V4(ip))) => Ok(ip),
        (Some(IpAddr::V6(_)), _) | (None, Some(IpAddr::V6(_))) => Err(WhyQuiet::NotIpv4),
        (None, None) => Ok(Ipv4Addr::UNSPECIFIED),
    }
}

/// How who was found stands to a central of site `ours` that believes so of it; `None`: it is a peer, or turned away: no matter for a
/// press.
fn nearness(believed: Result<Believed, Distrust>, ours: SiteMark, theirs: SiteMark) -> Option<Nearness> {
    match believed {
        Ok(Believed::Pinned | Believed::FirstContact) => None,
        Err(
            Distrust::Refused(_) | Distrust::Expelled(_) | Distrust::OwnCertificate { .. } | Distrust::OfAnother { .. },
        ) => None,
        Err(Distrust::Changed { .. } | Distrust::OwnId(_)) => Some(Nearness::IdTaken),
        Err(Distrust::Elsewhere(_) | Distrust::Unknown(_)) => Some(match ours.met(theirs) {
            Err(_) => Nearness::OtherSite,
            Ok(_) if ours.id == theirs.id => Nearness::SameSite,
            Ok(_) if theirs.firm => Nearness::ItsSite,
            Ok(_) => Nearness::New,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::read;
    use crate::domain::ids::CentralId;
    use crate::trust::site::SiteId;

    fn config(settings: Value) -> Config {
        let mut whole = json!({"this_central": {"id": "c1", "ip": "10.0.0.1"}, "peer_centrals": []});
        settings.as_object().unwrap().iter().for_each(|(key, value)| whole[key] = value.clone());
        read::config(&whole).unwrap().config
    }

    #[test]
    fn it_speaks_where_others_can_reach_it_and_nowhere_else() {
        let own = |ip: &str| json!({"id": "c1", "ip": ip});
        for (settings, expected) in [
            (json!({}), Ok([10, 0, 0, 1].into())),
            (json!({"bind": "10.0.0.9"}), Ok([10, 0, 0, 9].into())),
            (json!({"bind": "0.0.0.0"}), Ok([10, 0, 0, 1].into())),
            (json!({"this_central": own("gate-1.lan")}), Ok(Ipv4Addr::UNSPECIFIED)),
            (json!({"this_central": own("127.0.0.1")}), Err(WhyQuiet::Loopback)),
            (json!({"this_central": own("localhost")}), Err(WhyQuiet::Loopback)),
            (json!({"this_central": own("127.0.0.1"), "bind": "0.0.0.0"}), Err(WhyQuiet::Loopback)),
            (json!({"bind": "127.0.0.1"}), Err(WhyQuiet::Loopback)),
            (json!({"this_central": own("fd00::1")}), Err(WhyQuiet::NotIpv4)),
            (json!({"bind": "fd00::1"}), Err(WhyQuiet::NotIpv4)),
            (json!({"security": {"discovery": "off"}}), Err(WhyQuiet::SwitchedOff)),
            (json!({"security": {"p2p": "open"}}), Err(WhyQuiet::NoProof)),
        ] {
            assert_eq!(place(&config(settings.clone()), false), expected, "{settings}");
        }
        assert_eq!(place(&config(json!({})), true), Err(WhyQuiet::NoProof));
    }

    #[test]
    fn who_was_found_stands_to_this_central_as_its_certificate_and_site_say() {
        let mark = |id, firm| SiteMark { id: SiteId(id), firm };
        let (c2, shown) = ("c2".parse::<CentralId>().unwrap(), Fingerprint::of_certificate(b"2"));
        let unknown = || Err(Distrust::Unknown(c2.clone()));
        for (ours, theirs, expected) in [
            (mark(1, false), mark(2, false), Nearness::New),
            (mark(1, true), mark(2, false), Nearness::New),
            (mark(1, false), mark(2, true), Nearness::ItsSite),
            (mark(1, true), mark(2, true), Nearness::OtherSite),
            (mark(1, true), mark(1, true), Nearness::SameSite),
            (mark(1, false), mark(1, false), Nearness::SameSite),
        ] {
            assert_eq!(nearness(unknown(), ours, theirs), Some(expected), "{ours:?} {theirs:?}");
        }
        let elsewhere = Err(Distrust::Elsewhere(c2.clone()));
        for (believed, expected) in [
            (elsewhere, Some(Nearness::New)),
            (Err(Distrust::Changed { claimed: c2.clone(), pinned: shown }), Some(Nearness::IdTaken)),
            (Err(Distrust::OwnId(c2.clone())), Some(Nearness::IdTaken)),
            (Ok(Believed::Pinned), None),
            (Ok(Believed::FirstContact), None),
            (Err(Distrust::Refused(c2.clone())), None),
            (Err(Distrust::Expelled(c2.clone())), None),
            (Err(Distrust::OwnCertificate { claimed: c2.clone(), own: c2.clone() }), None),
            (Err(Distrust::OfAnother { claimed: c2.clone(), owner: c2.clone() }), None),
        ] {
            assert_eq!(nearness(believed.clone(), mark(1, true), mark(2, false)), expected, "{believed:?}");
        }
    }
}
