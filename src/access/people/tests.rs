use proptest::prelude::*;

use super::*;
use crate::access::accounts::Token;

const NOW_MS: i64 = 1_795_325_909_000;

fn id(number: usize) -> CentralId {
    format!("central-{number}").parse().unwrap()
}

fn person(name: &str, role: Role, password: &str, set_ms: i64) -> Person {
    let (name, password) = (name.to_owned(), password.to_owned());
    Person { name, role, password, set_ms, made_by: None, changed: None, after_removal_ms: None }
}

fn all_fit(_: &str) -> bool {
    true
}

/// What a central does to its people, by itself and noted.
fn change(accounts: &mut Accounts, central: usize, now_ms: i64, work: impl FnOnce(&mut Accounts)) {
    let before = accounts.clone();
    work(accounts);
    accounts.note_changes(&before, &id(central), "An", now_ms);
}

fn merged(accounts: &Accounts, other: &Accounts, central: usize) -> MergedPeople {
    accounts.merged(other.records(), &id(central), NOW_MS, &all_fit)
}

/// Both hear of each other until nothing is news.
fn meet(one: &mut Accounts, other: &mut Accounts) -> Vec<Overruled> {
    let mut overruled = Vec::new();
    for _ in 0..4 {
        let (at_one, at_other) = (merged(one, other, 1), merged(other, one, 2));
        overruled.extend(at_one.overruled);
        overruled.extend(at_other.overruled);
        (*one, *other) = (at_one.accounts, at_other.accounts);
    }
    assert_eq!(one.people_digest(), other.people_digest());
    overruled
}

/// Two centrals that know the same administrator `An` and operator `Bình`.
fn two() -> (Accounts, Accounts) {
    let mut one = Accounts::default();
    change(&mut one, 1, NOW_MS, |accounts| {
        accounts.add_person(person("An", Role::Administrator, "an", 1)).unwrap();
        accounts.add_person(person("Bình", Role::Operator, "binh", 1)).unwrap();
    });
    let mut other = Accounts::default();
    assert_eq!(meet(&mut one, &mut other), []);
    (one, other)
}

fn record() -> impl Strategy<Value = PersonRecord> {
    let name = prop::sample::select(vec!["An", "an", "Bình", "Chi"]);
    let central = prop::option::of(prop::sample::select(vec![1_usize, 2, 3]));
    (name, central, 0..4_i64, 0..4_i64, prop::option::of(0..3_u8)).prop_map(|(name, central, at_ms, after_ms, role)| {
        let changed = Changed { at_ms, central: central.map(id), by: "x".to_owned(), after_ms };
        let role = role.map(|role| [Role::Operator, Role::ShiftLead, Role::Administrator][usize::from(role)]);
        match role {
            Some(role) => PersonRecord::Person(Person { changed: Some(changed), ..person(name, role, "hash", at_ms) }),
            None => PersonRecord::Removed(RemovedPerson { name: name.to_owned(), changed }),
        }
    })
}

fn joined(records: impl IntoIterator<Item = PersonRecord>) -> Records {
    let mut held = Records::new();
    for record in records {
        join(&mut held, record);
    }
    held
}

