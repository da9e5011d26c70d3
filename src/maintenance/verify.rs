//! Checks everything a central holds: the file, the chains, the rows, and that the history is what its events give.
//!
//! The last is checked by making the history anew in a scratch directory inside the data directory, which needs less than half as
//! much disk again and is removed afterwards.

use std::fmt;
use std::path::Path;

use super::rebuild::{FOLDED_FACTS, replay};
use super::{Progress, RebuildFor, must_exist};
use crate::background::remove;
use crate::domain::ids::Epoch;
use crate::ledger::storage::Storage as _;
use crate::ledger::transaction::TransactionTime;
use crate::ledger::{Ledger, Processed, RULES_VERSION};
use crate::store::verify::{Evidence, Fault, Findings};
use crate::store::writer::Writer;
use crate::store::{DataDir, StoreError};

const SCRATCH: &str = "verify-scratch";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What is wrong, the first of it first.
    pub report: Findings,
    /// `None`: the file itself is damaged, and was not held against its events.
    pub digests: Option<Digests>,
}

/// Digests of the history, 64 hex digits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// The one in the file.
    pub said: String,
    /// The one its rows give.
    pub of_rows: String,
    /// The one its events give.
    pub of_events: String,
}

impl Verified {
    pub fn is_whole(&self) -> bool {
        let equal = |digests: &Digests| digests.said == digests.of_rows && digests.said == digests.of_events;
        self.report.is_whole() && self.digests.as_ref().is_some_and(equal)
    }
}

/// For people, line by line; the last one says whether all is well.
impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        for finding in &report.findings {
            writeln!(f, "{finding}")?;
        }
        if report.more_findings > 0 {
            writeln!(f, "... and {} more", report.more_findings)?;
        }
        let Findings { events, logs, rows, audited, .. } = report;
        writeln!(f, "{events} events in {logs} logs, {rows} rows, {audited} entries of the audit")?;
        match &self.digests {
            None => writeln!(f, "the history was not compared with the events, because the file is damaged")?,
            Some(Digests { said, of_rows, of_events }) => {
                writeln!(f, "digest: {said} (as stored)")?;
                if of_rows != said {
                    let why = "rows were changed outside; 'parkmesh rebuild' makes them anew";
                    writeln!(f, "digest: {of_rows} (of the rows): {why}")?;
                }
                if of_events != said {
                    let why = "the history is not what they give; 'parkmesh rebuild' makes it anew";
                    writeln!(f, "digest: {of_events} (of the events): {why}")?;
                }
            }
        }
        f.write_str(if self.is_whole() { "OK" } else { "DAMAGED" })
    }
}

/// Checks the database of a central that does not run. What waits to be folded is folded first, as the next start would.
/// `now_ms`: the wall clock.
///
/// # Errors
/// [`StoreError`]: the directory is in use, there is no database, it cannot be read at all, no room for the scratch copy; another
/// version used it last, and this one has to be started once. What is wrong with the contents is in the result.
pub fn verify(data_dir: &Path, site: &RebuildFor, now_ms: i64, progress: Progress<'_>) -> Result<Verified, StoreError> {
    must_exist(data_dir)?;
    let directory = DataDir::open(data_dir)?;
    let mut evidence = Evidence::open(&directory)?;
    let mut report = evidence.check()?;
    if !report.is_whole() {
        return Ok(Verified { report, digests: None });
    }
    drop(evidence);
    let now = TransactionTime { wall_ms: now_ms, skew_ms: None, clock_wrong: false };
    let mut rows = crate::ledger::digest::Digest::default();
    let opened = Writer::open(&directory, site.zone.clone()).and_then(|writer| Ledger::open(writer, site.context()));
    let said = match opened {
        Ok(mut ledger) => {
            if ledger.storage_mut().rules_version()? != RULES_VERSION {
                ledger.into_storage().close()?;
                return Err(StoreError::OtherVersion { path: directory.database() });
            }
            take_up(&mut ledger, now)?;
            ledger.settings().hashes().for_each(|hash| rows.add(hash));
            let said = ledger.digest().to_string();
            ledger.into_storage().close()?;
            said
        }
        // A table beside the events and the rows; a rebuild makes it anew.
        Err(StoreError::Value(why)) => {
            report.add(Fault::Structure(why));
            return Ok(Verified { report, digests: None });
        }
        Err(error) => return Err(error),
    };
    Evidence::open(&directory)?.all_rows::<StoreError>(|stored| {
        rows.add(stored.row.hash());
        Ok(())
    })?;
    let of_events = made_anew(&directory, site, now, &mut report, progress)?;
    Ok(Verified { report, digests: Some(Digests { said, of_rows: rows.to_string(), of_events }) })
}

/// Applies what was held back, because its clock was ahead or its plate had to wait.
fn take_up(ledger: &mut Ledger<Writer>, now: TransactionTime) -> Result<(), StoreError> {
    loop {
        let Processed { durable, failure, .. } = ledger.process(Vec::new(), now, Epoch(0));
        if let Some(reason) = failure {
            return Err(StoreError::Value(reason));
        }
        if !durable {
            break;
        }
    }
    while ledger.settle(FOLDED_FACTS, now)? > 0 {
        ledger.storage_mut().make_room();
    }
    Ok(())
}

/// The digest of the history its events give; rows and sums that are other than those are added to the report.
fn made_anew(
    directory: &DataDir,
    site: &RebuildFor,
    now: TransactionTime,
    report: &mut Findings,
    progress: Progress<'_>,
) -> Result<String, StoreError> {
    let scratch = directory.path().join(SCRATCH);
    let cleared = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Directory { path: scratch.clone(), source: error })
        }
        _ => Ok(()),
    };
    cleared(remove(&scratch))?;
    let digest = DataDir::open(&scratch).and_then(|made| {
        let digest = replay_into(&made, directory, site, now, progress)?;
        let mut evidence = Evidence::open(directory)?;
        let mut made = evidence.made_anew_in(&made)?;
        evidence.compare(&mut made, report)?;
        Ok(digest)
    });
    cleared(remove(&scratch))?;
    digest
}

fn replay_into(
    scratch: &DataDir,
    held: &DataDir,
    site: &RebuildFor,
    now: TransactionTime,
    progress: Progress<'_>,
) -> Result<String, StoreError> {
    let mut ledger = Ledger::open(Writer::for_once(scratch, held, site.zone.clone())?, site.context())?;
    replay(&mut ledger, held.path(), now.wall_ms, progress)?;
    let digest = ledger.digest().to_string();
    ledger.into_storage().close()?;
    Ok(digest)
}
