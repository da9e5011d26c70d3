//! The stable error codes: each with the status it comes with and what it means. The one list the answers, the OpenAPI
//! document and docs/http-api.md go by. It only grows: programs decide by these names.

/// Declares the codes, each once.
macro_rules! codes {
    ($($code:ident = $status:literal $name:literal, $meaning:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The HTTP status it comes with; always the same one.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// The text in `code`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// When it is answered, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidJson = 400 "invalid_json", "the body is not JSON";
    InvalidBody = 400 "invalid_body", "the body is JSON of another shape";
    BrokenBody = 400 "broken_body", "the connection broke off in the body";
    InvalidField = 400 "invalid_field", "a field is wrong: `field` names it, `problems` all that are where several were checked";
    Invalid = 400 "invalid", "the request makes no sense as a whole";
    InvalidQuery = 400 "invalid_query", "the query cannot be read";
    NotAWebsocket = 400 "not_a_websocket", "a plain request for a WebSocket";
    PeerUnreachable = 400 "peer_unreachable", "the test of a link failed: `steps` says where";
    LoginRequired = 401 "login_required", "this needs a login or a token";
    EdgeKeyRequired = 401 "edge_key_required", "this needs the key of an edge, a login or a token";
    WrongLogin = 401 "wrong_login", "wrong name or password";
    WrongCode = 401 "wrong_code", "the one-time code is not good (any more)";
    Forbidden = 403 "forbidden", "who calls is known, and may not do this";
    LocalOnly = 403 "local_only", "with `security.admin` `open` this is done at the machine itself only";
    OtherEdge = 403 "other_edge", "the key is that of another edge";
    ForeignPage = 403 "foreign_page", "a page of another site tries to change something or to open a socket";
    UnknownHost = 403 "unknown_host", "the header `Host` names what this central is not known by";
    NotAPeer = 403 "not_a_peer", "a central says it is a peer; a person has to add it here";
    NotFound = 404 "not_found", "no such address, peer, stay, person or token";
    MethodNotAllowed = 405 "method_not_allowed", "another method; header `Allow` says which";
    RequestTimeout = 408 "request_timeout", "the body took longer than 10 s";
    AlreadyInside = 409 "already_inside", "an entry of a car that is inside";
    OtherType = 409 "other_type", "an entry with the characters of a vehicle of another type that is inside: look before forcing";
    NotInside = 409 "not_inside", "an exit of a car that is not inside";
    JustEntered = 409 "just_entered", "by state, a car that whose entry was committed less than 1 s ago is not let out";
    LongStay = 409 "long_stay", "inside for more than 7 days: a person has to look, and to force";
    RequestIdReused = 409 "request_id_reused", "this request id belongs to another request";
    Unchanged = 409 "unchanged", "the correction says what is already so";
    AlreadyVoid = 409 "already_void", "the stay was removed before";
    ShiftOpen = 409 "shift_open", "somebody has a shift open at this gate: `shift` and `person` say which";
    ShiftClosed = 409 "shift_closed", "the shift was closed before";
    ShiftElsewhere = 409 "shift_elsewhere", "the shift is at a gate of another central, `central`: it is closed there";
    StaleVersion = 409 "stale_version", "the settings, the tariff or the list changed since they were read";
    StaleList = 409 "stale_list", "the list would remove subscriptions that were added or changed a moment ago, or restores some that are there again";
    AlreadyExists = 409 "already_exists", "the peer, person or token is there already";
    InvitationRefused = 409 "invitation_refused", "the invitation cannot be used: the sentence says why";
    BackupOff = 409 "backup_off", "the settings name no directory for backups";
    NeverMet = 409 "never_met", "the peer has not shown a certificate yet, so there is nothing to expel";
    LastAdministrator = 409 "last_administrator", "nobody could administer this central afterwards";
    TooLarge = 413 "too_large", "the body is larger than is taken here";
    UnsupportedMediaType = 415 "unsupported_media_type", "the body is not declared as JSON";
    TooManyAttempts = 429 "too_many_attempts", "too many wrong logins or codes, or others log in right now";
    TooManyRequests = 429 "too_many_requests", "more requests than this address or edge is granted; nothing happened";
    Internal = 500 "internal", "our fault; the log says why";
    NotDurable = 503 "not_durable", "nothing can be committed now; what was asked may or may not have happened";
    Busy = 503 "busy", "too many requests at once; nothing happened";
    NotSaved = 503 "not_saved", "the file of the settings or of the accounts cannot be written; nothing was changed";
    Stopping = 503 "stopping", "this central is stopping; nothing happened";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_stands_in_the_document_with_its_status() {
        let document = include_str!("../../docs/http-api.md");
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let row = format!("| {} |", code.status());
            let stands =
                document.lines().any(|line| line.starts_with(&row) && line.contains(&format!("`{}`", code.name())));
            assert!(stands, "`{}` in a row `{row}` of docs/http-api.md", code.name());
        }
    }
}
