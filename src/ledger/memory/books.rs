//! What a [`MemoryStorage`] keeps of shifts and money.

use crate::domain::event::Event;
use crate::domain::ids::{FactId, LogId};
use crate::domain::row::StayStatus;
use crate::ledger::sheet::{Books, ChangeLine, Span, TakingLine};
use crate::ledger::storage::{EventRef, Shift};

use super::{MemoryError, MemoryStorage};

/// What a correction or void changes, each with who says so.
pub(super) fn lines(at: &EventRef, event: &Event) -> Vec<(String, ChangeLine<LogId>)> {
    let by = event.person().unwrap_or_default();
    let line = |money: &crate::domain::shift::MoneyChange| ChangeLine {
        place: (at.log.clone(), at.seq),
        at_ms: event.timestamp_ms,
        central: money.central.clone(),
        edge_id: money.edge_id.clone(),
        exit_ms: money.exit_ms,
        taken_by: money.taken_by.clone(),
        method: money.method.clone(),
        exit: place(&money.exit),
        change: money.change(),
    };
    event.money().iter().map(|money| (by.to_owned(), line(money))).collect()
}

fn place(fact: &FactId) -> Option<(LogId, u64)> {
    match fact {
        FactId::Authored { log, seq } => Some((log.clone(), *seq)),
        FactId::Heard(_) => None,
    }
}

fn holds((from_ms, until_ms): Span, at_ms: i64) -> bool {
    (from_ms..until_ms).contains(&at_ms)
}

impl Books for MemoryStorage {
    type Error = MemoryError;
    type Log = LogId;

    fn log(&mut self, log: LogId) -> Result<LogId, MemoryError> {
        Ok(log)
    }

    fn next_from_ms(&mut self, central: &str, edge_id: &str, after_ms: i64) -> Result<Option<i64>, MemoryError> {
        let of_gate = |shift: &&Shift| shift.central == central && shift.edge_id == edge_id && shift.opened.is_some();
        let begun = self.shifts.values().filter(of_gate).map(|shift| shift.from_ms);
        Ok(begun.filter(|from_ms| *from_ms > after_ms).min())
    }

    fn shifts_of(&mut self, person: &str, (from_ms, until_ms): Span) -> Result<Vec<Shift>, MemoryError> {
        let is_his = |shift: &&Shift| shift.opened.as_ref().is_some_and(|opened| opened.person == person);
        let within = |shift: &&Shift| shift.from_ms > from_ms && shift.from_ms < until_ms;
        Ok(self.shifts.values().filter(is_his).filter(within).cloned().collect())
    }

    fn entries(&mut self, central: &str, edge_id: &str, within: Span) -> Result<i64, MemoryError> {
        let counts = self.stays.values().map(|stored| &stored.row).filter(|row| {
            let was_inside = matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen);
            was_inside && !row.is_exit_alone() && row.source_central == central && row.edge_id == edge_id
        });
        Ok(i64::try_from(counts.filter(|row| holds(within, row.entry_ms)).count()).unwrap_or(i64::MAX))
    }

    fn takings(
        &mut self,
        central: &str,
        edge_id: &str,
        within: Span,
        each: &mut dyn FnMut(TakingLine<'_, LogId>),
    ) -> Result<(), MemoryError> {
        let of_gate = self.takings.values().filter(|taking| taking.central == central && taking.edge_id == edge_id);
        for taking in of_gate.filter(|taking| holds(within, taking.exit_ms)) {
            each(TakingLine {
                exit_ms: taking.exit_ms,
                taken_by: &taking.told_apart.by,
                method: &taking.told_apart.method,
                camera_type: &taking.told_apart.camera_type,
                fee: taking.fee.0,
                place: place(&taking.fact),
            });
        }
        Ok(())
    }

    fn changes_by(&mut self, person: &str, within: Span) -> Result<Vec<ChangeLine<LogId>>, MemoryError> {
        let his = self.money.values().flatten().filter(|(by, _)| by == person);
        Ok(his.map(|(_, line)| line).filter(|line| holds(within, line.at_ms)).cloned().collect())
    }

    fn changes_at(
        &mut self,
        central: &str,
        edge_id: &str,
        within: Span,
    ) -> Result<Vec<ChangeLine<LogId>>, MemoryError> {
        let lines = self.money.values().flatten().map(|(_, line)| line);
        let of_gate = lines.filter(|line| line.central == central && line.edge_id == edge_id);
        Ok(of_gate.filter(|line| holds(within, line.exit_ms)).cloned().collect())
    }
}
