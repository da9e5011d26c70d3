//! What an auditor is given: the events of some days as they were written, what became of each exit, and the sums, in one file that
//! a program of somebody else can check (`config/audit/check_export.py`).
//!
//! Docs: operations.md, *For an auditor*.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Progress, RebuildFor, must_exist};
use crate::domain::event::{Body, Event, type_name};
use crate::domain::ids::{FactId, LogId};
use crate::domain::time::is_date;
use crate::replication::log::{EventBytes, Head};
use crate::store::StoreError;
use crate::store::directory::DATABASE_FILE;
use crate::store::reader::{Reader, Takings, ToldExit};

/// Of the file: it grows by new kinds of records and new fields.
const FORMAT: u32 = 1;
const FILE_MODE: u32 = 0o600;
const EVENTS_AT_ONCE: u64 = 1_000;
/// An exit is told by a clock that is at most so much before that of its event; if the sums say otherwise, whole logs are taken.
const MARGIN_MS: i64 = 86_400_000;

/// Days of the site, `YYYY-MM-DD`, both included.
#[derive(Debug, Clone)]
pub struct Days {
    pub from: String,
    pub to: String,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    pub events: u64,
    pub exits: u64,
    /// Exits that count.
    pub counted: u64,
    /// VND.
    pub revenue: i64,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{0:?} is no day: write it like 2026-11-30")]
    Day(String),
    #[error("{from} is after {to}: the first day is --from, the last one --to")]
    Order { from: String, to: String },
    #[error("{0} is not over yet: its cars are still leaving; take the days up to yesterday")]
    NotOver(String),
    #[error("{} is there already: name a new file", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {source}; free some space, or name a place this user may write to", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{0} events wait to be counted: try again in a moment, with the central running")]
    Uncounted(u64),
    #[error(
        "the exits of these days sum to {of_exits} đ, and the history says {of_history} đ: if events of these days arrive right now, try again; else run `parkmesh verify`"
    )]
    Differs { of_exits: i64, of_history: i64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One line of the file.
#[derive(Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record<'r> {
    Export {
        format: u32,
        parkmesh: &'r str,
        central: String,
        from: &'r str,
        to: &'r str,
        /// The days, Unix ms: from the one until before the other.
        start_ms: i64,
        end_ms: i64,
        time_zone: &'r str,
        made_ms: i64,
    },
    /// The events after `after`, whose hash is `prev`, up to `to`, whose hash is `hash`, follow one by one.
    Log {
        log: String,
        after: u64,
        prev: String,
        to: u64,
        hash: String,
    },
    Event {
        seq: u64,
        bytes: &'r str,
        hash: String,
    },
    /// The event that set the prices of some of the exits, with the hash before it and its own.
    PriceList {
        version: String,
        prev: String,
        hash: String,
        bytes: &'r str,
    },
    Exit(&'r ToldExit),
    Sum(&'r Takings),
    End {
        events: u64,
        exits: u64,
        counted: u64,
        revenue: i64,
    },
}

/// Writes the file of some days that are over, of a central that runs or not. `now_ms`: the wall clock.
///
/// # Errors
/// [`ExportError`]; the file is then not there.
pub fn export(
    data_dir: &Path,
    site: &RebuildFor,
    days: &Days,
    file: &Path,
    now_ms: i64,
    progress: Progress<'_>,
) -> Result<Exported, ExportError> {
    let start = |day: &String| match site.zone.parse_local_text(&format!("{day} 00:00:00")) {
        Ok(ms) if is_date(day) => Ok(site.zone.day_bounds_ms(ms)),
        _ => Err(ExportError::Day(day.clone())),
    };
    let (span_ms, last_ms) = (start(&days.from)?, start(&days.to)?);
    if span_ms.0 > last_ms.0 {
        return Err(ExportError::Order { from: days.from.clone(), to: days.to.clone() });
    }
    if last_ms.1 > now_ms {
        return Err(ExportError::NotOver(days.to.clone()));
    }
    must_exist(data_dir)?;
    if file.exists() {
        return Err(ExportError::Exists(file.to_owned()));
    }
    let mut reader = Reader::open(data_dir)?;
    let waiting = reader.uncounted(&data_dir.join(DATABASE_FILE))?;
    if waiting > 0 {
        return Err(ExportError::Uncounted(waiting));
    }
    let span = ExportSpan { days, start_ms: span_ms.0, end_ms: last_ms.1 };
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let failed = |source| ExportError::File { path: partial.clone(), source };
    let mut tried = Err(ExportError::Differs { of_exits: 0, of_history: 0 });
    for since_ms in [span.start_ms - MARGIN_MS, i64::MIN] {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&partial);
        let mut out = ExportFile { to: BufWriter::new(opened.map_err(failed)?), path: &partial };
        tried = write(&mut reader, site, &span, since_ms, now_ms, &mut out, progress);
        match &tried {
            Ok(_) => {
                let written = out.to.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
                written.sync_all().and_then(|()| fs::rename(&partial, file)).map_err(failed)?;
                return tried;
            }
            Err(ExportError::Differs { .. }) => {}
            Err(_) => break,
        }
    }
    // What is left of it is of no use; if it cannot be removed, the next try overwrites it.
    let _ = fs::remove_file(&partial);
    tried
}

struct ExportSpan<'d> {
    days: &'d Days,
    start_ms: i64,
    end_ms: i64,
}

