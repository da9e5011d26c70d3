//! Who may do what, against a real central: every row of the table of routes, for everybody, in every mode, from the machine itself
//! and from elsewhere; logging in; keys of edges; browsers on foreign pages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "access/browsers.rs"]
mod browsers;
mod common;
#[path = "access/doers.rs"]
mod doers;
#[path = "access/edges.rs"]
mod edges;
#[path = "access/login.rs"]
mod login;
#[path = "faults/netns.rs"]
mod netns;

use common::{Central, Http, skip};
use parkmesh::access::right::Need;
use parkmesh::http::routes::ROUTES;
use serde_json::{Value, json};

const PASSWORD: &str = "ba con voi";

/// For `netns.rs`: runs a command to its end.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = std::process::Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {}: {said}", arguments.join(" "))) }
}

/// A caller that is logged in as `an`, who administers from the first code on.
fn administrator(central: &Central) -> Http {
    let body = json!({"code": central.first_code(), "name": "an", "password": PASSWORD});
    central.http.with("Cookie", central.http.post("/api/access/code", &body).ok().cookie())
}

fn log_in(central: &Central, name: &str, password: &str) -> Http {
    let reply = central.http.post("/api/access/login", &json!({"name": name, "password": password})).ok();
    central.http.with("Cookie", reply.cookie())
}

/// Everybody there is, by name.
struct Callers {
    all: Vec<(&'static str, Http)>,
}

impl Callers {
    /// Of a central with passwords: makes an operator, a shift lead, tokens of all roles, and a key of `edge-1`.
    fn make(central: &Central) -> Self {
        let an = administrator(central);
        for (name, role) in [("binh", "operator"), ("chi", "shift_lead")] {
            an.post("/api/access/people", &json!({"name": name, "role": role, "password": PASSWORD})).ok();
        }
        let token = |name: &str, role: &str| {
            let made = an.post("/api/access/tokens", &json!({"name": name, "role": role})).ok();
            central.http.with("Authorization", format!("Bearer {}", made.field("token")))
        };
        an.put("/api/p2p/config", &json!({"edges": [{"id": "edge-1"}]})).ok();
        let key = an.post("/api/access/edges/edge-1/key", &json!({})).ok().field("key").to_owned();
        let all = vec![
            ("nobody", central.http.clone()),
            ("edge", central.http.with("X-Edge-Key", key)),
            ("operator", log_in(central, "binh", PASSWORD)),
            ("shift lead", log_in(central, "chi", PASSWORD)),
            ("administrator", an.clone()),
            ("operator's token", token("watch", "operator")),
            ("shift lead's token", token("shift", "shift_lead")),
            ("administrator's token", token("backup", "administrator")),
        ];
        Self { all }
    }

    fn named(&self, wanted: &str) -> &Http {
        &self.all.iter().find(|(name, _)| *name == wanted).unwrap().1
    }
}

/// What keeps a caller from a call, as in the table of docs/http-api.md; `+`: nothing.
fn expected(need: Need, security: &Value, here: bool) -> [&'static str; 8] {
    const ALL: [&str; 8] = ["+"; 8];
    let login = ["login_required", "forbidden", "+", "+", "+", "+", "+", "+"];
    match need {
        Need::Nothing => ALL,
        Need::Look => {
            if security["reads"] == "login" {
                login
            } else {
                ALL
            }
        }
        Need::Gate if security["edges"] == "keys" => ["edge_key_required", "+", "+", "+", "+", "+", "+", "+"],
        Need::Gate => ALL,
        Need::Login => login,
        Need::Amend if security["admin"] == "password" => {
            ["login_required", "forbidden", "forbidden", "+", "+", "forbidden", "+", "+"]
        }
        Need::Administer if security["admin"] == "password" => {
            ["login_required", "forbidden", "forbidden", "forbidden", "+", "forbidden", "forbidden", "+"]
        }
        Need::Amend | Need::Administer => {
            if here {
                ALL
            } else {
                ["local_only"; 8]
            }
        }
    }
}

/// Makes every call of the table as everybody. Nothing is changed by it: bodies are missing, and what is named is not there.
fn check_every_row(callers: &Callers, security: &Value, here: bool) {
    let mut rows: Vec<_> =
        ROUTES.iter().flat_map(|(path, needs)| needs.iter().map(move |need| (*path, *need))).collect();
    // Ends the sessions it is called with.
    rows.sort_by_key(|(path, _)| *path == "/api/access/logout");
    let mut wrong = Vec::new();
    for (path, (method, need)) in rows {
        let path = path.replace("{path:.*}", "x").replace("{event_id}", "x").replace("{id}", "x");
        let path = path.replace("{name}", "x").replace("{edge_id}", "x").replace("{fingerprint}", "x");
        for ((name, http), expected) in callers.all.iter().zip(expected(need, security, here)) {
            let reply = http.send(method, &path, None).unwrap();
            let kept_out = matches!(reply.status, 401 | 403);
            let found = if kept_out { reply.field("code") } else { "+" };
            if found != expected {
                wrong.push(format!("{method} {path} as {name} ({security}, here: {here}): {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_call_is_for_whom_the_table_says_from_the_machine_itself() {
    for (admin, edges, reads) in [("password", "open", "open"), ("password", "keys", "login"), ("open", "keys", "open")]
    {
        let mut central = Central::new("central-1");
        central.config["security"] = json!({"admin": "password"});
        central.start();
        let callers = Callers::make(&central);
        let security = json!({"admin": admin, "edges": edges, "reads": reads});
        callers.named("administrator").put("/api/p2p/config", &json!({ "security": security })).ok();
        check_every_row(&callers, &security, true);
    }
}

#[test]
fn every_call_is_for_whom_the_table_says_from_elsewhere() {
    let hosts = match netns::Hosts::new(1) {
        Ok(hosts) => hosts,
        Err(why) => return skip("every_call_is_for_whom_the_table_says_from_elsewhere", &why),
    };
    for (admin, edges, reads) in [("password", "open", "open"), ("open", "keys", "open")] {
        let mut central = Central::new("central-1");
        central.config["security"] = json!({"admin": "password"});
        central.run_by(&hosts.runner(0));
        central.at_address(&hosts.address(0));
        central.start();
        let callers = Callers::make(&central);
        let security = json!({"admin": admin, "edges": edges, "reads": reads});
        callers.named("administrator").put("/api/p2p/config", &json!({ "security": security })).ok();
        check_every_row(&callers, &security, false);
    }
}
