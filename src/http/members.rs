//! Who belongs to the mesh: centrals that knocked and wait for a person's yes or no, invitations, and who is thrown out.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::Caller;
use super::error::{ApiError, Code};
use super::input::{Sent, SentIfAny};
use super::mesh::ask_mesh;
use super::operation::{Answered, Operation, delete, ok, post};
use super::p2p::{OF_A_SAVE, SettingsSaved, change, known_shape};
use super::parking::decide;
use super::qr_code;
use super::state::{Shared, Worker};
use crate::access::right::Need;
use crate::actors::mesh_registry::guests::{ConfirmSite, Invite};
use crate::config::change::Edit;
use crate::config::model::{Host, P2pMode, PeopleMode, RefusedCentral};
use crate::domain::audit::Kind;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::problem::{FieldProblem, is_plain_text};
use crate::domain::standing::{CentralStanding, Standing};
use crate::domain::told::Note;
use crate::gates::request::from_login;
use crate::ledger::job::{Answer, Job};
use crate::links::join::{self, MemberCard};
use crate::links::nearby::Nearness;
use crate::links::status::{FoundShown, PendingShown};
use crate::trust::invitation::{BadInvitation, Invitation};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post("/api/p2p/pending/{fingerprint}", Need::Administer, accept, "Say yes to a central that waits.")
            .body::<Accept>()
            .answers::<SettingsSaved>("It is a peer")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound, Code::AlreadyExists]),
        delete("/api/p2p/pending/{fingerprint}", Need::Administer, refuse, "Say no to a central that waits.")
            .answers::<SettingsSaved>("It is turned away from now on")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound]),
        post("/api/p2p/nearby/{fingerprint}", Need::Administer, link_found, "Link a central that was found nearby.")
            .answers::<SettingsSaved>("It is a peer; a person has to say yes there, too")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound, Code::AlreadyExists, Code::OtherSite]),
        post("/api/p2p/peers/{id}/expel", Need::Administer, expel, "Throw a peer out of the mesh, at all centrals.")
            .body::<Expelling>()
            .answers::<Expelled>("It is thrown out")
            .refuses(&[Code::InvalidField, Code::NotFound, Code::NeverMet, Code::NotDurable]),
        post("/api/p2p/invitations", Need::Administer, invite, "Make an invitation for a new central.")
            .body::<Inviting>()
            .answers::<InvitationMade>("Whoever has it can join, once")
            .refuses(&[Code::InvalidField, Code::InvitationRefused]),
        post("/api/p2p/join", Need::Administer, join, "Come to a mesh with an invitation.")
            .body::<Joining>()
            .answers::<Joined>("This central and the inviting one are peers")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::InvitationRefused, Code::AlreadyExists, Code::NotFound]),
    ]
}

/// Where an accepted central is dialled. What is absent is what it said itself, else the address it knocked from.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Accept {
    ip: Option<String>,
    p2p_port: Option<u16>,
}

/// How long an invitation is good for, if nothing is said; and at most, in minutes.
const VALID_MIN: u32 = 60;
const MAX_VALID_MIN: u32 = 24 * 60;
const MIN_MS: i64 = 60_000;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// An invitation to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Inviting {
    /// How long it is good for, in minutes; absent: 60.
    #[schema(minimum = 1, maximum = 1440)]
    valid_min: Option<u32>,
}

/// An open invitation. Whoever has the text can join.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InvitationMade {
    /// To be pasted at the new central.
    invitation: String,
    /// The same as a QR code.
    svg: Option<String>,
    /// Unix ms.
    until_ms: i64,
}

/// An invitation that was made at another central.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Joining {
    invitation: String,
}

/// This central and the inviting one are peers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Joined {
    message: &'static str,
    /// The inviting central.
    central: String,
    /// The other members of its mesh, which let this central in from now on.
    members: Vec<MemberCard>,
}

/// Why a peer is thrown out, for those who look at it later.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Expelling {
    reason: Option<String>,
    /// Not used: who expels it is known by the login or token.
    #[schema(value_type = Option<String>)]
    by: Option<Value>,
}

/// The peer is thrown out, of the whole mesh.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Expelled {
    message: &'static str,
    /// The event that says so.
    version: String,
    /// What was not used as it was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// `POST /api/p2p/invitations`