proptest! {
    #[test]
    fn what_a_set_becomes_does_not_depend_on_the_order_nor_on_how_often_it_is_heard(
        records in prop::collection::vec(record(), 0..12),
        order in any::<u64>(),
    ) {
        let straight = joined(records.clone());
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|record| {
            let text = serde_json::to_string(record).unwrap();
            Sha256::digest(format!("{order}{text}")).to_vec()
        });
        prop_assert_eq!(&straight, &joined(shuffled.iter().chain(&records).cloned()));
        // In groups, as sets of centrals are.
        let (some, rest) = records.split_at(records.len() / 2);
        let groups = joined(some.to_vec()).into_values().chain(joined(rest.to_vec()).into_values());
        prop_assert_eq!(straight, joined(groups));
    }

    #[test]
    fn centrals_that_all_met_hold_the_same_and_never_lack_an_administrator(
        steps in prop::collection::vec((0..3_usize, 0..6_u8, 0..3_usize, 0..5_i64), 0..40),
    ) {
        let names = ["An", "Bình", "Chi"];
        let (first, _) = two();
        let mut centrals = [first.clone(), first.clone(), first];
        for (at, what, whom, later_ms) in steps {
            let name = names[whom];
            // Some clocks go wrong.
            let now_ms = NOW_MS + later_ms - 2;
            let other = centrals[whom].clone();
            let here = &mut centrals[at];
            match what {
                0 => change(here, at, now_ms, |accounts| drop(accounts.remove_person(name))),
                1 => change(here, at, now_ms, |accounts| {
                    drop(accounts.change_person(name, Some(Role::Operator), None));
                }),
                2 => change(here, at, now_ms, |accounts| {
                    drop(accounts.change_person(name, Some(Role::Administrator), None));
                }),
                3 => change(here, at, now_ms, |accounts| {
                    drop(accounts.add_person(person(name, Role::Administrator, "new", now_ms)));
                }),
                _ => *here = merged(here, &other, at).accounts,
            }
            prop_assert!(here.has_administrator());
        }
        for _ in 0..4 {
            for (at, from) in [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1)] {
                let other = centrals[from].clone();
                centrals[at] = merged(&centrals[at], &other, at).accounts;
                prop_assert!(centrals[at].has_administrator());
            }
        }
        let digests = centrals.each_ref().map(Accounts::people_digest);
        prop_assert!(digests.iter().all(|digest| *digest == digests[0]), "{centrals:?}");
    }
}

#[test]
fn a_removal_reaches_who_was_away_and_takes_tokens_along() {
    let (mut one, mut other) = two();
    let token = |name: &str, made_by: &str, role| Token {
        name: name.to_owned(),
        role,
        hash: name.to_owned(),
        made_ms: 1,
        made_by: made_by.to_owned(),
        used_ms: None,
    };
    other.add_token(token("backup", "bình", Role::Operator)).unwrap();
    other.add_token(token("chain", "token:backup", Role::Operator)).unwrap();
    other.add_token(token("watch", "An", Role::Operator)).unwrap();
    // Its clock goes wrong, and still it is later than what it knew.
    change(&mut one, 1, 0, |accounts| drop(accounts.remove_person("bình").unwrap()));
    assert_eq!(meet(&mut one, &mut other), []);
    assert!(other.person("Bình").is_none());
    assert_eq!(other.tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["watch"]);
    // Removed and added again, he is somebody new, also where only the end of that is heard.
    let mut away = other.clone();
    let mut back = one.clone();
    change(&mut away, 2, 0, |accounts| accounts.add_person(person("bình", Role::Operator, "x", 2)).unwrap());
    meet(&mut back, &mut away);
    away.add_token(token("again", "bình", Role::Operator)).unwrap();
    change(&mut back, 1, 0, |accounts| drop(accounts.remove_person("bình").unwrap()));
    change(&mut back, 1, 0, |accounts| accounts.add_person(person("bình", Role::Operator, "y", 3)).unwrap());
    change(&mut back, 1, 0, |accounts| {
        accounts.change_person("bình", Some(Role::ShiftLead), None).unwrap();
    });
    meet(&mut back, &mut away);
    assert_eq!(away.person("Bình").unwrap().password, "y");
    assert_eq!(away.tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["watch"]);
    // Added elsewhere.
    change(&mut other, 2, 0, |accounts| accounts.add_person(person("bình", Role::ShiftLead, "new", 2)).unwrap());
    meet(&mut one, &mut other);
    assert_eq!(one.person("Bình").unwrap().role, Role::ShiftLead);
    assert!(one.removed.is_empty());
}

