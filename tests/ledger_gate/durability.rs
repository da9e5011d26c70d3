//! Only what is on disk was answered, and only that is remembered.

use parkmesh::domain::event::Body;
use parkmesh::ledger::job::{Answer, Job, Refusal};

use crate::ledger_support::check::check;
use crate::ledger_support::*;

#[test]
fn a_failed_commit_leaves_no_trace_and_answers_every_job() {
    for (fail_commit, writes) in [(true, None), (false, Some(0)), (false, Some(3)), (false, Some(9))] {
        let mut central = Central::new(0);
        let inside = central.enters(entry("edge-1", Q));
        let (heads, digest) = (central.heads(), central.ledger.digest());
        let storage = central.ledger.storage_mut();
        storage.fail_next_commit = fail_commit;
        storage.writes_until_failure = writes;
        let jobs = || {
            let refused = Job::Open(entry("edge-2", Q));
            vec![
                Job::Open(requested("r1", entry("edge-1", P))),
                refused,
                Job::PutSubscriptions(vec![super::money::subscription("s1", P, "")]),
                Job::Open(exit("edge-1", Q)),
            ]
        };
        let done = central.process(jobs());
        assert!(done.committed.is_empty() && done.failure.is_some(), "{writes:?}");
        assert_eq!(done.outcomes.len(), 4);
        assert!(done.outcomes.iter().all(|outcome| matches!(outcome, Err(Refusal::NotDurable(_)))), "{done:?}");
        assert_eq!((central.heads(), central.ledger.digest()), (heads, digest));
        assert!(central.ledger.settings().has_no_subscriptions());
        let open: Vec<_> = central.ledger.inside().map(|(plate, open)| open.stay_id(plate)).collect();
        assert_eq!(open, [inside]);
        check(&mut central);

        let done = central.process(jobs());
        assert!(matches!(done.outcomes[0], Ok(Answer::Entered { repeated: false, .. })), "{done:?}");
        assert!(matches!(done.outcomes[1], Err(Refusal::AlreadyInside(_))));
        assert!(matches!(done.outcomes[3], Ok(Answer::Exited { repeated: false, .. })));
        check(&mut central);
    }
}

#[test]
fn a_disk_that_cannot_even_begin_is_answered_too() {
    let mut central = Central::new(0);
    // A transaction somebody else left open.
    parkmesh::ledger::storage::Storage::begin(central.ledger.storage_mut()).unwrap();
    assert!(matches!(central.press(entry("edge-1", P)), Err(Refusal::NotDurable(_))));
    central.ledger.storage_mut().crash();
    central.enters(entry("edge-1", P));
    check(&mut central);
}

#[test]
fn the_jobs_of_a_batch_see_those_before_them() {
    let mut central = Central::new(0);
    let done = central.process(vec![
        Job::Open(entry("edge-1", P)),
        Job::Open(entry("edge-1", P)),
        Job::Open(entry("edge-2", P)),
        close("edge-1", P),
        close("edge-1", P),
        Job::Open(exit("edge-2", P)),
        Job::Open(exit("edge-1", P)),
        Job::Open(requested("r1", entry("edge-3", P))),
        Job::Open(requested("r1", entry("edge-3", P))),
        Job::Open(forced(entry("edge-4", P))),
    ]);
    let expected = |index: usize, outcome: &Result<Answer, Refusal>| match (index, outcome) {
        (0 | 7 | 9, Ok(Answer::Entered { repeated, .. })) => !repeated,
        (1 | 8, Ok(Answer::Entered { repeated, .. })) => *repeated,
        (2, Err(Refusal::AlreadyInside(_))) | (6, Err(Refusal::NotInside(_))) => true,
        (3, Ok(Answer::Closed { confirmed, .. })) => *confirmed,
        (4, Ok(Answer::Closed { confirmed, .. })) => !confirmed,
        (5, Ok(Answer::Exited { repeated, .. })) => !repeated,
        _ => false,
    };
    for (index, outcome) in done.outcomes.iter().enumerate() {
        assert!(expected(index, outcome), "{index}: {outcome:?}");
    }
    // One log, one run, in order.
    let [run] = done.committed.as_slice() else { panic!("{:?}", done.committed) };
    assert_eq!((run.after, run.events.len()), (0, 5));
    assert!(run.chain_holds());
    let mut ids: Vec<_> = central.rows().into_iter().map(|row| row.stay_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "three entries in one millisecond have three ids");
    check(&mut central);
}

#[test]
fn every_process_writes_a_log_of_its_own() {
    let mut central = Central::new(0);
    central.enters(entry("edge-1", P));
    let first = central.ledger.own_log().cloned().unwrap();
    let mut central = central.restart();
    assert_eq!(central.ledger.own_log(), None);
    central.exits(exit("edge-1", P));
    let second = central.ledger.own_log().cloned().unwrap();
    assert_ne!(first, second);
    central.enters(entry("edge-1", Q));
    assert_eq!(central.ledger.own_log(), Some(&second));
    central.ledger.start_new_epoch();
    central.exits(exit("edge-1", Q));
    assert_ne!(central.ledger.own_log(), Some(&second));
    assert_eq!(central.heads().values().map(|head| head.to).collect::<Vec<_>>(), [1, 2, 1]);
    check(&mut central);
}

#[test]
fn an_event_says_how_far_the_clock_was_from_the_others() {
    use parkmesh::domain::ids::Epoch;
    use parkmesh::ledger::transaction::TransactionTime;
    let mut central = Central::new(0);
    let now = TransactionTime { wall_ms: START_MS, skew_ms: Some(-90_000), clock_wrong: false };
    central.ledger.process(vec![Job::Open(entry("edge-1", P))], now, Epoch(1));
    let event = central.last_event();
    assert_eq!(event.skew_ms, Some(-90_000));
    assert!(matches!(event.body, Body::Entry(_)));
}
