//! What the run before left in the directory, looked at before SQLite opens it: SQLite takes any log for the database's own, plays
//! back what it can read of it, and removes one that has no database, all without a word.
//!
//! A run marks the directory with the files it has open, and with that it closed them. A log is known by its files, and by the first of
//! the two numbers in its head: SQLite draws it for a new log and counts it up whenever that is written anew from its start. So the log of
//! another database is none, though it was written into the very file. Where there is no mark, the log is tried on a copy.
//!
//! Nothing here throws anything away: what is not used is put aside under a name of its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use log::{error, warn};
use rusqlite::Connection;

use super::directory::{DATABASE_FILE, DataDir, Mark};
use super::error::StoreError;
use super::files::{FileId, aside, index_of, log_of};
use super::{log_heads, schema};
use crate::domain::ids::LogId;

/// The head of a log, of a page in it, and a page with that, in bytes.
const LOG_HEAD_BYTES: u64 = 32;
const PAGE_BYTES: u64 = 4096;
const FRAME_BYTES: u64 = PAGE_BYTES + 24;
/// How a log begins, but for the last bit.
const LOG_MAGIC: u32 = 0x377f_0682;
/// A log starts over some times a second at most, and the mark is renewed once a second. One that was drawn anew is as near once in
/// some thousand times.
const MOST_LIVES: u32 = 1 << 20;
/// A power cut may leave a mark that is ahead of the log by a little.
const MOST_LIVES_AHEAD: u32 = 16;
/// Where a log is tried of which nobody knows whose it is.
const SCRATCH: &str = "recover-scratch";

/// What stands where the database and its log should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A whole database, with or without a log that belongs to it; or nothing yet.
    Usual,
    /// A log with something in it, and no database, or an empty one.
    LogAlone,
    /// The last run did not end in order, and its log is gone or empty.
    LogMissing,
    /// A log that is not the one the last run had beside this database.
    LogOfAnother,
    /// A log, and nothing that says for sure whose: a version before marks was killed, the mark was lost, or names another life of it.
    LogUnmarked,
}

/// Looks, and changes nothing.
///
/// # Errors
/// What the disk says.
pub(super) fn look(directory: &DataDir) -> Result<Left, StoreError> {
    let (database, log) = (directory.database(), log_of(&directory.database()));
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Directory { path, source }
    };
    let database_bytes = length(&database).map_err(unusable(&database))?;
    let log_bytes = length(&log).map_err(unusable(&log))?;
    if database_bytes == 0 {
        return Ok(if log_bytes > LOG_HEAD_BYTES { Left::LogAlone } else { Left::Usual });
    }
    let head = LogHead::of(&log).map_err(unusable(&log))?;
    let (marked_database, marked_log, marked_life) = match directory.mark() {
        Some(Mark::Open { database, log, life }) => (database, log, life),
        // After an end in order another program, or a version before marks, made one since, or somebody put one there. A head that is none
        // is no danger: SQLite reads nothing behind it.
        _ if log_bytes > LOG_HEAD_BYTES && head.is_some() => return Ok(Left::LogUnmarked),
        _ => return Ok(Left::Usual),
    };
    if log_bytes == 0 {
        return Ok(Left::LogMissing);
    }
    let inode = |path: &Path| FileId::at(path).map(|found| found.map(|id| id.inode)).map_err(unusable(path));
    let same_database = inode(&database)? == Some(marked_database);
    let same_log = inode(&log)? == Some(marked_log);
    // Both are other files where the whole directory was copied.
    if same_database != same_log {
        return Ok(Left::LogOfAnother);
    }
    // What the index says of the log it says of its own; and another program that emptied the log may have SQLite draw another number.
    let index = IndexSaid::of(&database);
    let is_sure = head.is_none_or(|head| index.is_some_and(|said| said.life == (head.life, head.draw)));
    let is_as_marked = head.is_none_or(|head| head.may_follow(marked_life, index));
    Ok(if is_sure || is_as_marked { Left::Usual } else { Left::LogUnmarked })
}

/// What the head of a log says that SQLite would take for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogHead {
    pub life: u32,
    draw: u32,
}

