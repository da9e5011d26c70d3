use proptest::prelude::*;

use super::*;
use crate::alarms::attention::{EdgeSeen, PeerSeen};
use crate::domain::problem::Language;

const MINUTE_MS: i64 = 60_000;
const VOICE: Voice<'_> = Voice { central: "c1", site: "Bãi A", language: Language::Vi };

fn rules() -> Rules {
    Rules { channels: vec!["owner".into()], silence_ms: 5 * MINUTE_MS, repeat_ms: 4 * HOUR_MS, without: Vec::new() }
}

/// A central, what it sees, and all that was told.
struct Site {
    book: Book,
    seen: Situation,
    rules: Rules,
    told: Vec<Message>,
}

impl Site {
    fn new() -> Self {
        let seen = Situation { now_ms: 1_000 * HOUR_MS, can_commit: true, ..Situation::default() };
        Self { book: Book::default(), seen, rules: rules(), told: Vec::new() }
    }

    fn after(&mut self, ms: i64) -> &mut Self {
        self.seen.now_ms += ms;
        self.book.look(&self.seen, &self.rules, &VOICE);
        self.deliver();
        self
    }

    fn deliver(&mut self) {
        while let Some((message, lost)) = self.book.outbox.next("owner").map(|(message, lost)| (message.clone(), lost))
        {
            self.book.outbox.told("owner", &message.id, lost);
            self.told.push(message);
        }
    }

    fn kinds(&mut self) -> Vec<MessageKind> {
        std::mem::take(&mut self.told).into_iter().map(|message| message.kind).collect()
    }

    fn restart(&mut self) {
        self.book = serde_json::from_str(&serde_json::to_string(&self.book).unwrap()).unwrap();
        self.seen.started_ms = self.seen.now_ms;
    }
}

#[test]
fn an_alarm_is_told_once_again_after_the_pause_and_when_it_is_over() {
    let mut site = Site::new();
    site.after(0).seen.can_commit = false;
    site.after(PATIENCE_MS - 1);
    assert_eq!(site.after(0).kinds(), [], "it may be over in a moment");
    site.after(1).after(PATIENCE_MS);
    let begin = site.told.last().unwrap().clone();
    assert_eq!(site.kinds(), [MessageKind::Begin]);
    assert!(begin.text.starts_with("⚠ Bãi A · c1: Máy chủ không ghi được"), "{}", begin.text);
    site.after(4 * HOUR_MS - 1);
    assert_eq!(site.kinds(), []);
    assert_eq!(site.after(1).kinds(), [MessageKind::Still]);
    site.after(12 * MINUTE_MS).seen.can_commit = true;
    assert_eq!(site.after(1).after(CALM_MS - 1).kinds(), []);
    site.after(1);
    let end = site.told.last().unwrap().clone();
    assert_eq!((site.kinds(), &end.alarm), (vec![MessageKind::End], &begin.alarm));
    assert!(end.text.contains("đã ổn sau 4 giờ 12 phút"), "{}", end.text);
    assert_eq!(site.book.open(), 0);
}

#[test]
fn what_was_noted_while_the_clock_was_a_year_ahead_is_over_and_told_again_like_anything_else() {
    const AHEAD_MS: i64 = 365 * 24 * HOUR_MS;
    let mut site = Site::new();
    let due_ms = site.seen.now_ms;
    site.seen.started_ms = due_ms - HOUR_MS;
    site.book.report_is_due(due_ms, &[], &site.seen, &VOICE);
    site.after(AHEAD_MS);
    for _ in 0..MOST_PER_HOUR {
        site.seen.can_commit = false;
        site.after(0).after(PATIENCE_MS);
        site.seen.can_commit = true;
        site.after(0).after(CALM_MS);
    }
    site.seen.can_commit = false;
    site.after(0).after(PATIENCE_MS);
    site.seen.can_commit = true;
    site.after(0);
    site.book.report(site.seen.now_ms, site.seen.now_ms, &Day::default(), &site.rules, &VOICE);
    site.kinds();
    // The clock is right again.
    site.restart();
    site.after(-AHEAD_MS).after(CALM_MS).after(HOUR_MS);
    site.kinds();
    assert_eq!(site.book.open(), 0);
    site.seen.can_commit = false;
    site.after(0).after(PATIENCE_MS);
    assert_eq!(site.kinds(), [MessageKind::Begin]);
    site.after(4 * HOUR_MS);
    assert_eq!(site.kinds(), [MessageKind::Still]);
    site.seen.started_ms = due_ms;
    site.after(24 * HOUR_MS);
    assert_eq!(site.book.report_is_due(due_ms + 24 * HOUR_MS, &[], &site.seen, &VOICE), (true, false));
}

