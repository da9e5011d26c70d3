//! The first password, logging in and out, guessing, and what lies about afterwards.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::common::central::API_PORT;
use super::common::ws::Ws;
use super::common::{Central, DEADLINE, Http, eventually, eventually_some};
use super::{PASSWORD, administrator, log_in};
use serde_json::json;

fn with_passwords() -> Central {
    let mut central = Central::new("central-1");
    central.security("admin", "password");
    central.start();
    central
}

#[test]
fn the_first_code_sets_the_first_password_once_and_a_forgotten_one_is_set_beside_the_running_central() {
    let central = with_passwords();
    assert!(central.http.get("/api/access").ok().flag("needs_first_password"));
    let settings = json!({"site": {"name": "B"}});
    assert_eq!(central.http.put("/api/p2p/config", &settings).refused(401).field("code"), "login_required");
    let code = central.first_code();
    let an = administrator(&central);
    an.put("/api/p2p/config", &settings).ok();
    let again = json!({"code": code, "name": "thief", "password": PASSWORD});
    assert_eq!(central.http.post("/api/access/code", &again).refused(401).field("code"), "wrong_code");
    assert!(!central.http.get("/api/access").ok().flag("needs_first_password"));

    let made = central.subcommand("new-code").output().unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let new = said.lines().next().unwrap();
    let forgotten = json!({"code": new, "name": "an", "password": "bon con voi"});
    central.http.post("/api/access/code", &forgotten).ok();
    an.put("/api/p2p/config", &settings).refused(401);
    log_in(&central, "an", "bon con voi").put("/api/p2p/config", &settings).ok();
}

#[test]
fn a_session_is_in_a_cookie_no_script_reads_and_ends_with_logging_out() {
    let central = with_passwords();
    let an = administrator(&central);
    let reply = central.http.post("/api/access/login", &json!({"name": "AN", "password": PASSWORD})).ok();
    let set = reply.headers["set-cookie"].to_str().unwrap();
    for part in ["parkmesh-central-1=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(part), "{part} in {set}");
    }
    let second = central.http.with("Cookie", reply.cookie());
    second.post("/api/access/logout", &json!({})).ok();
    second.put("/api/p2p/config", &json!({})).refused(401);
    an.put("/api/p2p/config", &json!({})).ok();
    assert_eq!(an.get("/api/access").ok().field("name"), "an");
}

#[test]
fn a_token_ends_with_the_person_who_made_it() {
    let central = with_passwords();
    let an = administrator(&central);
    an.post("/api/access/people", &json!({"name": "Bình", "role": "administrator", "password": PASSWORD})).ok();
    let binh = log_in(&central, "bình", PASSWORD);
    let token = |by: &Http, name: &str| {
        let made = by.post("/api/access/tokens", &json!({"name": name, "role": "administrator"})).ok();
        central.http.with("Authorization", format!("Bearer {}", made.field("token")))
    };
    let (own, others) = (token(&binh, "backup"), token(&an, "watch"));
    let made_with_it = token(&own, "chain");
    let settings = json!({"site": {"name": "B"}});
    for caller in [&own, &others, &made_with_it] {
        caller.put("/api/p2p/config", &settings).ok();
    }
    let removed = an.delete("/api/access/people/B%C3%ACnh").ok();
    assert_eq!(removed.body["tokens_ended"], json!(["backup", "chain"]));
    own.put("/api/p2p/config", &settings).refused(401);
    made_with_it.put("/api/p2p/config", &settings).refused(401);
    others.put("/api/p2p/config", &settings).ok();
}

#[test]
fn a_socket_of_the_feed_ends_with_what_it_was_opened_with() {
    let mut central = Central::new("central-1");
    central.config["security"] = json!({"admin": "password", "reads": "login"});
    central.start();
    let an = administrator(&central);
    for name in ["logs-out", "is-removed", "stays"] {
        an.post("/api/access/people", &json!({"name": name, "role": "operator", "password": PASSWORD})).ok();
    }
    let address = format!("{}:{API_PORT}", central.ip);
    let open = |header: (&'static str, &str)| {
        let mut socket = Ws::dial_with(&address, "/ws/status", Some(header)).unwrap();
        let first = socket.hear_json(DEADLINE, |said| said["type"] == "snapshot");
        socket.say(&json!({"type": "ack", "number": first["number"]})).unwrap();
        socket
    };
    let session = |name: &str| {
        let login = json!({"name": name, "password": PASSWORD});
        central.http.post("/api/access/login", &login).ok().cookie()
    };
    let [leaving, removed, staying] = ["logs-out", "is-removed", "stays"].map(session);
    let made = an.post("/api/access/tokens", &json!({"name": "watch", "role": "operator"})).ok();
    let bearer = format!("Bearer {}", made.field("token"));
    assert!(Ws::dial(&address, "/ws/status", None).is_err(), "nobody looks without a login");
    let mut sockets = [open(("Cookie", &leaving)), open(("Cookie", &removed)), open(("Authorization", &bearer))];
    let mut stays = open(("Cookie", &staying));

    central.http.with("Cookie", &leaving).post("/api/access/logout", &json!({})).ok();
    an.delete("/api/access/people/is-removed").ok();
    an.delete("/api/access/tokens/watch").ok();
    for socket in &mut sockets {
        socket.until_ended(DEADLINE);
    }
    // The other one goes on; and who looked while everybody could is let go when that ends.
    an.put("/api/p2p/config", &json!({"security": {"reads": "open"}})).ok();
    stays.hear_json(DEADLINE, |said| said["type"] != "snapshot");
    let mut nobody = Ws::dial(&address, "/ws/status", None).unwrap();
    an.put("/api/p2p/config", &json!({"security": {"reads": "login"}})).ok();
    nobody.until_ended(DEADLINE);
}

