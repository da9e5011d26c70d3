//! What a predecessor says over one link: a frame per line.

use parkmesh::domain::ids::{CentralId, Epoch};
use parkmesh::domain::time::SiteZone;
use parkmesh::ledger::job::{Answer, CorrectStay, Job, Told, VoidStay};
use parkmesh::ledger::memory::MemoryStorage;
use parkmesh::ledger::transaction::TransactionTime;
use parkmesh::ledger::{Context, Ledger};
use parkmesh::legacy::dialect::Dialect;
use parkmesh::legacy::peer::{LegacyOutput, LegacyPeer};

const NOW_MS: i64 = 1_733_140_800_000;

/// Whatever it says, the ledger writes it down or refuses it; what it says again is known.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let dialect = if text.len() % 2 == 0 { Dialect::V1 } else { Dialect::V2 };
    let own = CentralId::new("central-1").expect("an id");
    let context = Context { central: own.clone(), zone: SiteZone::default() };
    let mut ledger = Ledger::open(MemoryStorage::default(), context).expect("an empty ledger");
    let mut link = LegacyPeer::new(own, SiteZone::default(), dialect, Vec::new(), None, 0);
    let mut events = Vec::new();
    for _ in 0..2 {
        for line in text.lines() {
            for output in link.heard(line, NOW_MS) {
                act(&mut ledger, output);
            }
        }
        events.push(ledger.events());
        ledger.reopen().expect("what was committed can be read");
    }
    // A change of a stay is an event each time it is told, by a frame or by a row that differs; entries and exits are not.
    let rows = text.matches("SYNC_RESPONSE").count();
    if !text.contains("HISTORY_") && rows < 2 {
        assert_eq!(events[0], events[1], "said twice, written twice: {text}");
    }
}

fn act(ledger: &mut Ledger<MemoryStorage>, output: LegacyOutput) {
    let reason = "changed there".to_owned();
    let job = match output {
        LegacyOutput::Hear(statements) => {
            let told = statements.into_iter().map(|statement| Told {
                draft: statement.draft,
                source_central: statement.source_central,
                from: "central-2".to_owned(),
            });
            Job::Hear(told.collect())
        }
        LegacyOutput::Change { stay_id, corrected: None } => Job::Void(VoidStay { stay_id, reason }),
        LegacyOutput::Change { stay_id, corrected: Some((plate, view)) } => Job::Correct(CorrectStay {
            stay_id,
            plate: Some(plate),
            plate_view: Some(view),
            reason,
            ..CorrectStay::default()
        }),
        LegacyOutput::Send(_) | LegacyOutput::Unusable(_) | LegacyOutput::Told(_) => return,
    };
    let count = if let Job::Hear(told) = &job { told.len() } else { 0 };
    let mut done =
        ledger.process(vec![job], TransactionTime { wall_ms: NOW_MS, skew_ms: None, clock_wrong: false }, Epoch(1));
    assert_eq!(done.failure, None);
    if let Some(Ok(Answer::Heard(hearings))) = done.outcomes.pop() {
        assert_eq!(hearings.len(), count, "an answer to everything that was said");
    }
}
