//! What a person has to look at on this machine, shown in red on every page and in `/api/status` while it is so.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::config_keeper::ConfigView;
use crate::actors::db_writer::HeldView;
use crate::desks::backup_desk::{BackupDesk, BackupState};
use crate::ledger::storage::Watched;
use crate::ops::offences::Offences;

const ALL_TAKEN: &str =
    "all connections that addresses unknown here may have are taken: the log says whose (no_connection_left)";

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// `accounts`: people and tokens could not be read; `backup`: one is due, or damaged, or cannot be made; `connections`: in the last ten minutes somebody was turned away because all were
    /// taken; `database`: what a start found there, and what cannot be read while this runs; `files`: they were removed or replaced while this runs; `identity`: the key of this
    /// central cannot be used; `leftover`: an earlier rescue left a file that waits for a person; `log_grows`: another program keeps the log from starting over.
    #[schema(pattern = "^(accounts|backup|connections|database|files|identity|leftover|log_grows)$")]
    pub code: &'static str,
    /// What is so, and what to do.
    pub reason: String,
}

/// What was found at the start, and what is seen now.
#[derive(Debug)]
pub struct Notices {
    at_start: Vec<Notice>,
    writer: HeldView,
    offences: Arc<Offences>,
    backups: Arc<BackupDesk>,
    config: ConfigView,
}

impl Notices {
    /// `at_start`: with their codes.
    #[must_use]
    pub fn new(
        at_start: Vec<(&'static str, String)>,
        writer: HeldView,
        offences: Arc<Offences>,
        backups: Arc<BackupDesk>,
        config: ConfigView,
    ) -> Self {
        let at_start = at_start.into_iter().map(|(code, reason)| Notice { code, reason }).collect();
        Self { at_start, writer, offences, backups, config }
    }

    /// How it stands with the backups.
    #[must_use]
    pub fn backup(&self) -> BackupState {
        self.backups.state()
    }

    /// All there is now.
    #[must_use]
    pub fn all(&self) -> Vec<Notice> {
        let watched = self.writer.borrow().watched.clone();
        let full = self.offences.was_full().then(|| ALL_TAKEN.to_owned());
        let backup = self.backups.state().notice(&self.config.borrow().site.time_zone);
        let Watched { files, log, database } = (*watched).clone();
        let now =
            [("database", database), ("files", files), ("log_grows", log), ("connections", full), ("backup", backup)];
        let now = now.into_iter().filter_map(|(code, reason)| Some(Notice { code, reason: reason? }));
        self.at_start.iter().cloned().chain(now).collect()
    }
}