#[test]
fn guessing_is_slowed_and_the_gates_do_not_notice() {
    let central = with_passwords();
    administrator(&central);
    let guess = |name: &str| central.http.post("/api/access/login", &json!({"name": name, "password": "a guess"}));
    let outcomes: Vec<_> = (0..5).map(|number| guess(&format!("somebody-{number}"))).collect();
    assert!(outcomes.iter().all(|reply| reply.status == 401), "{outcomes:?}");
    // After five a second is to be waited, which may be over by the time a slow machine has answered; with each it doubles.
    let mut beyond = 0;
    let slowed = eventually_some("guesses are slowed", DEADLINE, || {
        let reply = guess(&format!("somebody-else-{beyond}"));
        beyond += u32::from(reply.status == 401);
        (reply.status != 401).then_some(reply)
    });
    let slowed = slowed.refused(429);
    assert_eq!(slowed.field("code"), "too_many_attempts");
    let seconds: u64 = slowed.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2 << beyond).contains(&seconds), "{seconds}");
    central.http.enter("edge-1", "29A12345");
    // Which names there are cannot be told from the answers.
    let (known, unknown) = (&outcomes[0], guess("an"));
    assert!(unknown.status == 429 || unknown.text == known.text, "{} {}", unknown.text, known.text);
}

#[test]
fn what_proves_who_somebody_is_lies_nowhere_in_clear() {
    let central = with_passwords();
    let an = administrator(&central);
    let token = an.post("/api/access/tokens", &json!({"name": "backup", "role": "operator"})).ok();
    an.put("/api/p2p/config", &json!({"edges": [{"id": "edge-1"}]})).ok();
    let key = an.post("/api/access/edges/edge-1/key", &json!({})).ok();
    let session = central.http.post("/api/access/login", &json!({"name": "an", "password": PASSWORD})).ok().cookie();
    let session = session.split('=').nth(1).unwrap();
    let shown =
        [an.get("/api/p2p/config"), an.get("/api/access/tokens"), an.get("/api/access/people"), an.get("/metrics")];
    for secret in [PASSWORD, token.field("token"), key.field("key"), session] {
        assert!(secret.len() > 8);
        let found = Command::new("grep").args(["-rlF", secret]).arg(central.directory()).output().unwrap();
        assert!(found.stdout.is_empty(), "{secret} in {}", String::from_utf8_lossy(&found.stdout));
        assert!(shown.iter().all(|reply| !reply.text.contains(secret)));
    }
    let accounts = std::fs::metadata(central.data_directory().join("accounts.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&accounts.permissions()) & 0o777, 0o600);
}

/// Seven hundred addresses guess, each at names of its own, as fast as it is answered.
#[test]
fn who_guesses_from_many_addresses_keeps_out_nobody_who_is_known_or_sits_at_the_machine() {
    use super::common::flood::{Ends, call};
    use super::common::net::connect_from;
    let central = with_passwords();
    let to = format!("{}:{API_PORT}", central.ip).parse().unwrap();
    let desk: std::net::IpAddr = [127, 98, 200, 1].into();
    let log_in_from = |from: std::net::IpAddr, name: &str, password: &str| {
        let body = json!({"name": name, "password": password}).to_string();
        let request = format!(
            "POST /api/access/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connect_from(from, to).and_then(|mut stream| call(&mut stream, &request)).unwrap_or_default()
    };
    administrator(&central);
    assert_eq!(log_in_from(desk, "an", PASSWORD), 200);
    let (over, turned_away) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        for thread in 0..60_u8 {
            let (log_in_from, over, turned_away) = (&log_in_from, &over, &turned_away);
            scope.spawn(move || {
                for address in (0..12).cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                    let status =
                        log_in_from([127, 98, thread, address].into(), &format!("n{thread}-{address}"), "guess");
                    turned_away.fetch_add(usize::from(status == 429), Ordering::Relaxed);
                }
            });
        }
        eventually("the flood fills what strangers have", DEADLINE, || turned_away.load(Ordering::Relaxed) > 100);
        let statuses: Vec<u16> = [desk, [127, 0, 0, 1].into()]
            .into_iter()
            .cycle()
            .take(6)
            .map(|from| log_in_from(from, "an", PASSWORD))
            .collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [200; 6]);
    });
}

/// A proxy on the machine makes everybody one address, whatever it says of them.
#[test]
fn who_guesses_behind_the_same_proxy_keeps_out_nobody_who_lately_logged_in_through_it() {
    let central = with_passwords();
    administrator(&central);
    for (header, guesses_at) in [("X-Forwarded-For", "one"), ("X-Real-IP", "another"), ("Forwarded", "each")] {
        let from = |address: &str, name: &str, password: &str| {
            let said = if header == "Forwarded" { format!("for={address}") } else { address.to_owned() };
            let through = central.http.with(header, said);
            through.post("/api/access/login", &json!({"name": name, "password": password})).status
        };
        assert_eq!(from("192.168.1.50", "an", PASSWORD), 200, "{header}");
        let guess = |number: usize| {
            let name = if guesses_at == "each" { format!("ke-gian-{number}") } else { format!("ke-gian-{guesses_at}") };
            from("203.0.113.9", &name, "a guess")
        };
        assert!((0..50).any(|number| guess(number) == 429), "{header}: nobody slowed the guesses");
        assert_eq!(from("192.168.1.50", "an", PASSWORD), 200, "{header}");
    }
}
