//! What serves links between centrals and is no actor: dialling, sockets and what may arrive on them, asking to join, the keys
//! of authors.

pub mod intake;
pub mod join;
pub mod known_authors;
pub mod mesh;
pub mod socket;
pub mod status;
pub mod trust_desk;
