//! The rules of the rooms, each a table, and what breaks them in a source text.

use std::collections::BTreeSet;

use crate::paths::{Named, What, named};

/// Every room with the rooms it may name, from the inside out. `wire` and `replication` are one layer: a frame carries a
/// run, and a committed run carries its frame.
pub const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("trust", &["domain"]),
    ("wire", &["domain", "replication"]),
    ("replication", &["domain", "trust", "wire"]),
    ("ledger", &["domain", "replication", "wire"]),
    ("simulation", &["domain", "replication", "wire", "ledger"]),
    ("feed", &["domain"]),
    ("access", &["domain"]),
    ("config", &["domain"]),
    ("vault", &["domain", "access"]),
    ("store", &["domain", "replication", "ledger"]),
    ("maintenance", &["domain", "wire", "replication", "ledger", "store"]),
    ("ops", &["domain"]),
    ("tls", &["domain"]),
    (
        "actors",
        &[
            "domain",
            "trust",
            "replication",
            "wire",
            "ledger",
            "feed",
            "access",
            "config",
            "vault",
            "store",
            "ops",
            "tls",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "trust",
            "replication",
            "wire",
            "ledger",
            "access",
            "config",
            "vault",
            "store",
            "ops",
            "tls",
            "actors",
        ],
    ),
    (
        "app",
        &[
            "domain",
            "replication",
            "wire",
            "ledger",
            "access",
            "config",
            "vault",
            "store",
            "ops",
            "tls",
            "actors",
            "http",
            "maintenance",
        ],
    ),
    ("tools", &["domain", "ops"]),
    (
        "main",
        &[
            "domain",
            "ledger",
            "config",
            "vault",
            "store",
            "ops",
            "tls",
            "actors",
            "http",
            "app",
            "tools",
            "maintenance",
            "simulation",
        ],
    ),
];

/// Rooms whose every result follows from their arguments.
pub const PURE: &[&str] = &["domain", "trust", "wire", "replication", "ledger", "simulation", "feed", "access"];

/// Crates that only compute. A pure room may name no other: a new dependency is impure until it stands here.
const PURE_CRATES: &[&str] = &["serde", "serde_json", "sha2", "thiserror", "jiff", "bytes", "zstd", "utoipa"];

/// What a pure room may not name, though `std` and the pure crates have it: clocks, disks, networks, the process.
const IMPURE: &[&str] = &[
    "std::time::SystemTime",
    "std::time::Instant",
    "std::time::UNIX_EPOCH",
    // Addresses are values; what follows is the network.
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::hash::RandomState",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "Timestamp::now",
    "Zoned::now",
    "SystemTime",
    "Instant",
];

/// Crates only some rooms may name: the place where a decision can be changed stays one place.
const RESERVED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("argon2", &["vault"]),
    ("governor", &["actors", "http"]),
    ("clap", &["main", "ops", "tools"]),
    ("clap_mangen", &["main"]),
    ("clap_complete", &["main"]),
    ("sd_notify", &["ops"]),
    ("actix", &["actors", "http", "app", "main"]),
    ("actix_web", &["actors", "http", "app", "tools"]),
    ("actix_web_actors", &["http"]),
    ("rustls", &["tls"]),
    ("rcgen", &["tls"]),
    ("tokio", &["actors", "http", "app", "ops", "tools"]),
];

/// The longest file, in lines: longer ones hold more than one noun.
const MAX_LINES: usize = 800;

/// The module a file of `src` is: `domain/stay/mod.rs` is `domain::stay`.
pub fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> =
        file.strip_suffix(".rs").expect("a Rust source").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// What is wrong with a file of `src` (a path below it, with `/`), as `file:line: sentence`. `crates` are the names of our
/// dependencies, as in source text.
pub fn faults(file: &str, text: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let module = module_of(file);
    let room = module.first().expect("a file has a name").clone();
    let mut faults = Vec::new();
    for thing in named(text, if room == "main" || room == "lib" { &[] } else { &module }) {
        faults.extend(fault(&room, &thing, crates).map(|why| format!("src/{file}:{}: {why}", thing.line)));
    }
    for (index, line) in text.lines().enumerate() {
        if ["TODO", "FIXME"].iter().any(|mark| line.contains(mark)) {
            faults.push(format!("src/{file}:{}: nothing is left for later", index + 1));
        }
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("src/{file}: {lines} lines, at most {MAX_LINES}: split it"));
    }
    faults
}

fn fault(room: &str, thing: &Named, crates: &BTreeSet<String>) -> Option<String> {
    match &thing.what {
        What::Macro(name) => macro_fault(room, name, &thing.module),
        What::Own(path) => arrow_fault(room, path),
        What::Other(path) => other_fault(room, path, &thing.module, crates),
    }
}

fn macro_fault(room: &str, name: &str, module: &[String]) -> Option<String> {
    match name {
        "todo" | "unimplemented" | "dbg" => Some(format!("`{name}!` is not for finished code")),
        "print" | "println" | "eprint" | "eprintln" => {
            // A test prints its seed.
            let may_print = room == "main" || room == "tools" || module.iter().any(|part| part == "tests");
            (!may_print).then(|| format!("`{name}!` in `{room}`: only `main` and `tools` print, the others log"))
        }
        _ => None,
    }
}

fn arrow_fault(room: &str, path: &[String]) -> Option<String> {
    let other = path.first()?;
    if other == room || room == "lib" {
        return None;
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return Some(format!("`{room}` is no known room: give it a place in tests/architecture/rules.rs"));
    };
    (!allowed.contains(&other.as_str())).then(|| format!("a wrong arrow: `{room}` may not name `{other}`"))
}

fn other_fault(room: &str, path: &[String], module: &[String], crates: &BTreeSet<String>) -> Option<String> {
    let first = path.first()?;
    if let Some((_, rooms)) = RESERVED.iter().find(|(name, _)| name == first)
        && path.len() > 1
        && !rooms.contains(&room)
    {
        return Some(format!("`{first}` is for {rooms:?} alone, not for `{room}`"));
    }
    if !PURE.contains(&room) {
        return None;
    }
    if path.len() > 1 && crates.contains(first) && !PURE_CRATES.contains(&first.as_str()) {
        return Some(format!("`{room}` is pure and may not name the crate `{first}`"));
    }
    let text = path.join("::");
    let whole =
        path.last().is_some_and(|last| last == "*") || ["std", "std::time", "std::net"].contains(&text.as_str());
    // A test takes a seed from its environment.
    if text.starts_with("std::env") && module.iter().any(|part| part == "tests") {
        return None;
    }
    let impure = IMPURE.iter().find(|impure| {
        text == **impure
            || text.starts_with(&format!("{impure}::"))
            || whole && impure.starts_with(text.trim_end_matches('*'))
    });
    impure.map(|impure| format!("`{room}` is pure and may not name `{text}` ({impure}): make it an argument"))
}