impl LogHead {
    /// `None`: there is no log, or its head is none, and SQLite reads nothing of it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn of(log: &Path) -> io::Result<Option<Self>> {
        let mut head = [0; 32];
        match File::open(log).and_then(|file| file.read_exact_at(&mut head, 0)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                return Ok(None);
            }
            read => read?,
        }
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        let words: Vec<u32> = head.chunks_exact(4).map(word).collect();
        let &[magic, version, page, checkpoints, life, draw, sum_0, sum_1] = words.as_slice() else { return Ok(None) };
        // The last bit of the first word says in which order of bytes it is summed.
        let order = |word: u32| if magic & 1 == 1 { word } else { word.swap_bytes() };
        let mut sums = (0_u32, 0_u32);
        for pair in [[magic, version], [page, checkpoints], [life, draw]] {
            let [one, other] = pair.map(order);
            sums.0 = sums.0.wrapping_add(one).wrapping_add(sums.1);
            sums.1 = sums.1.wrapping_add(other).wrapping_add(sums.0);
        }
        let is_head = magic & !1 == LOG_MAGIC && sums == (sum_0, sum_1);
        Ok(is_head.then_some(Self { life, draw }))
    }

    /// Whether this may be the log of a run that marked `marked`.
    pub fn may_be_of(self, marked: u32) -> bool {
        let since = self.life.wrapping_sub(marked);
        since < MOST_LIVES || since.wrapping_neg() < MOST_LIVES_AHEAD
    }

    /// Whether the log may have started over since it had that head: SQLite counts its lives up.
    pub fn is_later_than(self, seen: Self) -> bool {
        (1..MOST_LIVES).contains(&self.life.wrapping_sub(seen.life))
    }

    /// As [`Self::may_be_of`], where the index of that run said this.
    fn may_follow(self, marked: Option<u32>, index: Option<IndexSaid>) -> bool {
        let is_older = index.is_some_and(|said| {
            let behind = said.life.0.wrapping_sub(self.life);
            // It may be one ahead: it is counted up first, and then the head is written.
            (2..MOST_LIVES).contains(&behind)
        });
        marked.is_none_or(|marked| self.may_be_of(marked)) && !is_older
    }
}

/// What earlier rescues left beside the database that may hold what is nowhere else, by how its name begins, and what to do.
const LEFTOVERS: [(&str, &str); 6] = [
    (
        "central.db.damaged",
        "it is the database as it was when pages of it could not be read, and the one in use was written from it: once a check of that \
         one says OK and nothing is missed, remove it",
    ),
    (
        "accounts.json.damaged",
        "it held the people and tokens of this central and could not be read: once those who may come in are entered anew, remove it",
    ),
    (
        "central.db.rescued",
        "it is a copy of the database that was in use when another file was put in its place: if that other one is the right one, \
         remove the copy; else stop, move central.db away and give the copy that name",
    ),
    (
        "central.db-wal.foreign",
        "it is the log of another database and was not played back: if what was written last is all there, remove it; else put back \
         the database it belongs to, with it as central.db-wal beside it",
    ),
    (
        "central.db-wal.damaged",
        "it is a log that could not be read to its end: if the cars of that time are all there, or came back from the other \
         centrals, remove it",
    ),
    (
        "central.db-wal.recovered",
        "it is the log from which the database, which was gone, was made anew: if the cars inside are those of this central, remove it; else \
         stop, move central.db away and give the log the name central.db-wal",
    ),
];

/// What lies there since an earlier rescue and waits for a person: for people, one line each.
pub(super) fn leftovers(directory: &DataDir) -> Vec<String> {
    let names = fs::read_dir(directory.path()).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let told = |name: &String| {
        let (_, what) = LEFTOVERS.iter().find(|(begins, _)| name.starts_with(begins))?;
        let file = directory.path().join(name).display().to_string();
        warn!(event = "leftover", file = file.as_str(); "an earlier rescue left a file that waits for a person");
        Some(format!("{file}: {what}"))
    };
    names.iter().filter_map(told).collect()
}