#[test]
fn what_comes_back_within_a_minute_is_the_same_alarm() {
    let mut site = Site::new();
    site.seen.can_commit = false;
    site.after(0).after(PATIENCE_MS);
    for _ in 0..10 {
        site.seen.can_commit = true;
        site.after(20_000);
        site.seen.can_commit = false;
        site.after(20_000);
    }
    assert_eq!(site.kinds(), [MessageKind::Begin]);
}

#[test]
fn what_comes_and_goes_all_the_time_is_told_three_times_an_hour_and_then_how_often() {
    let mut site = Site::new();
    for _ in 0..12 {
        site.seen.can_commit = false;
        site.after(0).after(MINUTE_MS);
        site.seen.can_commit = true;
        site.after(0).after(2 * MINUTE_MS);
    }
    assert_eq!(
        site.kinds(),
        [
            MessageKind::Begin,
            MessageKind::End,
            MessageKind::Begin,
            MessageKind::End,
            MessageKind::Begin,
            MessageKind::End
        ]
    );
    site.after(HOUR_MS).seen.can_commit = false;
    site.after(0).after(MINUTE_MS);
    assert!(site.told[0].text.contains("[9 lần trước đó chưa báo]"), "{}", site.told[0].text);
}

#[test]
fn after_a_restart_silence_is_not_taken_for_being_well() {
    let mut site = Site::new();
    let peer =
        PeerSeen { id: "c2".into(), connected: true, last_heard_ms: Some(site.seen.now_ms), ..PeerSeen::default() };
    let edge = EdgeSeen {
        id: "edge-1".into(),
        online: true,
        last_ms: site.seen.now_ms,
        lived_ms: site.seen.now_ms,
        ..EdgeSeen::default()
    };
    (site.seen.peers, site.seen.edges) = (vec![peer], vec![edge]);
    site.after(0);
    assert_eq!(site.book.heard.len(), 1);
    (site.seen.peers[0].connected, site.seen.edges[0].online) = (false, false);
    assert_eq!(site.after(5 * MINUTE_MS - 1).kinds(), []);
    assert_eq!(site.after(1).kinds(), [MessageKind::Begin, MessageKind::Begin]);
    site.restart();
    (site.seen.peers[0].last_heard_ms, site.seen.edges) = (None, Vec::new());
    site.after(0).after(20_000).after(10 * MINUTE_MS);
    assert_eq!(site.kinds(), [], "nothing new is known of either");
    site.seen.peers[0].connected = true;
    site.seen.edges = vec![EdgeSeen {
        id: "edge-1".into(),
        online: true,
        last_ms: site.seen.now_ms,
        lived_ms: site.seen.now_ms,
        ..EdgeSeen::default()
    }];
    assert_eq!(site.after(0).after(CALM_MS).kinds(), [MessageKind::End, MessageKind::End]);
}

#[test]
fn what_nobody_wants_to_hear_of_is_not_told_and_no_longer_counted() {
    let mut site = Site::new();
    site.seen.can_commit = false;
    site.after(0).after(PATIENCE_MS);
    assert_eq!(site.kinds(), [MessageKind::Begin]);
    site.rules.without = vec!["no_commit".into()];
    assert_eq!(site.after(HOUR_MS).kinds(), []);
    assert_eq!(site.book.open(), 0);
}

