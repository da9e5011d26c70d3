//! Invitations: making one, and the guest that comes with it.

use std::net::IpAddr;

use actix::{ActorFutureExt, Handler, Message, ResponseActFuture, WrapFuture};
use log::{info, warn};
use serde_json::{Value, json};

use super::MeshRegistry;
use crate::actors::config_keeper::ChangeConfig;
use crate::actors::db_writer::Decide;
use crate::config::change::{Edit, SaveRefused};
use crate::config::model::{Config, PeerCentral, PeopleMode};
use crate::domain::audit::{Act, By, Kind};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::domain::standing::{CentralStanding, Standing};
use crate::ledger::job::Job;
use crate::links::join::{GuestCard, MemberCard, WelcomeCard};
use crate::trust::invitation::{Code, CodeRefused, Invitation};
use crate::trust::site::{OtherSite, SiteMark};

/// Invite a central that comes within so many ms.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<Invited, getrandom::Error>")]
pub struct Invite {
    pub valid_ms: i64,
}

/// An open invitation.
#[derive(Debug, Clone)]
pub struct Invited {
    pub invitation: Invitation,
    /// Unix ms.
    pub until_ms: i64,
}

/// A person said yes to a central: from here on it is said what belongs to this site.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ConfirmSite(pub Option<SiteMark>);

/// Somebody came with an invitation's code, over a socket on which it showed its certificate.
#[derive(Debug, Message)]
#[rtype(result = "Result<WelcomeCard, GuestRefused>")]
pub struct Guest {
    pub code: Code,
    pub card: GuestCard,
    pub shown: Fingerprint,
    /// Where it came from.
    pub from: IpAddr,
}

