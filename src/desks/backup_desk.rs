//! The daily backup: made at its time, proven, and the newest ones kept.
//!
//! What there is stands in the directory itself, in the proof of each backup, so that nothing has to be remembered: how old the last
//! proven one is, which are the oldest, whether today's was missed while this central was off. Before each new one all others are held
//! against their proofs: what was changed since counts for nothing and is told of.
//!
//! Docs: operations.md, *Backup*.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};
use serde::Serialize;
use tokio::sync::{Notify, oneshot, watch};
use utoipa::ToSchema;

use crate::background;
use crate::config::model::Config;
use crate::domain::time::SiteZone;
use crate::maintenance::RebuildFor;
use crate::maintenance::backup::{self, BackupError, Parts, Passphrase};
use crate::ops::clock::Clock;
use crate::ops::metrics::Metrics;

/// How often it is asked whether one is due; a start that misses its backup makes it after so long.
const PERIOD: Duration = Duration::from_secs(60);
/// After a failure the next attempt.
const RETRY: Duration = Duration::from_secs(3_600);
/// One that is due and not there for so long is told of.
const PATIENCE_MS: i64 = 2 * 3_600_000;
/// Gates first.
const NICENESS: i32 = 19;

/// How it stands with the backups of this central.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BackupState {
    /// Where they go; null: none are made.
    pub dir: Option<String>,
    /// When the newest proven one was begun, Unix ms.
    pub proven_ms: Option<i64>,
    /// Whether a passphrase opens that one; null: there is none.
    pub encrypted: Option<bool>,
    /// How many proven ones there are.
    pub kept: usize,
    /// One is being made, or the others are being checked.
    pub running: bool,
    /// Why the last attempt came to nothing, or which backup is damaged.
    pub failed: Option<String>,
    /// What is wrong with the passphrase that the settings name a file for.
    pub passphrase: Option<String>,
    /// The last one that was due is not there, hours later.
    pub overdue: bool,
}

impl BackupState {
    fn is_due(&self, round: &Round) -> bool {
        self.proven_ms.is_none_or(|proven_ms| proven_ms < round.due_ms)
    }

    /// What a person has to look at.
    pub fn notice(&self, zone: &SiteZone) -> Option<String> {
        self.dir.as_ref()?;
        if let Some(reason) = &self.failed {
            return Some(format!("no backup: {reason}"));
        }
        if let Some(reason) = &self.passphrase {
            return Some(reason.clone());
        }
        self.overdue.then(|| match self.proven_ms {
            Some(proven_ms) => {
                let text = zone.local_text(proven_ms);
                format!("the last proven backup is of {text}: one that was due since is not there")
            }
            None => "there is no proven backup yet, and one was due".to_owned(),
        })
    }
}

/// The one who makes them. One for each central; pages ask it.
#[derive(Debug, Default)]
pub struct BackupDesk {
    state: Mutex<BackupState>,
    asked: Notify,
}

impl BackupDesk {
    pub fn state(&self) -> BackupState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes one now; one that is being made is that one.
    pub fn begin(&self) {
        self.asked.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut BackupState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes backups for ever, as the settings in force want them. `parts`: of this central.
    pub async fn keep(
        &self,
        parts: Parts,
        mut config: watch::Receiver<Arc<Config>>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) {
        let mut failed_at: Option<Instant> = None;
        let mut damaged = Vec::new();
        let mut asked = false;
        let mut is_start = true;
        let (data_dir, now) = (parts.data_dir.clone(), config.borrow().clone());
        let left = move || backup::clear(&data_dir, now.backup.dir.as_deref().map(Path::new), &now.this_central.id);
        in_background(left).await;
        loop {
            let round = Round::of(&config.borrow_and_update(), &parts, clock);
            if let Some(round) = &round {
                let may_try = !is_start && failed_at.is_none_or(|at| at.elapsed() >= RETRY);
                self.look(round, &damaged, |_| {}).await;
                if asked || (may_try && self.state().is_due(round)) {
                    self.change(|state| state.running = true);
                    let (work, started) = (round.clone(), Instant::now());
                    let mut made = pin!(in_background(move || work.make(asked)));
                    let made = loop {
                        tokio::select! {
                            made = &mut made => break made,
                            // However long one by hand is waited for: an overdue one is told of.
                            () = tokio::time::sleep(PERIOD) => self.look(round, &damaged, |_| {}).await,
                        }
                    };
                    let failed;
                    (damaged, failed, failed_at) = take(made, started);
                    // All of it at once: nobody sees that it failed and not yet what is proven, or the other way round.
                    self.look(round, &damaged, |state| (state.failed, state.running) = (failed, false)).await;
                }
            } else {
                (damaged, failed_at) = (Vec::new(), None);
                self.change(|state| *state = BackupState::default());
            }
            self.show(&metrics);
            is_start = false;
            asked = tokio::select! {
                () = self.asked.notified() => true,
                () = tokio::time::sleep(PERIOD) => false,
                changed = config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    failed_at = None;
                    false
                }
            };
        }
    }

