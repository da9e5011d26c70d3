//! `parkmesh verify`, `rebuild`, `import` and `restore`: work on the database of a central that does not run; `parkmesh backup` and `export` on any.
//!
//! Verifying and rebuilding replay the events in the order of their clocks, log by log merged.

pub mod backup;
pub mod check;
pub mod export;
pub mod rebuild;
pub mod verify;

use std::path::Path;

use crate::domain::ids::CentralId;
use crate::domain::time::SiteZone;
use crate::ledger::Context;
use crate::store::StoreError;

/// Told as the work goes on: events done, and events there are.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// What the projection is made for: whose central, in which zone texts are written.
#[derive(Debug, Clone)]
pub struct RebuildFor {
    pub central: CentralId,
    pub zone: SiteZone,
}

impl RebuildFor {
    /// Of its ledger.
    pub fn context(&self) -> Context {
        Context { central: self.central.clone(), zone: self.zone.clone() }
    }
}

/// Whether there is a database to work on; a check must not make one.
fn must_exist(data_dir: &Path) -> Result<(), StoreError> {
    let path = data_dir.join(crate::store::directory::DATABASE_FILE);
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::NotADatabase { path, detail: "there is no such file".into() }),
        Err(source) => Err(StoreError::Directory { path, source }),
    }
}