/// Why a guest is sent away; told to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestRefused {
    #[error(transparent)]
    Code(#[from] CodeRefused),
    #[error(transparent)]
    OtherSite(#[from] OtherSite),
    #[error("another central has the id {0}: give this one an id of its own first")]
    IdTaken(CentralId),
    #[error("the inviting central cannot add it: {0}")]
    NotAdded(String),
    #[error("the inviting central cannot save it now: try again")]
    NotSaved,
}

impl Handler<Invite> for MeshRegistry {
    type Result = Result<Invited, getrandom::Error>;

    fn handle(&mut self, invite: Invite, _: &mut Self::Context) -> Self::Result {
        let mut random = [0; crate::trust::invitation::CODE_LETTERS];
        getrandom::fill(&mut random)?;
        let code = Code::of_random(random);
        let now_ms = self.context.clock.now().wall_ms;
        let until_ms = now_ms.saturating_add(invite.valid_ms);
        let own = self.context.config.borrow().this_central.clone();
        self.invitations.open(&code, until_ms, now_ms);
        self.confirm_site(None);
        info!(event = "invitation_made", until_ms = until_ms; "an invitation for a new central was made");
        let fingerprint = self.context.trust.own();
        let (central, host, p2p_port) = (own.id, own.ip.to_string(), own.p2p_port);
        Ok(Invited { invitation: Invitation { central, host, p2p_port, fingerprint, code }, until_ms })
    }
}

impl Handler<Guest> for MeshRegistry {
    type Result = ResponseActFuture<Self, Result<WelcomeCard, GuestRefused>>;

    fn handle(&mut self, guest: Guest, _: &mut Self::Context) -> Self::Result {
        let now_ms = self.context.clock.now().wall_ms;
        let act = Act::new(Kind::Invitation, By::new("", guest.from), &guest.card.central);
        let until_ms = match self.admit_guest(&guest, now_ms) {
            Ok(until_ms) => until_ms,
            Err(refusal) => {
                self.context.audit.note_refusal(Act { kind: Kind::Refusal, ..act }, "invitation_refused");
                warn!(event = "invitation_refused", central:% = guest.card.central, reason:% = refusal; "a central came with an invitation and was sent away");
                return Box::pin(std::future::ready(Err(refusal)).into_actor(self));
            }
        };
        let config = self.context.config.borrow().clone();
        let fields = json!({"ip": guest.card.ip, "p2p_port": guest.card.p2p_port, "fingerprint": guest.shown, "unconfirmed": false});
        let edit = match config.peer(&guest.card.central) {
            Some(_) => Edit::ChangePeer(guest.card.central.clone(), fields),
            None => Edit::AddPeer(with_id(fields, &guest.card.central)),
        };
        let (keeper, writer) = (self.context.keeper.addr(), self.context.writer.clone());
        let (code, members) = (guest.code.clone(), members(&config, &guest.card.central));
        let shares_people = config.security.people == PeopleMode::Site;
        let working = async move {
            let added = keeper
                .send(ChangeConfig { edit, version: None, act: act.clone() })
                .await
                .map_err(|_| GuestRefused::NotSaved)?;
            added.map_err(|refused| match refused {
                SaveRefused::Invalid(problems) => {
                    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    GuestRefused::NotAdded(problems.join("; "))
                }
                _ => GuestRefused::NotSaved,
            })?;
            let standing = CentralStanding {
                central: guest.card.central.clone(),
                fingerprint: guest.shown,
                standing: Standing::Admitted,
                ip: Some(guest.card.ip.clone()),
                p2p_port: Some(guest.card.p2p_port),
                reason: None,
                by: None,
            };
            let (decide, outcome) = Decide::new(Job::PutStanding(standing).audited(act));
            writer.do_send(decide);
            // The others hear of it by this event; without it only they would have to be told.
            let told = matches!(outcome.await, Ok(Ok(_)));
            info!(event = "invitation_accepted", central:% = guest.card.central, told = told; "an invited central is a peer from now on");
            if told { Ok(()) } else { Err(GuestRefused::NotSaved) }
        };
        Box::pin(working.into_actor(self).map(move |done, registry, _| match done {
            Ok(()) => {
                let central = registry.context.identity.borrow().central.clone();
                Ok(WelcomeCard { central, members, shares_people })
            }
            Err(refusal) => {
                registry.invitations.give_back(&code, until_ms);
                Err(refusal)
            }
        }))
    }
}

impl Handler<ConfirmSite> for MeshRegistry {
    type Result = ();

    fn handle(&mut self, ConfirmSite(theirs): ConfirmSite, _: &mut Self::Context) {
        self.confirm_site(theirs);
    }
}

impl MeshRegistry {
    fn confirm_site(&self, theirs: Option<SiteMark>) {
        self.context.identity.borrow().site.confirm(theirs);
        self.note_site();
    }

    /// Uses up the code, unless the guest has to change something at home first.
    fn admit_guest(&mut self, guest: &Guest, now_ms: i64) -> Result<i64, GuestRefused> {
        let taken = guest.card.central == self.context.identity.borrow().central
            || self.context.trust.pin(&guest.card.central).is_some_and(|pin| pin != guest.shown);
        let until_ms = self.invitations.take(&guest.code, now_ms)?;
        if let Err(other) = self.context.identity.borrow().site.check(guest.card.site) {
            self.invitations.give_back(&guest.code, until_ms);
            return Err(other.into());
        }
        if taken {
            self.invitations.give_back(&guest.code, until_ms);
            return Err(GuestRefused::IdTaken(guest.card.central.clone()));
        }
        Ok(until_ms)
    }
}

fn members(config: &Config, guest: &CentralId) -> Vec<MemberCard> {
    // The guest takes them for confirmed, and whoever is may say who logs in where people are the site's.
    let may_be_told = |peer: &PeerCentral| config.security.people == PeopleMode::Local || !peer.unconfirmed;
    let others = config.peer_centrals.iter().filter(|peer| peer.id != *guest && may_be_told(peer));
    let known = |peer: &PeerCentral| {
        let fingerprint = peer.fingerprint?;
        Some(MemberCard { id: peer.id.clone(), ip: peer.ip.to_string(), p2p_port: peer.p2p_port, fingerprint })
    };
    others.filter_map(known).collect()
}

fn with_id(mut fields: Value, id: &CentralId) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("id".into(), json!(id));
    }
    fields
}