#[test]
fn oddities_and_reports_of_the_site_are_told_by_one_and_by_the_next_if_that_one_is_gone() {
    let odd = |id: &str| Oddity { id: id.into(), vietnamese: id.into(), english: id.into() };
    let lower = ["c0".to_owned()];
    let mut site = Site::new();
    let look = |site: &mut Site, found: &[Oddity], others: &[String]| {
        site.seen.now_ms += 1_000;
        site.book.odd(found, others, &site.seen, &site.rules, &VOICE);
        site.deliver();
    };
    look(&mut site, &[odd("old")], &[]);
    look(&mut site, &[odd("old"), odd("1")], &[]);
    look(&mut site, &[odd("old"), odd("1"), odd("2")], &lower);
    assert_eq!(site.told.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["odd/1"]);
    look(&mut site, &[odd("old"), odd("1"), odd("2")], &[]);
    assert_eq!(site.told.len(), 2, "c0 is gone: it may not have told it");
    look(&mut site, &[odd("3")], &lower);
    site.seen.now_ms += YIELD_MS;
    look(&mut site, &[odd("3")], &lower);
    look(&mut site, &[odd("3")], &[]);
    assert_eq!(site.told.len(), 2, "c0 had its time");

    let due_ms = site.seen.now_ms + 1;
    assert_eq!(site.book.report_is_due(due_ms - 1, &[], &site.seen, &VOICE), (false, true), "nothing of before");
    assert_eq!(site.book.report_is_due(due_ms, &lower, &site.seen, &VOICE), (false, false));
    assert_eq!(site.book.report_is_due(due_ms, &[], &site.seen, &VOICE), (true, false));
    let day = Day {
        site_id: "ab".into(),
        day: "2026-11-29".into(),
        revenue: 1_250_000,
        ways: vec![("cash".into(), 1_000_000), (String::new(), 250_000)],
        missing: vec!["c3".into()],
        ..Day::default()
    };
    site.book.report(due_ms, due_ms, &day, &site.rules, &VOICE);
    site.deliver();
    assert_eq!(site.told.last().unwrap().id, "report/ab/2026-11-29");
    assert!(site.told.last().unwrap().text.contains("ngày 29/11/2026: "));
    assert!(site.told.last().unwrap().text.contains(
        "thu 1.250.000 đ (Tiền mặt 1.000.000 đ, Không ghi cách trả 250.000 đ). Trong bãi: 0 xe. Có thể thiếu số của c3"
    ));
    assert_eq!(site.book.report_is_due(due_ms, &[], &site.seen, &VOICE), (false, false));
    site.seen.now_ms += 24 * HOUR_MS;
    assert_eq!(site.book.report_is_due(due_ms + 1, &lower, &site.seen, &VOICE), (false, true), "c0 told it");
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Commit(bool),
    Edge(usize, bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..400_i64).prop_map(|seconds| Step::Wait(seconds * 1_000)),
        2 => any::<bool>().prop_map(Step::Commit),
        2 => (0..3_usize, any::<bool>()).prop_map(|(edge, online)| Step::Edge(edge, online)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn each_alarm_is_told_once_ends_once_and_none_stays_open(steps in prop::collection::vec(step(), 1..200)) {
        let mut site = Site::new();
        let mut all: Vec<Message> = Vec::new();
        let edge = |number: usize, now_ms| EdgeSeen { id: number.to_string(), online: true, last_ms: now_ms, lived_ms: now_ms, ..EdgeSeen::default() };
        site.seen.edges = (0..3).map(|number| edge(number, site.seen.now_ms)).collect();
        for step in steps {
            match step {
                Step::Wait(ms) => {
                    // As the actor does: it looks all the time.
                    for _ in 0..ms / 5_000 { site.after(5_000); }
                    site.after(ms % 5_000);
                }
                Step::Commit(can) => site.seen.can_commit = can,
                Step::Edge(number, online) => {
                    site.seen.edges[number].online = online;
                }
                Step::Restart => site.restart(),
            }
            for edge in site.seen.edges.iter_mut().filter(|edge| edge.online) {
                (edge.last_ms, edge.lived_ms) = (site.seen.now_ms, site.seen.now_ms);
            }
            all.append(&mut site.told);
        }
        site.seen.can_commit = true;
        let now_ms = site.seen.now_ms;
        site.seen.edges = (0..3).map(|number| edge(number, now_ms)).collect();
        site.after(1).after(CALM_MS);
        all.append(&mut site.told);
        prop_assert_eq!(site.book.open(), 0);
        let mut state: BTreeMap<&str, MessageKind> = BTreeMap::new();
        let mut begun: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
        for message in &all {
            let before = state.insert(&message.alarm, message.kind);
            match message.kind {
                MessageKind::Begin => prop_assert_eq!(before, None),
                MessageKind::Still | MessageKind::End => prop_assert!(matches!(before, Some(MessageKind::Begin | MessageKind::Still))),
                _ => prop_assert!(false, "{:?}", message),
            }
            if message.kind == MessageKind::Begin {
                let name = message.alarm.rsplit_once('/').unwrap().0;
                begun.entry((&message.code, name)).or_default().push(message.at_ms);
            }
        }
        prop_assert!(state.values().all(|kind| *kind == MessageKind::End), "{:?}", state);
        let ids: BTreeSet<&str> = all.iter().map(|message| message.id.as_str()).collect();
        prop_assert_eq!(ids.len(), all.len());
        for times in begun.values() {
            prop_assert!(times.windows(MOST_PER_HOUR + 1).all(|four| four[MOST_PER_HOUR] - four[0] >= HOUR_MS));
        }
    }
}