/// Makes the directory one that can be opened, and tells what that took: for people, one line each.
///
/// # Errors
/// [`StoreError::LogAlone`] where only a person can decide; what the disk says.
pub(super) fn settle(directory: &DataDir) -> Result<Vec<String>, StoreError> {
    let log = log_of(&directory.database());
    let log_name = log.display().to_string();
    let mut left = look(directory)?;
    let mut in_doubt = Vec::new();
    if left == Left::LogUnmarked {
        let whose = whose_log(directory);
        left = if whose == Whose::Anothers { Left::LogOfAnother } else { Left::Usual };
        if whose == Whose::Unknown {
            in_doubt.push(format!(
                "nothing says for sure that {log_name} is the log of this database, which held nothing without it: it was played back. If the \
                 cars inside are not those of this central, stop, move the data directory away and start: what the other centrals hold returns"
            ));
        }
    }
    // What SQLite makes of the log from here on is this run's, which the mark of the last one does not know.
    if left != Left::Usual || directory.mark() == Some(Mark::Closed) {
        drop(directory.put_mark(Mark::Opening));
    }
    match left {
        Left::Usual | Left::LogUnmarked => Ok(in_doubt),
        Left::LogMissing => {
            let told = format!(
                "{log_name} is missing or empty, and the last run did not end in order: unless another program has opened the \
                 database since, what was acknowledged last is not in it; what the other centrals hold returns from them"
            );
            error!(event = "log_missing", file = log_name.as_str(); "the log of the database is gone: what was acknowledged last may be missing");
            Ok(vec![told])
        }
        Left::LogOfAnother => {
            let kept = put_aside(directory, &log, "foreign")?;
            let told = format!(
                "{log_name} is not the log of this database: it lies as {} and was not played back; if the database was put back \
                 from a backup all is well, else what was acknowledged last may be missing: put back the right log or database; what \
                 the other centrals hold returns from them",
                kept.display()
            );
            let kept = kept.display().to_string();
            error!(event = "log_foreign", file = log_name.as_str(), kept = kept.as_str(); "the log is not the one of this database: put aside");
            Ok(vec![told])
        }
        Left::LogAlone => {
            let kept = recover(directory).map_err(|reason| StoreError::LogAlone { path: log.clone(), reason })?;
            let told = format!(
                "the database was missing or empty and was made anew from its log, which held all of it and lies as {}",
                kept.display()
            );
            let kept = kept.display().to_string();
            error!(event = "database_recovered", kept = kept.as_str(); "the database was gone: made anew from its log, which held all of it");
            Ok(vec![told])
        }
    }
}

/// Whose a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Anothers,
    /// Played back: nothing that was acknowledged is put aside in doubt.
    Unknown,
}

/// Whose a log is of which no mark says it, tried on copies: it is another's if the database is whole alone, and with it is not or lacks an
/// event. With a database that holds nothing yet any log goes together: then it is another's only if the last run marked another life.
fn whose_log(directory: &DataDir) -> Whose {
    let (database, scratch) = (directory.database(), directory.path().join(SCRATCH));
    let log = log_of(&database);
    warn!(event = "log_unmarked", file = log.display().to_string(); "nothing says for sure whose log this is: it is tried on a copy of the database");
    drop(fs::remove_dir_all(&scratch));
    let of_mark = |head: Option<LogHead>| match (directory.mark(), head) {
        (Some(Mark::Open { life: Some(marked), .. }), Some(head)) if !head.may_be_of(marked) => Whose::Anothers,
        _ => Whose::Unknown,
    };
    let tried = || -> io::Result<Whose> {
        let made = scratch.join(DATABASE_FILE);
        fs::create_dir(&scratch)?;
        fs::copy(&database, &made)?;
        let Tried::Whole(alone) = Tried::of(&made) else { return Ok(Whose::Ours) };
        for left in [log_of(&made), index_of(&made)] {
            drop(fs::remove_file(left));
        }
        fs::copy(&database, &made)?;
        fs::copy(&log, log_of(&made))?;
        Ok(match Tried::of(&made) {
            Tried::Whole(_) if alone.is_empty() => of_mark(LogHead::of(&log)?),
            Tried::Whole(both) if alone.iter().all(|(log, to)| both.get(log).is_some_and(|held| held >= to)) => {
                Whose::Ours
            }
            Tried::Newer => Whose::Ours,
            Tried::Whole(_) | Tried::Broken => Whose::Anothers,
        })
    };
    let result = tried();
    drop(fs::remove_dir_all(&scratch));
    result.unwrap_or(Whose::Ours)
}