#[test]
fn of_two_changes_that_did_not_know_of_each_other_the_later_counts_and_both_are_told() {
    let (mut one, mut other) = two();
    let password = |hash: &str| Some((hash.to_owned(), 5));
    change(&mut one, 1, NOW_MS + 10, |accounts| drop(accounts.change_person("Bình", None, password("early")).unwrap()));
    change(&mut other, 2, NOW_MS + 20, |accounts| {
        drop(accounts.change_person("Bình", None, password("late")).unwrap())
    });
    // Of a second one only the end is heard, and it knew as little.
    change(&mut other, 2, NOW_MS + 25, |accounts| {
        drop(accounts.change_person("Bình", Some(Role::ShiftLead), None).unwrap())
    });
    let overruled = meet(&mut one, &mut other);
    assert_eq!(one.person("Bình").unwrap().password, "late");
    let told: Vec<_> =
        overruled.iter().map(|one| (one.name.as_str(), one.lost.at_ms - NOW_MS, &one.counts.central)).collect();
    assert_eq!(told, [("Bình", 10, &Some(id(2))), ("Bình", 10, &Some(id(2)))], "at each of the two");
    // One after the other is no conflict, also where a step between was missed.
    let away = other.clone();
    for (at_ms, hash) in [(30, "next"), (40, "last")] {
        change(&mut one, 1, NOW_MS + at_ms, |accounts| {
            drop(accounts.change_person("Bình", None, password(hash)).unwrap())
        });
    }
    other = away;
    assert_eq!(meet(&mut one, &mut other), []);
    assert_eq!(other.person("Bình").unwrap().password, "last");
}

#[test]
fn people_of_older_versions_meet_by_when_their_passwords_were_set() {
    let mut one = Accounts { people: vec![person("An", Role::Administrator, "old", 10)], ..Accounts::default() };
    let mut other = Accounts { people: vec![person("an", Role::Operator, "new", 20)], ..Accounts::default() };
    let overruled = meet(&mut one, &mut other);
    assert_eq!(
        (overruled.len(), overruled[0].lost.at_ms),
        (3, 10),
        "at each, and that the last administrator stays one"
    );
    assert_eq!(other.person("An").unwrap().password, "new");
    assert_eq!(one.person("An").unwrap().role, Role::Administrator, "who has an administrator keeps one");
}

#[test]
fn administrators_that_removed_each_other_are_both_back() {
    let (mut one, mut other) = two();
    change(&mut one, 1, NOW_MS + 1, |accounts| {
        accounts.change_person("Bình", Some(Role::Administrator), None).unwrap();
    });
    meet(&mut one, &mut other);
    change(&mut one, 1, NOW_MS + 2, |accounts| drop(accounts.remove_person("Bình").unwrap()));
    change(&mut other, 2, NOW_MS + 3, |accounts| drop(accounts.remove_person("An").unwrap()));
    let kept = merged(&one, &other, 1);
    assert_eq!(kept.kept.as_deref(), Some("An"));
    assert_eq!(kept.overruled.last().unwrap().counts.by, LAST_ADMINISTRATOR);
    meet(&mut one, &mut other);
    let roles: Vec<_> = one.people.iter().map(|person| (person.name.as_str(), person.role)).collect();
    assert_eq!(roles, [("An", Role::Administrator), ("Bình", Role::Administrator)]);
}

#[test]
fn what_no_central_would_write_is_not_taken_and_lists_are_not_filled_by_others() {
    let (one, _) = two();
    let said = |name: &str, at_ms, by: &str, password: &str| {
        let changed = Changed { at_ms, central: Some(id(2)), by: by.to_owned(), after_ms: 0 };
        PersonRecord::Person(Person { changed: Some(changed), ..person(name, Role::Administrator, password, 1) })
    };
    let is_hash = |hash: &str| hash == "good";
    let take = |record| one.merged(vec![record], &id(1), NOW_MS, &is_hash);
    assert_eq!(take(said("Chi", NOW_MS, "x", "good")).unfit, 0);
    let too_late_ms = Hlc::latest_believed(NOW_MS).ms() + 1;
    for unfit in [
        said("..", NOW_MS, "x", "good"),
        said(" Chi", NOW_MS, "x", "good"),
        said("Chi", too_late_ms, "x", "good"),
        said("Chi", -1, "x", "good"),
        said("Chi", NOW_MS, &"x".repeat(MAX_BY_CHARS + 1), "good"),
        said("Chi", NOW_MS, "x\n", "good"),
        said("Chi", NOW_MS, "x", "costs an hour"),
    ] {
        let after = take(unfit.clone());
        assert_eq!((after.unfit, &after.accounts), (1, &one), "{unfit:?}");
    }
    let many = (0..MAX_PEOPLE + 5).map(|number| said(&format!("p{number}"), NOW_MS, "x", "good")).collect();
    let full = one.merged(many, &id(1), NOW_MS, &is_hash);
    assert_eq!((full.accounts.people.len(), full.unfit), (MAX_PEOPLE, 7));
    assert!(full.accounts.person("An").is_some() && full.accounts.person("Bình").is_some());
    let gone = |number| {
        let changed = Changed { at_ms: NOW_MS, central: Some(id(2)), by: String::new(), after_ms: 0 };
        PersonRecord::Removed(RemovedPerson { name: format!("gone {number}"), changed })
    };
    let full = full.accounts.merged((0..MAX_REMOVED + 3).map(gone).collect(), &id(1), NOW_MS, &is_hash);
    assert_eq!((full.accounts.removed.len(), full.unfit), (MAX_REMOVED, 3));
    let text = serde_json::to_string(&full.accounts.records()).unwrap();
    assert!(text.len() < 512 * 1024, "{}", text.len());
}

