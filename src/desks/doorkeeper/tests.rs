use super::*;
use crate::ledger::job::{Answer, Job, Outcome, Refusal};
use tokio::sync::oneshot;

fn open(directory: &Path) -> Doorkeeper {
    Doorkeeper::open(directory, own, audit(true), Clock::machine())
}

fn own() -> CentralId {
    "central-1".parse().unwrap()
}

/// An audit that can be written, or not.
fn audit(writes: bool) -> Arc<AuditDesk> {
    let send = move |_: Job, reply: oneshot::Sender<Outcome>| {
        let outcome = if writes { Ok(Answer::Noted) } else { Err(Refusal::NotDurable("full".to_owned())) };
        drop(reply.send(outcome));
    };
    Arc::new(AuditDesk::new(send, Clock::machine()))
}

fn by() -> By {
    By::new("An", desk())
}

fn desk() -> IpAddr {
    "10.0.0.1".parse().unwrap()
}

fn by_session(session: &str) -> Shown<'_> {
    Shown { session: Some(session), secret: None }
}

fn by_secret(secret: &str) -> Shown<'_> {
    Shown { session: None, secret: Some(secret) }
}

/// A directory with an administrator `An`.
fn with_administrator() -> (tempfile::TempDir, Doorkeeper, NewSession) {
    with_administrator_by(Clock::machine())
}

fn with_administrator_by(clock: Clock) -> (tempfile::TempDir, Doorkeeper, NewSession) {
    let directory = tempfile::tempdir().unwrap();
    let door = Doorkeeper::open(directory.path(), own, audit(true), clock);
    let code = door.make_first_code().unwrap();
    let entered = door.use_code(&code, "An", "ba con voi", desk()).unwrap();
    (directory, door, entered)
}

#[test]
fn the_first_code_makes_an_administrator_once() {
    let directory = tempfile::tempdir().unwrap();
    let door = open(directory.path());
    let (old, code) = (door.make_first_code().unwrap(), door.make_first_code().unwrap());
    assert_eq!(door.use_code(&old, "An", "ba con voi", desk()).unwrap_err(), LoginRefused::WrongCode);
    let weak = door.use_code(&code, "An", "12345678", desk()).unwrap_err();
    assert!(matches!(weak, LoginRefused::Unchanged(Unchanged::Field(_))), "and the code is still good: {weak:?}");
    let entered = door.use_code(&code.to_lowercase(), "An", "ba con voi", desk()).unwrap();
    let administrator = Who::Person { name: "An".into(), role: Role::Administrator };
    assert_eq!(door.who(by_session(&entered.session), &Config::standalone()), administrator);
    assert_eq!(door.use_code(&code, "An", "another one", desk()).unwrap_err(), LoginRefused::WrongCode);
    assert!(door.make_first_code().is_none());
    let kept = std::fs::read_to_string(directory.path().join("accounts.json")).unwrap();
    assert!(!kept.contains("voi") && !kept.contains(&code), "{kept}");
    assert!(open(directory.path()).log_in("an", "ba con voi", None, desk()).is_ok(), "after a restart too");
}

#[test]
fn a_code_made_beside_the_running_central_sets_a_forgotten_password_and_ends_its_sessions() {
    let (directory, door, before) = with_administrator();
    let code = secret::make_code().unwrap();
    CodeFile::of(directory.path()).put(secret::code_digest(&code), Clock::machine().now_ms()).unwrap();
    door.use_code(&code, "an", "bon con voi", desk()).unwrap();
    assert_eq!(door.who(by_session(&before.session), &Config::standalone()), Who::Nobody);
    assert_eq!(door.log_in("An", "ba con voi", None, desk()).unwrap_err(), LoginRefused::WrongLogin);
    door.log_in("An", "bon con voi", None, desk()).unwrap();
    assert_eq!(door.use_code(&code, "An", "nam con voi", desk()).unwrap_err(), LoginRefused::WrongCode, "used");
}

