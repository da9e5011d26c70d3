//! Events that were committed and that nobody has looked at yet: as bytes, for most of a flood is never shown.

use std::collections::VecDeque;

use crate::domain::event::Event;
use crate::feed::line::EventLine;
use crate::replication::log::{EventBytes, Run};

/// Events kept: more than are shown, so that the last one of each gate is among them.
const MAX_UNREAD: usize = 500;

/// The newest events, oldest first, and how many came before them.
#[derive(Debug, Default)]
pub struct Unread {
    events: VecDeque<EventBytes>,
    left_out: u64,
}

impl Unread {
    /// These runs are durable here.
    pub fn committed(&mut self, runs: &[Run]) {
        for run in runs {
            let skip = run.events.len().saturating_sub(MAX_UNREAD);
            self.events.extend(run.events.iter().skip(skip).cloned());
            let over = self.events.len().saturating_sub(MAX_UNREAD);
            self.events.drain(..over);
            self.left_out += (skip + over) as u64;
        }
    }

    /// Reads them: how many are left out, and the lines of those that came after. One that cannot be read is in quarantine, and
    /// counted there.
    pub fn read(&mut self) -> (u64, Vec<EventLine>) {
        let events = std::mem::take(&mut self.events);
        let lines = events.iter().filter_map(|event| Some(EventLine::of(&Event::parse(event).ok()?)));
        (std::mem::take(&mut self.left_out), lines.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CentralId, Epoch, LogId};
    use crate::replication::log::ChainHash;

    fn run(seqs: std::ops::RangeInclusive<usize>) -> Run {
        let log = LogId { central: CentralId::new("central-1").unwrap(), epoch: Epoch(1) };
        let bytes = |seq| {
            let place = format!(r#""log":"{log}","seq":{seq},"hlc":1"#);
            format!(
                r#"{{"type":"OF_TOMORROW","source_central":"central-1","timestamp":1,"event_id":null,"data":{{}},{place}}}"#
            )
        };
        let events = seqs.map(|seq| EventBytes::from(bytes(seq))).collect();
        Run { log: log.clone(), after: 0, prev: ChainHash([0; 32]), events, hash: ChainHash([0; 32]) }
    }

    #[test]
    fn of_a_flood_the_newest_are_read_and_the_others_counted() {
        let mut unread = Unread::default();
        unread.committed(&[run(1..=2), run(3..=MAX_UNREAD + 10)]);
        unread.committed(&[run(MAX_UNREAD + 11..=MAX_UNREAD + 12)]);
        let (left_out, lines) = unread.read();
        assert_eq!((left_out, lines.len()), (12, MAX_UNREAD));
        assert!(lines[0].id.ends_with("#13"), "{}", lines[0].id);
        assert!(lines[MAX_UNREAD - 1].id.ends_with(&format!("#{}", MAX_UNREAD + 12)));
        assert_eq!(unread.read(), (0, Vec::new()));
    }
}