    /// Brings up to date what can be seen without reading more than the proofs. A share that does not answer keeps only this waiting.
    async fn look(&self, round: &Round, damaged: &[PathBuf], change: impl FnOnce(&mut BackupState)) {
        let work = round.clone();
        let now_ms = round.clock.now_ms();
        let seen =
            in_background(move || (work.kept(now_ms).0, work.passphrase_file.as_deref().and_then(wrong_with))).await;
        self.change(|state| {
            if let Some((mut proven, passphrase)) = seen {
                proven.retain(|kept| !damaged.contains(&kept.path));
                let newest = proven.last().filter(|kept| kept.made_ms <= now_ms);
                *state = BackupState {
                    dir: Some(round.dir.display().to_string()),
                    proven_ms: newest.map(|kept| kept.made_ms),
                    encrypted: newest.map(|kept| kept.backup.is_sealed()),
                    kept: proven.len(),
                    passphrase,
                    ..std::mem::take(state)
                };
            }
            state.overdue = state.is_due(round) && now_ms - round.due_ms > PATIENCE_MS;
            change(state);
        });
    }

    fn show(&self, metrics: &Metrics) {
        let state = self.state();
        metrics.backup_proven.set(state.proven_ms.unwrap_or_default().div_euclid(1_000));
        metrics.backup_failed.set(i64::from(state.failed.is_some()));
    }
}

/// The damaged ones, what is to be told, and since when the making fails.
fn take(made: Option<Made>, started: Instant) -> (Vec<PathBuf>, Option<String>, Option<Instant>) {
    let Made { damaged, outcome } = made.unwrap_or_else(|| Made {
        damaged: Vec::new(),
        outcome: Err("its thread failed; the log says why".to_owned()),
    });
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut failed = None;
    for (_, reason) in &damaged {
        warn!(event = "backup_damaged", reason = reason.as_str(); "a backup is not what it was");
        failed = Some(reason.clone());
    }
    let failed_at = match outcome {
        // Somebody made it meanwhile.
        Ok(None) => None,
        Ok(Some((place, events))) => {
            let place = place.display().to_string();
            info!(event = "backup_made", place = place.as_str(), events, took_ms; "a backup was made and proven");
            None
        }
        Err(reason) => {
            warn!(event = "backup_failed", reason = reason.as_str(), took_ms; "no backup could be made");
            failed = Some(reason);
            Some(Instant::now())
        }
    };
    (damaged.into_iter().map(|(path, _)| path).collect(), failed, failed_at)
}

/// What a person has to see to before the next backup.
fn wrong_with(passphrase_file: &Path) -> Option<String> {
    if let Err(reason) = backup::passphrase_of(passphrase_file) {
        return Some(reason.to_string());
    }
    let path = passphrase_file.display();
    Passphrase::is_open_to_all(passphrase_file)
        .then(|| format!("anybody on this machine can read {path}, the passphrase of the backups: chmod o-rwx {path}"))
}

/// What is to be done, as of one moment.
#[derive(Debug, Clone)]
struct Round {
    parts: Parts,
    site: RebuildFor,
    dir: PathBuf,
    keep: usize,
    passphrase_file: Option<PathBuf>,
    clock: Clock,
    /// When one was due last.
    due_ms: i64,
}

/// A backup of this central that says it was proven.
#[derive(Debug)]
struct OwnBackup {
    path: PathBuf,
    made_ms: i64,
    backup: backup::StoredBackup,
}

/// What came of it.
struct Made {
    /// Each with the reason.
    damaged: Vec<(PathBuf, String)>,
    /// Where it is, and how many events it holds.
    outcome: Result<Option<(PathBuf, u64)>, String>,
}

