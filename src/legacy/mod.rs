//! The system before this program, in both its revisions: links to its centrals while a site changes over, and the import of what it
//! wrote. Nothing but `app` and `main` names this room, so that it can be deleted in one commit.
//!
//! | file | holds |
//! |---|---|
//! | [`dialect`] | its frames; pure |
//! | [`peer`] | one of its centrals: what is told it, what it says; pure |
//! | [`link`], [`links`] | the actor that carries between the two; one for each peer marked `legacy` |
//! | [`import`] | `parkmesh import`: its database and its settings |

pub mod dialect;
pub mod import;
pub mod link;
pub mod links;
pub mod peer;
