//! The rules of the rooms, each a table, and what breaks them in a source text.

use std::collections::BTreeSet;

use crate::paths::{Named, What, named};

/// The rooms in layers, from the inside out: a room may name those of the layers before its own. `a::b` is a part of `a` with a
/// place of its own. `wire` and `replication` name each other: a frame carries a run, and a committed run carries its frame.
pub const LAYERS: &[&[&str]] = &[
    &["domain"],
    &["trust"],
    &["wire", "replication"],
    &["ledger", "feed", "access", "alarms", "legacy::dialect", "background", "disk"],
    &["config", "vault", "store", "ops", "tls", "legacy::peer", "lab::simulation"],
    &["maintenance"],
    &["desks", "links", "gates"],
    &["actors"],
    &["http"],
    &["legacy"],
    &["app"],
    &["lab"],
    &["main"],
];

/// Rooms that know less than their layer would let them.
const KNOWS_ONLY: &[(&str, &[&str])] = &[
    ("background", &[]),
    ("disk", &[]),
    ("feed", &["domain"]),
    ("access", &["domain"]),
    ("alarms", &["domain"]),
    ("config", &["domain", "disk"]),
    ("vault", &["domain", "access", "disk"]),
    ("store", &["domain", "replication", "ledger", "background"]),
    ("ops", &["domain"]),
    ("tls", &["domain", "disk"]),
    ("gates", &["domain", "replication", "ledger", "config"]),
    // The programs know a central by its HTTP API alone.
    ("lab", &["domain", "ops"]),
];

/// Rooms whose every result follows from their arguments.
pub const PURE: &[&str] = &[
    "domain",
    "trust",
    "wire",
    "replication",
    "ledger",
    "feed",
    "access",
    "alarms",
    "legacy::dialect",
    "legacy::peer",
    "lab::simulation",
];

/// The room a module is in, and its layer.
fn place(module: &[String]) -> Option<(&'static str, usize)> {
    let rooms = || LAYERS.iter().enumerate().flat_map(|(layer, rooms)| rooms.iter().map(move |room| (*room, layer)));
    let first = module.first()?;
    let part = module.get(..2).map(|part| part.join("::"));
    part.and_then(|part| rooms().find(|(room, _)| *room == part)).or_else(|| rooms().find(|(room, _)| room == first))
}

/// Crates that only compute. A pure room may name no other: a new dependency is impure until it stands here.
const PURE_CRATES: &[&str] =
    &["serde", "serde_json", "sha2", "thiserror", "jiff", "bytes", "zstd", "utoipa", "foldhash", "icu_normalizer"];

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
    ("rusqlite", &["store", "legacy"]),
    ("argon2", &["vault"]),
    ("governor", &["links", "actors", "http"]),
    ("clap", &["main", "ops", "lab"]),
    ("clap_mangen", &["main"]),
    ("clap_complete", &["main"]),
    ("sd_notify", &["ops"]),
    ("actix", &["links", "actors", "http", "legacy", "app", "main"]),
    ("actix_web", &["http", "app", "lab"]),
    ("actix_web_actors", &["http"]),
    ("rustls", &["tls"]),
    ("rustls_native_certs", &["tls"]),
    ("lettre", &["desks"]),
    ("rcgen", &["tls"]),
    ("tokio", &["desks", "links", "gates", "actors", "http", "legacy", "app", "ops", "lab"]),
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
    let first = module.first().expect("a file has a name").as_str();
    let room = place(&module).map_or(first, |(room, _)| room);
    let mut faults = Vec::new();
    for thing in named(text, if room == "main" || room == "lib" { &[] } else { &module }) {
        faults.extend(fault(room, &thing, crates).map(|why| format!("src/{file}:{}: {why}", thing.line)));
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
            let may_print = room == "main" || room == "lab" || module.iter().any(|part| part == "tests");
            (!may_print).then(|| format!("`{name}!` in `{room}`: only `main` and `lab` print, the others log"))
        }
        _ => None,
    }
}

fn arrow_fault(room: &str, path: &[String]) -> Option<String> {
    let Some((_, layer)) = place(&[room.to_owned()]) else {
        let unknown = room != "lib";
        return unknown.then(|| format!("`{room}` is no known room: give it a place in tests/architecture/rules.rs"));
    };
    let (other, mut others_layer) = place(path)?;
    let (whole, own) = (path.first()?, room.split("::").next()?);
    if whole != own {
        // A part is as far outside as its room.
        others_layer = place(std::slice::from_ref(whole))?.1;
    }
    let allowed = match KNOWS_ONLY.iter().find(|(name, _)| *name == room) {
        Some((_, only)) => only.contains(&other),
        None => others_layer < layer || [room, other].iter().all(|room| ["wire", "replication"].contains(room)),
    };
    (!allowed && other != room).then(|| format!("a wrong arrow: `{room}` may not name `{other}`"))
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