impl Round {
    /// `None`: no backups are wanted.
    fn of(config: &Config, parts: &Parts, clock: Clock) -> Option<Self> {
        let wanted = &config.backup;
        let zone = config.site.time_zone.clone();
        Some(Self {
            parts: Parts { leave_free_bytes: config.tuning.low_disk_bytes(), ..parts.clone() },
            dir: wanted.dir.as_ref()?.into(),
            keep: usize::try_from(wanted.keep).unwrap_or(usize::MAX),
            passphrase_file: wanted.passphrase_file.as_ref().map(PathBuf::from),
            clock,
            due_ms: zone.last_at(wanted.at, clock.now_ms()),
            site: RebuildFor { central: config.this_central.id.clone(), zone },
        })
    }

    /// The proven backups of this central, the oldest first; and what has the name of one and is none, with the reason. What was made
    /// while the clock was ahead is older than all of before now: it keeps none from being made, and goes first.
    fn kept(&self, now_ms: i64) -> (Vec<OwnBackup>, Vec<(PathBuf, String)>) {
        let central = &self.site.central;
        let (mut proven, mut damaged) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path());
        // Directories of versions before may have any name; whatever else lies there is not opened.
        let is_one =
            |path: &PathBuf| !backup::is_partial(path) && (path.is_dir() || backup::is_named_by(path, central));
        for path in entries.filter(is_one) {
            match backup::StoredBackup::at(&path) {
                Ok(backup) => match backup.proof() {
                    Some(proof) if proof.central == *central => {
                        proven.push(OwnBackup { path, made_ms: proof.made_ms, backup });
                    }
                    _ => {}
                },
                Err(reason) if backup::is_named_by(&path, central) => damaged.push((path, reason.to_string())),
                // Something else that lies there.
                Err(_) => {}
            }
        }
        proven.sort_by_key(|kept| (kept.made_ms <= now_ms, kept.made_ms));
        (proven, damaged)
    }

    /// `asked`: somebody wants one, also where none is due. It waits for one that is made by hand, and lets that count.
    fn make(self, asked: bool) -> Made {
        let turn = backup::BackupTurn::wait(&self.parts.data_dir);
        let now_ms = self.clock.now_ms();
        let (mut sound, mut damaged) = self.kept(now_ms);
        sound.retain(|kept| match kept.backup.holds() {
            Ok(()) => true,
            Err(reason) => {
                damaged.push((kept.path.clone(), reason.to_string()));
                false
            }
        });
        let is_there = sound.last().is_some_and(|newest| (self.due_ms..=now_ms).contains(&newest.made_ms));
        let sound = sound.into_iter().map(|kept| (kept.path, kept.made_ms)).collect();
        let made = match turn {
            Ok(_) if is_there && !asked => Ok(None),
            turn => turn.and_then(|turn| self.add(turn, sound)).map(Some),
        };
        Made { damaged, outcome: made.map_err(|reason| reason.to_string()) }
    }

    /// `sound`: those there are, with their times, the oldest first; of them goes what is too much.
    fn add(&self, turn: backup::BackupTurn, mut sound: Vec<(PathBuf, i64)>) -> Result<(PathBuf, u64), BackupError> {
        let Self { parts, dir, site, .. } = self;
        let passphrase = self.passphrase_file.as_deref().map(backup::passphrase_of).transpose()?;
        let now_ms = self.clock.now_ms();
        let (place, found) = backup::back_up(turn, parts, dir, passphrase.as_ref(), site, now_ms, &mut |_, _| {})?;
        sound.push((place.clone(), now_ms));
        // Of each day the newest: who asks for one after the other loses none of an older day.
        let mut days = BTreeSet::new();
        for (old, made_ms) in sound.iter().rev() {
            if days.contains(&site.zone.day(*made_ms)) || days.len() >= self.keep {
                backup::remove_backup(old).map_err(|source| BackupError::File { path: old.clone(), source })?;
            }
            days.insert(site.zone.day(*made_ms));
        }
        Ok((place, found.report.events))
    }
}

/// On a thread of its own that gives way to all others. `None`: it could not be started, or it panicked.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        background::stand_behind(NICENESS);
        drop(done.send(work()));
    };
    std::thread::Builder::new().name("backup".to_owned()).spawn(run).ok()?;
    result.await.ok()
}