pub async fn invite(caller: Caller, SentIfAny(asked): SentIfAny<Inviting>, worker: web::Data<Worker>) -> Answered {
    let valid_min = asked.valid_min.unwrap_or(VALID_MIN);
    if !(1..=MAX_VALID_MIN).contains(&valid_min) {
        return Err(ApiError::bad_field("valid_min", format!("must be between 1 and {MAX_VALID_MIN}")));
    }
    let config = worker.shared.config();
    if let Some(reason) = &worker.shared.mesh_off {
        return Err(ApiError::new(Code::InvitationRefused, reason.clone()));
    }
    if config.security.p2p == P2pMode::Open {
        let why =
            "centrals prove nothing to each other here (security.p2p is open), so there is nothing to invite with";
        return Err(ApiError::new(Code::InvitationRefused, why));
    }
    let invited = worker.shared.mesh.addr().send(Invite { valid_ms: i64::from(valid_min) * MIN_MS }).await;
    let invited = invited.map_err(|_| ApiError::internal())?.map_err(|_| ApiError::internal())?;
    // Nobody is shown what nobody can trace.
    let audit = &worker.shared.audit;
    let act = caller.act(Kind::Invitation, "");
    let entry = act.done(audit.now_ms(), Value::Null, json!({ "until_ms": invited.until_ms }));
    audit.write(entry).await.map_err(|_| ApiError::not_durable())?;
    let invitation = invited.invitation.to_text();
    let svg = qr_code::svg(&invitation);
    Ok(ok(InvitationMade { invitation, svg, until_ms: invited.until_ms }))
}

/// `POST /api/p2p/join`
pub async fn join(caller: Caller, Sent(asked): Sent<Joining>, worker: web::Data<Worker>) -> Answered {
    let invitation: Invitation =
        asked.invitation.parse().map_err(|error: BadInvitation| ApiError::bad_field("invitation", error))?;
    let shared = &worker.shared;
    let config = shared.config();
    let refused = |why: String| ApiError::new(Code::InvitationRefused, why);
    if let Some(reason) = &shared.mesh_off {
        return Err(refused(reason.clone()));
    }
    if config.security.p2p == P2pMode::Open {
        return Err(refused(
            "this central proves nothing to others (security.p2p is open): set it to tls first".into(),
        ));
    }
    if config.this_central.id == invitation.central {
        let id = &invitation.central;
        return Err(refused(format!("both centrals have the id {id}: give this one an id of its own first")));
    }
    let inviting_is_away = invitation.host.parse().is_ok_and(|host: Host| !host.is_loopback());
    if inviting_is_away && config.this_central.ip.is_loopback() {
        let why = "the address of this central is a loopback one, so the others could not reach it: set it first";
        return Err(refused(why.into()));
    }
    let site = ask_mesh(shared).await.and_then(|mesh| mesh.site);
    let welcome = join::ask(&invitation, &config.this_central, &shared.credentials, site).await;
    let welcome = welcome.map_err(|error| refused(error.to_string()))?;
    let fields = json!({
        "id": invitation.central, "ip": invitation.host, "p2p_port": invitation.p2p_port,
        "fingerprint": invitation.fingerprint, "unconfirmed": false,
    });
    let edit = match config.peer(&invitation.central) {
        Some(peer) => Edit::ChangePeer(peer.id.clone(), fields),
        None => Edit::AddPeer(fields),
    };
    change(shared, edit, None, caller.act(Kind::Join, &invitation.central)).await?;
    if welcome.shares_people {
        let people = Edit::Put(json!({"security": {"people": PeopleMode::Site}}));
        change(shared, people, None, caller.act(Kind::Join, &invitation.central)).await?;
    }
    let own = &config.this_central.id;
    Ok(ok(Joined {
        message: "Joined. Take over the other members, too.",
        central: welcome.central.to_string(),
        members: welcome.members.into_iter().filter(|member| member.id != *own).collect(),
    }))
}

/// `POST /api/p2p/peers/{id}/expel`
pub async fn expel(
    caller: Caller,
    SentIfAny(asked): SentIfAny<Expelling>,
    id: web::Path<String>,
    worker: web::Data<Worker>,
) -> Answered {
    if asked.reason.as_ref().is_some_and(|reason| !is_plain_text(reason, MAX_REASON_CHARS)) {
        return Err(ApiError::bad_fields(&[FieldProblem::bad_text("reason", MAX_REASON_CHARS)]));
    }
    let notes = asked.by.filter(|by| !by.is_null()).map(|_| from_login("by")).into_iter().collect();
    let by = Some(caller.who.to_string()).filter(|who| !who.is_empty());
    let id = known_shape(&id)?;
    let mesh = ask_mesh(&worker.shared).await.ok_or_else(ApiError::internal)?;
    let unknown = || ApiError::not_found(format!("no peer {id} in the settings, and none that was let in elsewhere"));
    // Who was let in elsewhere is thrown out as well before it knocks here.
    let peer = mesh.peers.iter().find(|peer| peer.id == id).map(|peer| peer.trust.fingerprint);
    let admitted = || mesh.admitted.iter().find(|admitted| admitted.central == id).map(|it| Some(it.fingerprint));
    let Some(fingerprint) = peer.or_else(admitted).ok_or_else(unknown)? else {
        let why = "this peer has never shown a certificate: there is nothing to expel; remove it";
        return Err(ApiError::new(Code::NeverMet, why));
    };
    let standing = CentralStanding {
        central: id,
        fingerprint,
        standing: Standing::Expelled,
        ip: None,
        p2p_port: None,
        reason: asked.reason,
        by,
    };
    let act = caller.act(Kind::Expulsion, &standing.central);
    match decide(&worker, Job::PutStanding(standing).audited(act)).await? {
        Answer::StandingSet { version } => Ok(ok(Expelled { message: "Expelled from the mesh.", version, notes })),
        _ => Err(ApiError::internal()),
    }
}

