//! Guests with an invitation, at the P2P port. They show their certificate before they say a word, as everybody there does.

use actix_web::{HttpRequest, HttpResponse, web};

use super::access::sender;
use super::body;
use super::ws_peer::PeerEntrance;
use crate::actors::mesh_registry::guests::{Guest, GuestRefused};
use crate::domain::fingerprint::Fingerprint;
use crate::links::join::{GuestCard, MemberCard, SorryCard, WelcomeCard};
use crate::trust::invitation::CodeRefused;

/// Largest card: an id, an address and a code.
const CARD_LIMIT_BYTES: usize = 4 * 1024;

/// `POST /guests`, at the P2P port with TLS.
pub async fn welcome(request: HttpRequest, payload: web::Payload, entrance: web::Data<PeerEntrance>) -> HttpResponse {
    let Some(shown) = request.conn_data::<Fingerprint>().copied() else {
        return sorry("an invitation is for centrals that speak TLS: is security.p2p the same at both ends?");
    };
    let card: GuestCard = match body::json(&request, payload, CARD_LIMIT_BYTES).await {
        Ok(card) => card,
        Err(error) => return sorry(&error.to_string()),
    };
    let Ok(code) = card.code.parse() else { return sorry(&CodeRefused::Unknown.to_string()) };
    let from = sender(&request);
    let guest = Guest { code, central: card.central, ip: card.ip, p2p_port: card.p2p_port, shown, from };
    match entrance.registry.addr().send(guest).await {
        Ok(Ok(welcome)) => {
            let members = welcome.members.into_iter();
            let members = members.map(|member| MemberCard {
                id: member.id,
                ip: member.ip,
                p2p_port: member.p2p_port,
                fingerprint: member.fingerprint,
            });
            HttpResponse::Ok().json(WelcomeCard { central: welcome.central, members: members.collect() })
        }
        Ok(Err(refusal)) => sorry(&refusal.to_string()),
        Err(_) => sorry(&GuestRefused::NotSaved.to_string()),
    }
}

fn sorry(why: &str) -> HttpResponse {
    HttpResponse::Forbidden().json(SorryCard { error: why.to_owned() })
}