/// What a copy of a database is, with its write-ahead log if it has one.
enum Tried {
    /// Up to where it holds each log of events.
    Whole(HashMap<LogId, u64>),
    /// Of a program newer than this one, which cannot read more of it.
    Newer,
    Broken,
}

impl Tried {
    fn of(database: &Path) -> Self {
        Self::opened(database).unwrap_or(Self::Broken)
    }

    fn opened(database: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(database)?;
        let version = schema::check_version(&connection, database);
        if let Err(StoreError::NewerVersion { .. }) = version {
            return Ok(Self::Newer);
        }
        let mut statement = connection.prepare("PRAGMA quick_check")?;
        let said: Vec<String> = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
        // A value of another kind than its table has says nothing of the log.
        if !said.iter().all(|said| said == "ok" || said.contains(" value in ")) {
            return Ok(Self::Broken);
        }
        let logs = if version? == 0 { Vec::new() } else { log_heads::read(&connection)?.logs };
        Ok(Self::Whole(logs.into_iter().map(|known| (known.log, known.head.to)).collect()))
    }
}

/// The database, made anew of a log that holds all of its pages; where the log lies now. A log that was begun anew since the
/// database was made lacks what was copied before.
fn recover(directory: &DataDir) -> Result<PathBuf, String> {
    let result = made_of_log(directory).and_then(|renames| {
        drop(fs::remove_file(index_of(&directory.database())));
        for (from, to) in &renames {
            rename(directory, from, to).map_err(|error| error.to_string())?;
        }
        let [_, (_, kept)] = renames;
        Ok(kept)
    });
    drop(fs::remove_dir_all(directory.path().join(SCRATCH)));
    result
}

/// Makes it beside, and gives what gets which name in the end, in this order: after a power cut between them the database is there, and the
/// log is tried on it once more.
pub(super) fn made_of_log(directory: &DataDir) -> Result<[(PathBuf, PathBuf); 2], String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let (database, scratch) = (directory.database(), directory.path().join(SCRATCH));
    let log = log_of(&database);
    drop(fs::remove_dir_all(&scratch));
    fs::create_dir(&scratch).map_err(|error| said(&error))?;
    let made = scratch.join(DATABASE_FILE);
    fs::copy(&log, log_of(&made)).map_err(|error| said(&error))?;
    // One empty page: SQLite then takes the log for its own, and each page that is not in there for damage.
    let page = vec![0; usize::try_from(PAGE_BYTES).unwrap_or(4096)];
    fs::write(&made, page).map_err(|error| said(&error))?;
    let connection = Connection::open(&made).map_err(|error| said(&error))?;
    let version = schema::check_version(&connection, &made).map_err(|error| said(&error))?;
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(|error| said(&error))?;
    if version == 0 || check != "ok" {
        return Err(format!("it does not hold all of the database ({check})"));
    }
    // A close that cannot copy all of it into the database says nothing.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).map_err(|error| said(&error))?;
    connection.close().map_err(|(_, error)| said(&error))?;
    let kept = aside(&log, "recovered");
    Ok([(made, database), (log, kept)])
}

fn put_aside(directory: &DataDir, path: &Path, word: &str) -> Result<PathBuf, StoreError> {
    let kept = aside(path, word);
    rename(directory, path, &kept)?;
    Ok(kept)
}

fn rename(directory: &DataDir, from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| StoreError::Directory { path: to.to_owned(), source })?;
    directory.sync()
}

/// What the index of the log said when its run ended: SQLite writes it after the log is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexSaid {
    /// Pages in the log.
    frames: u64,
    life: Life,
}

/// Which writing of the log from its start it is: SQLite counts the first number up, and draws the second.
type Life = (u32, u32);

impl IndexSaid {
    /// Read before SQLite opens the index: whoever closes it afterwards drops SQLite's locks.
    pub fn of(database: &Path) -> Option<Self> {
        let index = File::open(index_of(database)).ok()?;
        let mut heads = [0; 96];
        index.read_exact_at(&mut heads, 0).ok()?;
        let (head, copy) = heads.split_at(48);
        let native = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let big = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
        (head == copy && head.get(12) == Some(&1)).then_some(())?;
        Some(Self { frames: native(16)?.into(), life: (big(32)?, big(36)?) })
    }
}