/// `POST /api/p2p/pending/{fingerprint}`
pub async fn accept(
    caller: Caller,
    SentIfAny(asked): SentIfAny<Accept>,
    fingerprint: web::Path<String>,
    worker: web::Data<Worker>,
) -> Answered {
    let shared = &worker.shared;
    let PendingShown { central, fingerprint, from, ip, p2p_port, site, .. } = pending(shared, &fingerprint).await?;
    let act = caller.act(Kind::Pending, &central);
    let known = shared.config().peer(&central).is_some();
    let edit = if known {
        // Configured, but met first at another address than its own: only its certificate was missing.
        let fields = json!({"fingerprint": fingerprint, "unconfirmed": false});
        Edit::ChangePeer(central, fields)
    } else {
        let ip = asked.ip.or(ip).unwrap_or_else(|| from.to_string());
        let p2p_port = asked.p2p_port.or(p2p_port);
        let peer = json!({"id": central, "ip": ip, "p2p_port": p2p_port, "fingerprint": fingerprint});
        Edit::AddPeer(peer)
    };
    let saved = change(shared, edit, None, act).await?;
    shared.mesh.do_send(ConfirmSite(site));
    Ok(ok(SettingsSaved::new(saved, "Peer accepted.")))
}

/// `DELETE /api/p2p/pending/{fingerprint}`
pub async fn refuse(caller: Caller, fingerprint: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let PendingShown { central, fingerprint, .. } = pending(&worker.shared, &fingerprint).await?;
    let act = caller.act(Kind::Pending, &central);
    let refused = RefusedCentral { id: central, fingerprint };
    let saved = change(&worker.shared, Edit::Refuse(refused), None, act).await?;
    Ok(ok(SettingsSaved::new(saved, "Peer refused.")))
}

/// `POST /api/p2p/nearby/{fingerprint}`
pub async fn link_found(caller: Caller, fingerprint: web::Path<String>, worker: web::Data<Worker>) -> Answered {
    let shared = &worker.shared;
    let nobody = || ApiError::not_found("nobody with this fingerprint was found nearby");
    let fingerprint: Fingerprint = fingerprint.parse().map_err(|_| nobody())?;
    let mesh = ask_mesh(shared).await.ok_or_else(ApiError::internal)?;
    let found = mesh.nearby.found.into_iter().find(|found| found.fingerprint == fingerprint).ok_or_else(nobody)?;
    let FoundShown { central, ip, p2p_port, nearness, .. } = found;
    if nearness == Nearness::OtherSite.name() {
        return Err(ApiError::new(Code::OtherSite, "it belongs to another site: centrals of two sites are not linked"));
    }
    if nearness == Nearness::IdTaken.name() {
        return Err(ApiError::exists(format!(
            "another central has the id {central}: give one of them an id of its own"
        )));
    }
    let act = caller.act(Kind::Peer, &central);
    let edit = if shared.config().peer(&central).is_some() {
        // Configured, and never met: it is where it was found.
        let fields = json!({"ip": ip, "p2p_port": p2p_port, "fingerprint": fingerprint, "unconfirmed": false});
        Edit::ChangePeer(central, fields)
    } else {
        Edit::AddPeer(json!({"id": central, "ip": ip, "p2p_port": p2p_port, "fingerprint": fingerprint}))
    };
    let saved = change(shared, edit, None, act).await?;
    // Which site both belong to is said by the yes at the other end.
    Ok(ok(SettingsSaved::new(saved, "Peer added. Say yes at the other central, too.")))
}

async fn pending(shared: &Shared, text: &str) -> Result<PendingShown, ApiError> {
    let nobody = || ApiError::not_found("nobody with this fingerprint waits here");
    let fingerprint: Fingerprint = text.parse().map_err(|_| nobody())?;
    let mesh = ask_mesh(shared).await.ok_or_else(ApiError::internal)?;
    mesh.pending.into_iter().find(|pending| pending.fingerprint == fingerprint).ok_or_else(nobody)
}