#[test]
fn who_guesses_waits_and_who_knows_the_password_meanwhile_does_not() {
    // The time that hashing takes, on whatever machine, is none of the time he has to wait.
    let now_ms = Clock::machine().now_ms();
    let (_directory, door, _) = with_administrator_by(Clock::parse(&format!("{now_ms},{now_ms},0.000001")).unwrap());
    let thief = "10.9.9.9".parse().unwrap();
    let outcomes: Vec<_> = (0..6).map(|_| door.log_in("an", "guess", None, thief).unwrap_err()).collect();
    assert_eq!(outcomes[..5], [const { LoginRefused::WrongLogin }; 5]);
    assert!(matches!(outcomes[5], LoginRefused::Wait(1..=1_000)), "{:?}", outcomes[5]);
    assert!(
        matches!(door.log_in("An", "ba con voi", None, thief), Err(LoginRefused::Wait(_))),
        "right or wrong is not looked at"
    );
    door.log_in("an", "ba con voi", None, desk()).unwrap();
}

#[test]
fn a_role_or_person_that_changes_counts_at_once() {
    let (_directory, door, _) = with_administrator();
    door.add_person(&by(), "Bình", Role::Operator, "cong truoc").unwrap();
    let session = door.log_in("bình", "cong truoc", None, desk()).unwrap().session;
    let config = Config::standalone();
    assert_eq!(door.who(by_session(&session), &config).role(), Some(Role::Operator));
    door.change_person(&by(), "Bình", Some(Role::Administrator), None).unwrap();
    assert_eq!(door.who(by_session(&session), &config).role(), Some(Role::Administrator));
    door.change_person(&by(), "Bình", None, Some("cong sau 2")).unwrap();
    assert_eq!(door.who(by_session(&session), &config), Who::Nobody, "a new password ends what was");
    let session = door.log_in("bình", "cong sau 2", None, desk()).unwrap().session;
    door.remove_person(&by(), "bình").unwrap();
    assert_eq!(door.who(by_session(&session), &config), Who::Nobody);
}

#[test]
fn an_own_new_password_ends_the_other_sessions() {
    let (_directory, door, here) = with_administrator();
    let elsewhere = door.log_in("An", "ba con voi", None, desk()).unwrap();
    let change = |old| door.change_own_password("An", (old, "bon con voi"), Some(&here.session), desk());
    assert_eq!(change("wrong"), Err(LoginRefused::WrongLogin));
    change("ba con voi").unwrap();
    let config = Config::standalone();
    assert_eq!(door.who(by_session(&here.session), &config).person(), Some("An"));
    assert_eq!(door.who(by_session(&elsewhere.session), &config), Who::Nobody);
    door.log_out(&here.session);
    assert_eq!(door.who(by_session(&here.session), &config), Who::Nobody);
}

#[test]
fn tokens_work_until_revoked_and_their_last_use_is_kept() {
    let (directory, door, _) = with_administrator();
    let token = door.make_token(&by(), "backup", Role::Operator).unwrap();
    assert_eq!(door.tokens()[0].used_ms, None);
    let config = Config::standalone();
    let program = Who::Token { name: "backup".into(), role: Role::Operator };
    assert_eq!(door.who(by_secret(&token), &config), program);
    let used_ms = door.tokens()[0].used_ms.unwrap();
    door.save_uses();
    assert_eq!(open(directory.path()).tokens()[0].used_ms, Some(used_ms));
    let kept = std::fs::read_to_string(directory.path().join("accounts.json")).unwrap();
    assert!(!kept.contains(&token));
    door.revoke_token(&by(), "backup").unwrap();
    assert_eq!(door.who(by_secret(&token), &config), Who::Nobody);
}

#[test]
fn an_edge_is_known_by_its_key_alone() {
    let (_directory, door, _) = with_administrator();
    let (key, mut config) = (secret::make(SecretKind::EdgeKey).unwrap(), Config::standalone());
    let edge = |id: &str, key_hash| crate::config::model::Edge {
        id: id.to_owned(),
        name: String::new(),
        direction: None,
        vehicle_type: None,
        lane: None,
        key_hash,
    };
    config.edges = vec![edge("edge-1", None), edge("edge-2", Some(secret::digest_text(&key)))];
    assert_eq!(door.who(by_secret(&key), &config), Who::Edge("edge-2".to_owned()));
    for wrong in ["", "pmedge_", &key[1..], &secret::make(SecretKind::EdgeKey).unwrap()] {
        assert_eq!(door.who(by_secret(wrong), &config), Who::Nobody, "{wrong}");
    }
}

