//! Logging in, people, tokens and the keys of edges.

use super::operation::{Operation, delete, get, post, put};
use crate::http::accounts::{
    CodeRequest, Done, LoggedIn, LoginRequest, Me, OwnPasswordRequest, PasswordChanged, People, PersonChange,
    PersonRemoved, PersonRequest, TokenMade, TokenRequest, TokenRevoked, Tokens,
};
use crate::http::audit::{AuditPageShown, AuditParameters};
use crate::http::code::Code;
use crate::http::edge_keys::KeyMade;

/// What follows from a name or password that is typed.
const OF_A_GUESS: &[Code] = &[Code::TooManyAttempts, Code::InvalidField];

pub(super) fn operations() -> Vec<Operation> {
    let operations =
        vec![
            get("/api/access", "Who the caller is, and how this central is set.").answers::<Me>("The caller"),
            post("/api/access/login", "Log in.")
                .body::<LoginRequest>()
                .answers::<LoggedIn>("Logged in; the session is in a cookie")
                .refuses(OF_A_GUESS)
                .refuses(&[Code::WrongLogin, Code::NotSaved]),
            post("/api/access/logout", "Log out.").answers::<Done>("Logged out"),
            post("/api/access/code", "Set the password of an administrator with a one-time code, and log in.")
                .body::<CodeRequest>()
                .answers::<LoggedIn>("Logged in; the session is in a cookie")
                .refuses(OF_A_GUESS)
                .refuses(&[Code::WrongCode, Code::NotSaved]),
            put("/api/access/password", "Change the own password.")
                .body::<OwnPasswordRequest>()
                .answers::<PasswordChanged>("Changed")
                .refuses(OF_A_GUESS)
                .refuses(&[Code::WrongLogin, Code::Invalid, Code::NotSaved, Code::NotFound]),
            get("/api/access/people", "Who can log in.").answers::<People>("All of them"),
            post("/api/access/people", "Add a person.")
                .body::<PersonRequest>()
                .answers_with::<Done>(201, "Added")
                .refuses(OF_A_GUESS)
                .refuses(&[Code::AlreadyExists, Code::NotSaved]),
            put("/api/access/people/{name}", "Change the role or the password of a person.")
                .body::<PersonChange>()
                .answers::<Done>("Changed")
                .refuses(OF_A_GUESS)
                .refuses(&[Code::NotFound, Code::LastAdministrator, Code::NotSaved]),
            delete("/api/access/people/{name}", "Remove a person, and the tokens that person made.")
                .answers::<PersonRemoved>("Removed")
                .refuses(&[Code::NotFound, Code::LastAdministrator, Code::NotSaved]),
            get("/api/access/tokens", "The tokens of programs.").answers::<Tokens>("All of them, without the tokens"),
            post("/api/access/tokens", "Make a token.")
                .body::<TokenRequest>()
                .answers_with::<TokenMade>(201, "Made; this is the only time it is shown")
                .refuses(&[Code::InvalidField, Code::AlreadyExists, Code::NotSaved]),
            delete("/api/access/tokens/{name}", "Revoke a token, and those made with it.")
                .answers::<TokenRevoked>("Revoked")
                .refuses(&[Code::NotFound, Code::NotSaved]),
            post("/api/access/edges/{edge_id}/key", "Make a key of an edge, in the place of an older one.")
                .answers_with::<KeyMade>(201, "Made; this is the only time it is shown")
                .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
            delete("/api/access/edges/{edge_id}/key", "Revoke the key of an edge.")
                .answers::<Done>("Revoked")
                .refuses(&[Code::NotFound, Code::StaleVersion, Code::InvalidField, Code::NotSaved]),
            get("/api/access/audit", "Who changed, came in or was turned away, newest first.")
                .query::<AuditParameters>()
                .answers::<AuditPageShown>("The page")
                .refuses(&[Code::InvalidField, Code::Busy]),
            get("/api/access/audit.csv", "All entries of the same query as a table for spreadsheets.")
                .query::<AuditParameters>()
                .answers_text(&["text/csv"], "The table, sent while it is read")
                .refuses(&[Code::InvalidField, Code::Busy]),
        ];
    operations.into_iter().map(|operation| operation.tag("access")).collect()
}