struct ExportFile<'p> {
    to: BufWriter<fs::File>,
    path: &'p Path,
}

impl ExportFile<'_> {
    fn put(&mut self, record: &Record<'_>) -> Result<(), ExportError> {
        let written = serde_json::to_writer(&mut self.to, record).map_err(io::Error::from);
        let written = written.and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|source| ExportError::File { path: self.path.to_owned(), source })
    }
}

fn write(
    reader: &mut Reader,
    site: &RebuildFor,
    span: &ExportSpan<'_>,
    since_ms: i64,
    now_ms: i64,
    out: &mut ExportFile<'_>,
    progress: Progress<'_>,
) -> Result<Exported, ExportError> {
    out.put(&Record::Export {
        format: FORMAT,
        parkmesh: env!("CARGO_PKG_VERSION"),
        central: site.central.to_string(),
        from: &span.days.from,
        to: &span.days.to,
        start_ms: span.start_ms,
        end_ms: span.end_ms,
        time_zone: site.zone.name(),
        made_ms: now_ms,
    })?;
    let mut done = Exported::default();
    let (mut exits, mut versions) = (Vec::new(), BTreeSet::new());
    let mut heads = reader.heads()?;
    heads.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (log, head) in heads {
        let after = if since_ms == i64::MIN { 0 } else { reader.events_before(&log, head.to, since_ms)? };
        write_log(reader, &log, after, &head, out, &mut |seq, bytes| {
            done.events += 1;
            let Some(event) = exit(bytes).filter(|event| (span.start_ms..span.end_ms).contains(&event.timestamp_ms))
            else {
                return;
            };
            if let Body::Exit(exit) = &event.body {
                versions.extend(exit.tariff_version.clone());
            }
            exits.push((log.clone(), seq, event));
        })?;
    }
    for version in &versions {
        write_price_list(reader, version, out)?;
    }
    let total = u64::try_from(exits.len()).unwrap_or(u64::MAX);
    for (log, seq, event) in &exits {
        let Some(told) = reader.told_exit(log, *seq, event)? else { continue };
        done.exits += 1;
        if let Some(counted) = &told.counts {
            done.counted += 1;
            done.revenue += counted.revenue;
        }
        out.put(&Record::Exit(&told))?;
        progress(done.exits, total);
    }
    let sums = reader.takings(span.start_ms, span.end_ms)?;
    for sum in &sums {
        out.put(&Record::Sum(sum))?;
    }
    let of_history: i64 = sums.iter().map(|sum| sum.revenue).sum();
    if of_history != done.revenue || sums.iter().map(|sum| sum.exits).sum::<i64>() != done.counted.cast_signed() {
        return Err(ExportError::Differs { of_exits: done.revenue, of_history });
    }
    let Exported { events, exits, counted, revenue } = done;
    out.put(&Record::End { events, exits, counted, revenue })?;
    Ok(done)
}

/// The event, if it is one that money can be taken at; cheap for all others.
fn exit(bytes: &str) -> Option<Event> {
    let may_be = bytes.contains(type_name::EXIT) || bytes.contains(type_name::UNREAD);
    let event = may_be.then(|| Event::parse(bytes).ok()).flatten()?;
    matches!(event.body, Body::Exit(_) | Body::Unread(_)).then_some(event)
}

fn write_log(
    reader: &mut Reader,
    log: &LogId,
    after: u64,
    head: &Head,
    out: &mut ExportFile<'_>,
    each: &mut dyn FnMut(u64, &EventBytes),
) -> Result<(), ExportError> {
    let Some(prev) = reader.hash_at(log, after)? else { return Ok(()) };
    if after == head.to {
        return Ok(());
    }
    out.put(&Record::Log {
        log: log.to_string(),
        after,
        prev: prev.to_string(),
        to: head.to,
        hash: head.hash.to_string(),
    })?;
    let mut at = after;
    loop {
        let written = reader.written(log, at, EVENTS_AT_ONCE.min(head.to - at))?;
        let Some((last, ..)) = written.last() else { return Ok(()) };
        at = *last;
        for (seq, bytes, hash) in &written {
            out.put(&Record::Event { seq: *seq, bytes, hash: hash.to_string() })?;
            each(*seq, bytes);
        }
    }
}

fn write_price_list(reader: &mut Reader, version: &str, out: &mut ExportFile<'_>) -> Result<(), ExportError> {
    let Ok(FactId::Authored { log, seq }) = version.parse() else { return Ok(()) };
    let Some(before) = seq.checked_sub(1) else { return Ok(()) };
    let (prev, written) = (reader.hash_at(&log, before)?, reader.written(&log, before, 1)?);
    let (Some(prev), Some((_, bytes, hash))) = (prev, written.first()) else { return Ok(()) };
    let (prev, hash) = (prev.to_string(), hash.to_string());
    out.put(&Record::PriceList { version: version.to_owned(), prev, hash, bytes })
}
