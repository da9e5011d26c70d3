//! Which site a central belongs to, kept in `DIR/site.json`, and coming to a mesh with an invitation: asks the inviting central, and
//! nobody else, to be let in.

use std::io;
use std::path::Path;
use std::time::Duration;

use log::{info, warn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::socket::{self, DialError, PeerAddress};
use crate::config::model::ThisCentral;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::tls::credentials::Credentials;
use crate::tls::peers::Client;
use crate::trust::invitation::Invitation;
use crate::trust::site::{SiteId, SiteMark};
use crate::vault::files;

/// Where guests knock, at the P2P port.
pub const GUESTS_PATH: &str = "/guests";
/// The inviting central writes its settings and an event meanwhile.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Largest answer: the addresses of a hundred members.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// What a guest says.
#[derive(Debug, Serialize, Deserialize)]
pub struct GuestCard {
    pub code: String,
    pub central: CentralId,
    pub ip: String,
    pub p2p_port: u16,
    /// Which site it belongs to; absent from older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteMark>,
}

/// A member of the mesh, to be taken over as a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberCard {
    #[schema(value_type = String)]
    pub id: CentralId,
    pub ip: String,
    pub p2p_port: u16,
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
}

/// What a guest is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct WelcomeCard {
    pub central: CentralId,
    pub members: Vec<MemberCard>,
    /// Its people are known at all centrals of the site; absent from older versions.
    #[serde(default)]
    pub shares_people: bool,
}

/// What a guest is told who is sent away.
#[derive(Debug, Serialize, Deserialize)]
pub struct SorryCard {
    pub error: String,
}

/// Why a central could not come in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("the inviting central cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Refused(String),
    #[error("the inviting central answered something this version does not understand")]
    NotUnderstood,
}

/// Shows the invitation to who made it. Must run on a thread of actix.
///
/// # Errors
/// [`JoinError`]
pub async fn ask(
    invitation: &Invitation,
    own: &ThisCentral,
    credentials: &Credentials,
    site: Option<SiteMark>,
) -> Result<WelcomeCard, JoinError> {
    let unreachable = |error: DialError| JoinError::Unreachable(error.to_string());
    let client = Client::new(credentials, Some(invitation.fingerprint));
    let client = client.map_err(|error| JoinError::Unreachable(error.to_string()))?;
    let address = PeerAddress { host: invitation.host.clone(), port: invitation.p2p_port };
    let card = GuestCard {
        code: invitation.code.reveal().to_owned(),
        central: own.id.clone(),
        ip: own.ip.to_string(),
        p2p_port: own.p2p_port,
        site,
    };
    let body = serde_json::to_string(&card).map_err(|_| JoinError::NotUnderstood)?;
    let (success, answer) =
        socket::post(&address, GUESTS_PATH, &client, body, MAX_ANSWER_BYTES, TIMEOUT).await.map_err(unreachable)?;
    if success {
        let welcome: WelcomeCard = serde_json::from_slice(&answer).map_err(|_| JoinError::NotUnderstood)?;
        return if welcome.central == invitation.central { Ok(welcome) } else { Err(JoinError::NotUnderstood) };
    }
    let sorry: SorryCard = serde_json::from_slice(&answer).map_err(|_| JoinError::NotUnderstood)?;
    Err(JoinError::Refused(sorry.error))
}

pub const SITE_FILE: &str = "site.json";

/// As it was written; else a new one, which gives way to that of the centrals it is linked with.
///
/// # Errors
/// The system gives no random numbers.
pub fn site_of(data_dir: &Path) -> Result<SiteMark, getrandom::Error> {
    let read = files::read(&data_dir.join(SITE_FILE));
    if let Ok(Some(mark)) = read.map(|bytes| bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())) {
        return Ok(mark);
    }
    let mark = SiteMark { id: SiteId(getrandom::u64()?), firm: false };
    write_site(data_dir, mark);
    Ok(mark)
}

/// Writes it down. What cannot be written now is agreed on anew after the next start.
pub fn write_site(data_dir: &Path, mark: SiteMark) {
    let bytes = serde_json::to_vec(&mark).map_err(io::Error::from);
    match bytes.and_then(|bytes| files::write(&data_dir.join(SITE_FILE), &bytes)) {
        Ok(()) => {
            info!(event = "site", id = mark.id.to_string().as_str(), firm = mark.firm; "this central belongs to this site")
        }
        Err(error) => {
            warn!(event = "site_not_saved", reason = error.to_string().as_str(); "the site cannot be written down")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_anew_where_it_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let first = site_of(directory.path()).unwrap();
        assert!(!first.firm);
        assert_eq!(site_of(directory.path()).unwrap(), first);
        write_site(directory.path(), SiteMark { firm: true, ..first });
        assert_eq!(site_of(directory.path()).unwrap(), SiteMark { firm: true, ..first });
        std::fs::write(directory.path().join(SITE_FILE), "x").unwrap();
        assert_ne!(site_of(directory.path()).unwrap().id, first.id);
    }
}
