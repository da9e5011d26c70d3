//! `parkmesh import`: takes over what the Python system before this program wrote down.
//!
//! Everything arrives as events of this central's own log and so reaches all others. What was heard before, by an earlier
//! import or from another central, is not written again: a second import adds nothing. Nothing that people have set here, or
//! anywhere in the mesh, is overridden by a file.

pub mod database;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::domain::audit::{self, Act, By};
use crate::domain::ids::Epoch;
use crate::domain::time::SiteZone;
use crate::ledger::Ledger;
use crate::ledger::authorship::Authorship;
use crate::ledger::job::{Answer, Hearing, Job, Refusal};
use crate::ledger::storage::Storage as _;
use crate::ledger::transaction::TransactionTime;
use crate::legacy::import::database::{ForeignError, Predecessor};
use crate::maintenance::{Progress, RebuildFor};
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};
use crate::tls::credentials;
use crate::tls::key_file::{self, IdentityError};

/// A settings file of the old program is no larger, in bytes.
const MAX_JSON_BYTES: u64 = 64 * 1024 * 1024;
/// What a SQLite file begins with.
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";

/// Why an import ended early. What was taken until then stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// The old database stopped being readable in the middle.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    #[error("nothing can be written: {0}")]
    NotDurable(String),
    /// What is written has to show whose it is, or others give it neither back nor on.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("no random number can be drawn: {0}")]
    Random(String),
}

/// What a file is, by its contents.
#[derive(Debug, Clone, PartialEq)]
pub enum OldKind {
    Database,
    Tariff(Value),
    Subscriptions(Vec<Value>),
    /// The settings of a central: `p2p_config.json`. Not for the database.
    Config(Value),
}

/// Why a file is none that can be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct NotAFile {
    pub path: PathBuf,
    pub reason: String,
}

/// Looks what a file is.
///
/// # Errors
/// [`NotAFile`]: it is not there, cannot be read, or is nothing of the old program.
pub fn kind_of(path: &Path) -> Result<OldKind, NotAFile> {
    let refused = |reason: String| NotAFile { path: path.to_owned(), reason };
    let size = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if size.is_dir() {
        return Err(refused("this is a directory; name the files in it".to_owned()));
    }
    if !size.is_file() {
        return Err(refused("this is no file but a device or a pipe; copy what it gives into a file".to_owned()));
    }
    // So are those in which the system shows itself, as /proc/kmsg, from which a read may never return.
    if size.len() == 0 {
        return Err(refused("neither a SQLite database nor a JSON file of the old program: it is empty".to_owned()));
    }
    let mut head = [0_u8; 16];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    read.map_err(|error| refused(error.to_string()))?;
    if head == SQLITE_HEADER {
        return Ok(OldKind::Database);
    }
    if size.len() > MAX_JSON_BYTES {
        return Err(refused("neither a SQLite database nor a settings file: it is too large".to_owned()));
    }
    let bytes = fs::read(path).map_err(|error| refused(error.to_string()))?;
    let unknown = "neither a SQLite database nor a JSON file of the old program (parking_fees.json, subscriptions.json, p2p_config.json)";
    // The old program's editors on Windows put a mark in front.
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let json: Value = serde_json::from_slice(text).map_err(|error| refused(format!("{unknown}: {error}")))?;
    if is_staff(&json) {
        return Err(refused(
            "this is the list of who is on duty (staff.json), which this program does not keep".to_owned(),
        ));
    }
    match json {
        Value::Array(list) => Ok(OldKind::Subscriptions(list)),
        Value::Object(mut fields) => {
            if let Some(Value::Array(list)) = fields.remove("subscriptions") {
                Ok(OldKind::Subscriptions(list))
            } else if let Some(fees) = fields.remove("fees") {
                Ok(OldKind::Tariff(fees))
            } else if fields.contains_key("fee_per_hour") || fields.contains_key("fee_base") {
                Ok(OldKind::Tariff(Value::Object(fields)))
            } else if fields.contains_key("this_central") {
                Ok(OldKind::Config(Value::Object(fields)))
            } else {
                Err(refused(unknown.to_owned()))
            }
        }
        _ => Err(refused(unknown.to_owned())),
    }
}

/// Whether it is the old program's `staff.json`: people, with a position or a shift, and no plates.
fn is_staff(json: &Value) -> bool {
    let list = json.get("staff").unwrap_or(json);
    let is_person = |item: &Value| {
        (item.get("position").is_some() || item.get("shift").is_some()) && item.get("plate_number").is_none()
    };
    list.as_array().is_some_and(|list| json.get("staff").is_some() || list.first().is_some_and(is_person))
}

/// What came of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOutcome {
    /// Rows or entries taken over, whole or in part.
    pub taken: u64,
    /// Held already.
    pub known: u64,
    /// Not taken, each told with the reason.
    pub refused: u64,
    /// Events written.
    pub events: u64,
}

