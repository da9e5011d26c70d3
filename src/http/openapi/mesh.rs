//! The settings and the mesh.

use super::operation::{Operation, delete, get, post, put};
use crate::http::code::Code;
use crate::http::members::{Accept, Expelled, Expelling, InvitationMade, Inviting, Joined, Joining};
use crate::http::mesh::{LinkWorks, Mesh, SyncStates, TestParameters};
use crate::http::p2p::{Settings, SettingsSaved};
use crate::http::predecessors::{Info, Registered, Registration};

/// What a save may be refused for.
const OF_A_SAVE: &[Code] = &[Code::InvalidField, Code::NotSaved];

pub(super) fn operations() -> Vec<Operation> {
    let operations = vec![
        get("/api/p2p/config", "The settings in force.").answers::<Settings>("The settings"),
        put("/api/p2p/config", "Change settings: keys that are absent keep their value.")
            .body_named("ConfigChange")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion]),
        post("/api/p2p/peers", "Add a peer.")
            .body_named("NewPeer")
            .answers_with::<SettingsSaved>(201, "Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion, Code::AlreadyExists]),
        put("/api/p2p/peers/{id}", "Change a peer: keys that are absent keep their value.")
            .body_named("PeerChange")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::StaleVersion, Code::NotFound]),
        delete("/api/p2p/peers/{id}", "Remove a peer; its events stay.")
            .answers::<SettingsSaved>("Saved, and in force")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound]),
        post("/api/p2p/pending/{fingerprint}", "Say yes to a central that waits.")
            .body::<Accept>()
            .answers::<SettingsSaved>("It is a peer")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound, Code::AlreadyExists]),
        delete("/api/p2p/pending/{fingerprint}", "Say no to a central that waits.")
            .answers::<SettingsSaved>("It is turned away from now on")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::NotFound]),
        post("/api/p2p/peers/{id}/expel", "Throw a peer out of the mesh, at all centrals.")
            .body::<Expelling>()
            .answers::<Expelled>("It is thrown out")
            .refuses(&[Code::InvalidField, Code::NotFound, Code::NeverMet, Code::NotDurable]),
        post("/api/p2p/invitations", "Make an invitation for a new central.")
            .body::<Inviting>()
            .answers::<InvitationMade>("Whoever has it can join, once")
            .refuses(&[Code::InvalidField, Code::InvitationRefused]),
        post("/api/p2p/join", "Come to a mesh with an invitation.")
            .body::<Joining>()
            .answers::<Joined>("This central and the inviting one are peers")
            .refuses(OF_A_SAVE)
            .refuses(&[Code::InvitationRefused, Code::AlreadyExists, Code::NotFound]),
        get("/api/p2p/status", "The mesh as this central sees it.").answers::<Mesh>("The mesh"),
        get("/api/p2p/sync-state", "When something was last received from each peer.")
            .answers::<SyncStates>("All of them")
            .refuses(&[Code::Busy]),
        post("/api/p2p/test-connection", "Try a link, for real.")
            .query::<TestParameters>()
            .answers_or_streams::<LinkWorks>("The link works; as lines: also if it does not")
            .refuses(&[Code::InvalidField, Code::NotFound, Code::PeerUnreachable]),
        get("/api/p2p/info", "What a predecessor asks whom it is to link with.").answers::<Info>("Who we are"),
        post("/api/p2p/register-peer", "A predecessor has this central in its settings; changes nothing here.")
            .body::<Registration>()
            .answers::<Registered>("It is a peer here too")
            .refuses(&[Code::NotAPeer]),
        get("/ws/p2p", "Where a predecessor of the second revision dials; not for programs.")
            .answers_empty(101, "The socket is open")
            .refuses(&[Code::NotAWebsocket]),
    ];
    operations.into_iter().map(|operation| operation.tag("mesh")).collect()
}