#[test]
fn the_digest_tells_sets_apart_and_nothing_else() {
    let (one, other) = two();
    let mut turned = other.clone();
    turned.people.reverse();
    turned.tokens.clear();
    assert_eq!(one.people_digest(), turned.people_digest());
    let mut changed = other;
    change(&mut changed, 2, NOW_MS, |accounts| drop(accounts.remove_person("Bình").unwrap()));
    assert_ne!(one.people_digest(), changed.people_digest());
}

/// A bad central said five hundred removals of days to come, and is thrown out: who is removed after that stays removed.
#[test]
fn removals_of_days_to_come_push_out_no_removal_of_now() {
    let (mut one, mut other) = two();
    let far_ms = NOW_MS + 300 * 24 * 60 * 60 * 1_000;
    let changed = Changed { at_ms: far_ms, central: Some(id(9)), by: "x".to_owned(), after_ms: 0 };
    let flood = |number: usize| RemovedPerson { name: format!("x{number}"), changed: changed.clone() };
    let flood: Vec<PersonRecord> = (0..MAX_REMOVED).map(|number| PersonRecord::Removed(flood(number))).collect();
    for (accounts, central) in [(&mut one, 1), (&mut other, 2)] {
        *accounts = accounts.merged(flood.clone(), &id(central), NOW_MS, &all_fit).accounts;
        assert_eq!(accounts.removed.len(), MAX_REMOVED);
    }
    change(&mut one, 1, NOW_MS + 1, |accounts| drop(accounts.remove_person("Bình").unwrap()));
    for _ in 0..2 {
        other = merged(&other, &one, 2).accounts;
        one = merged(&one, &other, 1).accounts;
    }
    assert!(one.person("Bình").is_none() && other.person("Bình").is_none());
}

#[test]
fn one_set_says_of_each_name_once_and_no_more_than_a_set_holds() {
    let (one, _) = two();
    let said = |at_ms: i64, central: usize| {
        let changed = Changed { at_ms, central: Some(id(central)), by: "x".to_owned(), after_ms: 0 };
        PersonRecord::Person(Person { changed: Some(changed), ..person("An", Role::Administrator, "hash", at_ms) })
    };
    let many = (0..2_000).map(|number| said(NOW_MS + number, 3 + usize::try_from(number % 2).unwrap())).collect();
    let merged = one.merged(many, &id(1), NOW_MS, &all_fit);
    assert_eq!((merged.overruled.len(), merged.unfit), (1, 2_000 - MAX_PEOPLE - MAX_REMOVED));

    for wrong in [
        Person { set_ms: 9_000_000_000_000_000_000, ..person("Chi", Role::Operator, "hash", 1) },
        Person { after_removal_ms: Some(i64::MAX), ..person("Chi", Role::Operator, "hash", 1) },
    ] {
        let changed = Changed { at_ms: NOW_MS, central: Some(id(3)), by: "x".to_owned(), after_ms: 0 };
        let record = PersonRecord::Person(Person { changed: Some(changed), ..wrong });
        assert_eq!(one.merged(vec![record], &id(1), NOW_MS, &all_fit).unfit, 1);
    }
}