#[test]
fn all_who_log_in_at_once_get_their_turn_and_guesses_from_elsewhere_do_not_wait_with_them() {
    let (_directory, door, _) = with_administrator();
    let turns: Vec<_> = (0..MAX_HASHING).map(|_| door.hashing_turn(Asks::Known).unwrap()).collect();
    std::thread::scope(|scope| {
        let logins: Vec<_> =
            (0..5).map(|_| scope.spawn(|| door.log_in("An", "ba con voi", None, desk()).is_ok())).collect();
        drop(turns);
        assert!(logins.into_iter().all(|login| login.join().unwrap()));
    });
}

#[test]
fn a_browser_that_was_logged_in_is_not_slowed_by_guesses_at_its_owner_behind_the_same_address() {
    let (_directory, door, here) = with_administrator();
    // As many failures as are free, without the time that hashing takes.
    let fail = |device: Option<&str>, account: &str| {
        let (source, now_ms) = (door.source(device, account, desk()), door.now_ms());
        while door.memory().throttle.attempt(&source, Some(account), now_ms).is_ok() {}
    };
    fail(None, "an");
    assert!(matches!(door.log_in("An", "ba con voi", None, desk()), Err(LoginRefused::Wait(_))));
    let device = door.log_in("An", "ba con voi", Some(&here.device), desk()).unwrap().device;
    // It is no licence to guess, neither at its own account nor at another.
    fail(Some(&device), "an");
    assert!(matches!(door.log_in("An", "ba con voi", Some(&device), desk()), Err(LoginRefused::Wait(_))));
    for (shown, account) in [(device.as_str(), "binh"), ("made up", "an")] {
        assert_eq!(door.source(Some(shown), account, desk()), source_of(desk()), "{account}");
    }
}

#[test]
fn a_password_that_cannot_be_hashed_now_is_not_wrong_and_is_not_counted() {
    let (_directory, door, _) = with_administrator();
    let greedy = secret::hash_password("ba con voi").unwrap().replace("m=32768", "m=4294967295");
    door.change(None, |accounts| accounts.change_person("An", None, Some((greedy, 1)))).unwrap();
    for _ in 0..10 {
        assert_eq!(door.log_in("An", "ba con voi", None, desk()).unwrap_err(), LoginRefused::Failed);
    }
}

#[test]
fn an_accounts_file_that_cannot_be_written_changes_nothing() {
    let (directory, door, _) = with_administrator();
    // Even root cannot write a file where a directory stands.
    let file = directory.path().join("accounts.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(door.add_person(&by(), "Bình", Role::Operator, "cong truoc"), Err(LoginRefused::Failed));
    assert!(door.accounts().person("Bình").is_none());
}

#[test]
fn one_machine_with_many_ipv6_addresses_is_one_source() {
    let source = |text: &str| source_of(text.parse().unwrap());
    assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
    assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
}

#[test]
fn nobody_and_nothing_is_changed_that_the_audit_cannot_tell() {
    let (directory, door, _) = with_administrator();
    drop(door);
    let door = Doorkeeper::open(directory.path(), own, audit(false), Clock::machine());
    assert_eq!(door.add_person(&by(), "Bình", Role::Operator, "cong truoc"), Err(LoginRefused::Failed));
    assert_eq!(door.make_token(&by(), "backup", Role::Operator), Err(LoginRefused::Failed));
    assert_eq!(door.change_own_password("An", ("ba con voi", "bon con voi"), None, desk()), Err(LoginRefused::Failed));
    let again = open(directory.path());
    assert!(again.accounts().person("Bình").is_none() && again.tokens().is_empty());
    again.log_in("An", "ba con voi", None, desk()).unwrap();
}