/// Told of everything that cannot be taken: what it is, and why.
pub type Refusals<'a> = &'a mut dyn FnMut(&str, &str);

/// Told of what was taken and needs a look all the same.
pub type Remarks<'a> = &'a mut dyn FnMut(&str);

/// The database of a central that does not run, open for imports.
pub struct Importer {
    ledger: Ledger<Writer>,
    site: RebuildFor,
    now_ms: i64,
    epoch: Epoch,
}

impl Importer {
    /// Opens the data directory, made if it is missing, with its key, by which others know later whose the imported events are. `now_ms`: the
    /// wall clock. `epoch`: random, names the log that the import writes.
    ///
    /// # Errors
    /// [`ImportError`]: the directory is in use (the central runs), its key is damaged, the disk fails.
    pub fn open(data_dir: &Path, site: &RebuildFor, now_ms: i64, epoch: Epoch) -> Result<Self, ImportError> {
        let directory = DataDir::open(data_dir)?;
        let key = key_file::open_or_make(data_dir)?.credentials;
        let writer = Writer::open(&directory, site.zone.clone())?;
        let mut ledger = Ledger::open(writer, site.context())?;
        let author = credentials::author(Some(key)).map_err(|error| ImportError::Random(error.to_string()))?;
        ledger.set_authorship(Authorship::unjudging(author));
        Ok(Self { ledger, site: site.clone(), now_ms, epoch })
    }

    /// Takes over the history of an old database. `zone`: what its machine's clock shows, if not the site's. `remarks`: hears of rows whose
    /// times are to be looked at.
    ///
    /// # Errors
    /// [`ImportError`]
    pub fn database(
        &mut self,
        path: &Path,
        zone: Option<&SiteZone>,
        refusals: Refusals<'_>,
        remarks: Remarks<'_>,
        progress: Progress<'_>,
    ) -> Result<ImportOutcome, ImportError> {
        let old = Predecessor::open(path)?;
        rows::import(self, &old, path, zone, refusals, remarks, progress)
    }

    /// Takes over a tariff, unless one was set. `differences`: hears in what it charges otherwise here than it did.
    ///
    /// # Errors
    /// [`ImportError`]
    pub fn tariff(
        &mut self,
        fees: &Value,
        refusals: Refusals<'_>,
        differences: Remarks<'_>,
    ) -> Result<ImportOutcome, ImportError> {
        rows::tariff(self, fees, refusals, differences)
    }

    /// Takes over the subscriptions nothing is known of.
    ///
    /// # Errors
    /// [`ImportError`]
    pub fn subscriptions(&mut self, list: &[Value], refusals: Refusals<'_>) -> Result<ImportOutcome, ImportError> {
        rows::subscriptions(self, list, refusals)
    }

    /// Writes into the audit that the file is taken over now, or what came of it.
    ///
    /// # Errors
    /// [`ImportError::NotDurable`]
    pub fn note(&mut self, path: &Path, came: Option<ImportOutcome>) -> Result<(), ImportError> {
        let act = Act::new(audit::Kind::Import, By::new("command:import", ""), path.display());
        let counts = |ImportOutcome { taken, known, refused, events }| json!({ "taken": taken, "known": known, "refused": refused, "events": events });
        let entry = act.done(self.now_ms, Value::Null, came.map_or(Value::Null, counts));
        self.decide(Job::Audit(vec![entry])).map(drop)
    }

    /// Writes everything back and closes the database.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn close(self) -> Result<(), StoreError> {
        self.ledger.into_storage().close()
    }

    fn decide(&mut self, job: Job) -> Result<Answer, ImportError> {
        self.decide_or_refuse(job)?.map_err(|refusal| ImportError::NotDurable(refusal.to_string()))
    }

    fn decide_or_refuse(&mut self, job: Job) -> Result<Result<Answer, Refusal>, ImportError> {
        let now = TransactionTime { wall_ms: self.now_ms, skew_ms: None, clock_wrong: false };
        let mut done = self.ledger.process(vec![job], now, self.epoch);
        self.ledger.storage_mut().make_room();
        match done.outcomes.pop() {
            Some(Err(Refusal::NotDurable(reason))) => Err(ImportError::NotDurable(reason)),
            Some(outcome) => Ok(outcome),
            None => Err(ImportError::NotDurable(done.failure.unwrap_or_default())),
        }
    }

    fn hear(&mut self, told: Vec<crate::ledger::job::Told>) -> Result<Vec<Hearing>, ImportError> {
        match self.decide(Job::Hear(told))? {
            Answer::Heard(hearings) => Ok(hearings),
            _ => Err(ImportError::NotDurable("the ledger gave another answer".to_owned())),
        }
    }
}