/// What of a log SQLite could not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct UnreadLog {
    seen: u64,
    /// Some of it was acknowledged. Else it is one transaction, which a power cut cut off before anybody was answered.
    pub is_certain: bool,
}

impl UnreadLog {
    /// How many, for people.
    pub fn transactions(self) -> String {
        match self.seen {
            0 | 1 => "at least one transaction".to_owned(),
            several => format!("{several} transactions"),
        }
    }
}

/// What of the log SQLite could not read, of a connection that has just read it in. `index`: what that said before.
///
/// # Errors
/// What the disk says.
pub(super) fn unread(
    connection: &Connection,
    database: &Path,
    index: Option<IndexSaid>,
) -> Result<UnreadLog, StoreError> {
    let read: i64 = connection.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1))?;
    let path = log_of(database);
    unread_of(&path, u64::try_from(read).unwrap_or(0), index).map_err(|source| StoreError::Directory { path, source })
}

fn unread_of(path: &Path, read: u64, index: Option<IndexSaid>) -> io::Result<UnreadLog> {
    let log = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(UnreadLog::default()),
        opened => opened?,
    };
    let bytes = log.metadata()?.len();
    if bytes < LOG_HEAD_BYTES {
        return Ok(UnreadLog::default());
    }
    let life_at = |at: u64| Ok::<Life, io::Error>((read_number(&log, at)?, read_number(&log, at + 4)?));
    let life = life_at(16)?;
    let follows = |before: Life| before.0.wrapping_add(1) == life.0;
    let is_short = |said: IndexSaid| said.frames > read && (said.life == life || (read == 0 && !follows(said.life)));
    let frames = (bytes - LOG_HEAD_BYTES) / FRAME_BYTES;
    let mut seen = 0;
    if frames > 0 {
        // Where the head is damaged, its first page says which life of the log this is. A log that has just started over has
        // the pages of its life before, all of which are in the database, below a new head.
        let first = life_at(LOG_HEAD_BYTES + 8)?;
        for frame in read..frames {
            let at = LOG_HEAD_BYTES + frame * FRAME_BYTES;
            let its_life = life_at(at + 8)?;
            let is_now = its_life == life || (its_life == first && !follows(first));
            // The last page of a transaction says how large the database is then.
            seen += u64::from(is_now && read_number(&log, at + 4)? != 0);
        }
    }
    Ok(UnreadLog { seen, is_certain: seen > 1 || index.is_some_and(is_short) })
}

/// Keeps a copy of a log that could not be read to its end, and tells of it: it is written over from there on.
///
/// # Errors
/// What the disk says.
pub(super) fn keep_unread(
    connection: &Connection,
    directory: &DataDir,
    index: Option<IndexSaid>,
) -> Result<Option<String>, StoreError> {
    let unread = unread(connection, &directory.database(), index)?;
    if unread == UnreadLog::default() {
        return Ok(None);
    }
    let log = log_of(&directory.database());
    let kept = aside(&log, if unread.is_certain { "damaged" } else { "torn" });
    fs::copy(&log, &kept).map_err(|source| StoreError::Directory { path: kept.clone(), source })?;
    // A new life: what could not be read is not counted again.
    drop(directory.put_mark(Mark::Opening));
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    let kept = kept.display().to_string();
    if !unread.is_certain {
        warn!(event = "log_torn", kept = kept.as_str(); "the last transaction in the log is incomplete: a power cut came before it was answered");
        return Ok(None);
    }
    let transactions = unread.transactions();
    error!(event = "log_damaged", lost = transactions.as_str(), kept = kept.as_str(); "the log of the database is damaged: what was acknowledged last is missing");
    Ok(Some(format!(
        "the log of the database is damaged: {transactions} at its end could not be read; it lies as {kept}; what the other centrals \
         hold returns from them"
    )))
}

fn read_number(file: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_be_bytes(bytes))
}

/// Bytes of a file; 0 where there is none.
fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => Ok(found?.len()),
    }
}
