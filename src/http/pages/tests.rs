use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::alarms::reasons::vietnamese;

fn text(path: &str) -> String {
    String::from_utf8(Assets::get(path).unwrap_or_else(|| panic!("{path}")).data.into_owned()).unwrap()
}

/// Our own files that end so.
fn ours(ending: &str) -> Vec<(String, String)> {
    let names = Assets::iter().filter(|path| !path.starts_with("vendor/") && path.ends_with(ending));
    names.map(|path| (path.to_string(), text(&path))).collect()
}

/// All texts of a language; each begins with the name of its file.
fn texts(language: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (path, content) in ours(".json") {
        let Some(part) = path.strip_prefix(&format!("i18n/{language}/")).and_then(|path| path.strip_suffix(".json"))
        else {
            continue;
        };
        let found: BTreeMap<String, String> =
            serde_json::from_str(&content).unwrap_or_else(|why| panic!("{path}: {why}"));
        for (key, text) in found {
            assert!(key.starts_with(&format!("{part}.")), "{path}: {key} begins with the name of its file");
            assert!(!text.trim().is_empty(), "{path}: {key} is empty");
            all.insert(key, text);
        }
    }
    all
}

/// What stands between `before` and the next `after`, each time.
fn between<'a>(content: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
    content.split(before).skip(1).filter_map(move |rest| Some(rest.split_once(after)?.0))
}

#[test]
fn both_languages_say_the_same_things_with_the_same_blanks() {
    type Shape = BTreeMap<String, BTreeSet<String>>;
    let shape = |language| -> Shape {
        let blanks = |text: &str| between(text, "{", '}').map(str::to_owned).collect();
        texts(language).iter().map(|(key, text)| (key.clone(), blanks(text))).collect()
    };
    let differing = |a: &Shape, b: &Shape| -> Vec<String> {
        a.iter().filter(|(key, blanks)| b.get(*key) != Some(blanks)).map(|(key, _)| key.clone()).collect()
    };
    let (vi, en) = (shape("vi"), shape("en"));
    assert_eq!((differing(&vi, &en), differing(&en, &vi)), (Vec::new(), Vec::new()));
    assert!(vi.len() > 50);
}

#[test]
fn every_text_in_the_html_is_the_vietnamese_one_and_none_is_hard_coded() {
    let vietnamese = texts("vi");
    // Names, not words.
    let names = ["ParkMesh", "VI", "EN", "–"];
    let mut seen = 0;
    for (path, content) in ours(".html") {
        for tag in content.split('<').skip(1) {
            let (tag, shown) = tag.split_once('>').unwrap_or((tag, ""));
            let attribute = |name: &str| between(tag, &format!(" {name}=\""), '"').next().map(str::to_owned);
            if let Some(key) = attribute("data-text") {
                assert_eq!(vietnamese.get(&key).map(String::as_str), Some(shown), "{path}: {key}");
                seen += 1;
            } else {
                let said = shown.trim();
                let is_word = said.chars().any(char::is_alphabetic) && !said.starts_with('{');
                assert!(!is_word || names.contains(&said), "{path}: \"{said}\" has no data-text");
            }
            for (key, shown) in
                [("data-label", "aria-label"), ("data-title", "title"), ("data-placeholder", "placeholder")]
            {
                if let Some(key) = attribute(key) {
                    assert_eq!(vietnamese.get(&key), attribute(shown).as_ref(), "{path}: {key}");
                } else if let Some(said) = attribute(shown).filter(|_| attribute("data-language").is_none()) {
                    // An example of what may be typed is no text.
                    if shown == "placeholder" && !said.contains(' ') {
                        continue;
                    }
                    panic!("{path}: {shown}=\"{said}\" has no key");
                }
            }
        }
    }
    assert!(seen > 15);
}

/// The sentences centrals say to each other when something comes to nothing, with values.
fn reasons() -> Vec<String> {
    use crate::actors::mesh_registry::guests::GuestRefused;
    use crate::domain::fingerprint::Fingerprint;
    use crate::domain::ids::CentralId;
    use crate::links::socket::DialError;
    use crate::replication::handshake::{HelloRefusal, VERSIONS};
    use crate::trust::invitation::{BadInvitation, CodeRefused};
    use crate::trust::judge::Distrust;

    let id = |id: &str| CentralId::new(id).unwrap();
    let (a, b, shown) = (id("central-1"), id("central-2"), Fingerprint::of_certificate(b"x"));
    let distrust = [
        Distrust::Changed { claimed: a.clone(), pinned: shown },
        Distrust::Refused(a.clone()),
        Distrust::Expelled(a.clone()),
        Distrust::OwnCertificate { claimed: a.clone(), own: b.clone() },
        Distrust::OwnId(a.clone()),
        Distrust::OfAnother { claimed: a.clone(), owner: b.clone() },
        Distrust::Elsewhere(a.clone()),
        Distrust::Unknown(a.clone()),
    ];
    let other_site =
        crate::trust::site::OtherSite { ours: crate::trust::site::SiteId(1), theirs: crate::trust::site::SiteId(2) };
    let hello = [
        HelloRefusal::Version { theirs: VERSIONS },
        HelloRefusal::Identity { expected: a.clone(), found: b },
        HelloRefusal::NotConfigured(a.clone()),
        HelloRefusal::SelfConnection,
        HelloRefusal::DuplicateCentralId(a.clone()),
        HelloRefusal::OtherSite(other_site),
        HelloRefusal::HelloExpected,
        HelloRefusal::CertificateExpected,
    ];
    let dial = [DialError::TimedOut(2_000), DialError::OtherCertificate(shown), DialError::NotOurs];
    let invitation = [BadInvitation::Form, BadInvitation::Part];
    let code = [CodeRefused::Unknown, CodeRefused::Expired];
    let mut said: Vec<String> = distrust.iter().map(ToString::to_string).collect();
    said.extend(hello.iter().map(ToString::to_string));
    said.extend(hello.iter().map(|refusal| format!("the peer refused: {refusal}")));
    said.extend(dial.iter().map(ToString::to_string));
    said.extend(invitation.iter().map(ToString::to_string));
    said.extend(code.iter().map(ToString::to_string));
    said.push(GuestRefused::NotSaved.to_string());
    said.extend(of_files());
    said
}

/// What the notices say of files and ports: of errors by their types, of the rest by the sentences in the sources.
fn of_files() -> Vec<String> {
    use std::io::{Error, ErrorKind};

    use crate::config::file::LoadError;
    use crate::store::error::{DAMAGED, PUT_BACK, StoreError, told_put_off, told_remade, told_salvaged};
    use crate::tls::credentials::BadCredentials;
    use crate::tls::key_file::IdentityError;

    let path = || std::path::PathBuf::from("/data/x");
    let system = [2, 5, 13, 21, 28, 30, 98, 99].map(Error::from_raw_os_error);
    let mut said: Vec<String> = system.iter().map(ToString::to_string).collect();
    let beside = format!("{PUT_BACK}; all that was acknowledged lies in /data/x");
    let in_place = "; all that was acknowledged lies in /data/x again: the next start goes on with it".to_owned();
    for error in [
        StoreError::LogCut { path: path() },
        StoreError::Vanished { path: path(), kept: PUT_BACK.to_owned() },
        StoreError::Vanished { path: path(), kept: beside },
        StoreError::Vanished { path: path(), kept: in_place },
        StoreError::Directory { path: path(), source: ErrorKind::NotFound.into() },
    ] {
        said.push(error.to_string());
    }
    for reason in [BadCredentials::NoKey, BadCredentials::NoCertificate] {
        said.push(reason.to_string());
        said.push(IdentityError::Damaged { path: path(), reason: reason.to_string() }.to_string());
    }
    said.push(IdentityError::DiskFull(path()).to_string());
    for doing in ["read", "written", "made unreadable for others"] {
        let error = IdentityError::File { path: path(), doing, source: ErrorKind::NotFound.into() };
        said.push(format!("{error}: {}", Error::from_raw_os_error(2)));
    }
    for error in [
        LoadError::NotFound { path: path() },
        LoadError::Unreadable { path: path(), error: ErrorKind::NotFound.into() },
        LoadError::Syntax { path: path(), line: 1, column: 2, reason: "expected value".to_owned() },
    ] {
        said.push(error.to_string());
    }
    said.push(format!("{}port: a number", LoadError::Invalid { path: path(), problems: Vec::new() }));
    let sentences = [
        include_str!("../../store/left.rs").split("#[cfg(test)]").next().unwrap_or_default(),
        include_str!("../../store/writer/standing.rs"),
        include_str!("../../store/missed.rs"),
    ];
    for (source, from) in
        [(0, "let told = format!("), (0, "Ok(Some(format!("), (1, "Ok(()) => format!("), (2, "Some(format!(")]
    {
        said.extend(sentences_after(sentences[source], from));
    }
    for left in [
        "central.db.damaged",
        "accounts.json.damaged",
        "central.db.rescued",
        "central.db-wal.foreign",
        "central.db-wal.damaged",
        "central.db-wal.recovered",
    ] {
        let what = sentences_after(sentences[0], &format!("\"{left}\","));
        assert_eq!(what.len(), 1, "{left}");
        said.push(format!("/data/{left}: {}", what[0]));
    }
    let desks = [
        include_str!("../../desks/alarm_desk.rs"),
        include_str!("../../desks/invoice_desk.rs"),
        include_str!("../../actors/clerk.rs"),
        include_str!("../../actors/status_feed/sources.rs"),
    ];
    for (source, from, count) in [
        (0, "NotTold::Yet(format!(", 3),
        (0, "            return Err(NotTold::Yet(", 1),
        (1, "NotTold::Yet(format!(", 1),
        (1, "NotTold::Ever(format!(", 2),
        (2, "map_err(|_| NotTold::Yet(", 1),
        (3, "const ALL_TAKEN: &str =", 1),
    ] {
        let found = sentences_after(desks[source], from);
        assert_eq!(found.len(), count, "{from}: {found:?}");
        said.extend(found);
    }
    let held = sentences_after(include_str!("../../store/checkpoint.rs"), "others.is_empty() {");
    said.extend(held.iter().map(|held| format!("7 MB; {held}")));
    let unreadable = StoreError::Value("edge_id (at 3)".to_owned()).to_string();
    said.extend([told_remade(&unreadable, 5, None), told_put_off(&unreadable)]);
    said.extend([told_remade(&told_salvaged(&path()), 5, None), told_put_off(DAMAGED)]);
    assert!(said.len() > 25 && said.iter().any(|text| text.contains("is not the log of this database")), "{said:?}");
    said
}

/// The literals that stand first after `from`, with something in each blank.
fn sentences_after(source: &str, from: &str) -> Vec<String> {
    source
        .split(from)
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .map(|literal| {
            let one_line: Vec<&str> = literal.split("\\\n").map(str::trim_start).collect();
            one_line.concat().split('{').enumerate().fold(String::new(), |text, (number, part)| match number {
                0 => part.to_owned(),
                _ => text + "x" + part.split_once('}').map_or("", |(_, rest)| rest),
            })
        })
        .collect()
}

#[test]
fn what_centrals_refuse_each_other_for_has_its_vietnamese() {
    let table: BTreeMap<String, String> = serde_json::from_str(&text("i18n/reasons.json")).unwrap();
    let blanks = |text: &str| between(text, "{", '}').map(str::to_owned).collect::<BTreeSet<_>>();
    for (said, vietnamese) in &table {
        assert!(blanks(vietnamese).is_subset(&blanks(said)), "{said}: a blank that is not there");
    }
    for said in reasons() {
        assert!(vietnamese(&said).is_some(), "no Vietnamese for: {said}");
    }
}

/// String literals of a module, without those inside `${…}`.
fn literals(content: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in content.lines() {
        let code = line.split("// ").next().unwrap_or_default();
        if code.trim_start().starts_with('*') || code.trim_start().starts_with("/*") {
            continue;
        }
        for quote in ['"', '`'] {
            found.extend(code.split(quote).skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

#[test]
fn no_module_has_words_of_its_own_and_every_key_it_uses_is_there() {
    let keys: BTreeSet<String> = texts("vi").into_keys().collect();
    let parts: BTreeSet<&str> = keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (path, content) in ours(".html") {
        for attribute in ["data-text", "data-label", "data-title", "data-placeholder"] {
            used.extend(between(&content, &format!("{attribute}=\""), '"').map(str::to_owned));
        }
        assert!(!path.is_empty());
    }
    for (path, content) in ours(".js") {
        for literal in literals(&content) {
            let is_foreign = literal.chars().any(|c| c.is_alphabetic() && !c.is_ascii() && c != 'đ');
            let mut letters = literal.chars();
            let is_sentence = letters.next().is_some_and(char::is_uppercase)
                && letters.next().is_some_and(char::is_lowercase)
                && literal.contains(' ')
                && !literal.contains('$');
            assert!(!is_foreign && !is_sentence, "{path}: \"{literal}\" belongs into static/i18n");
            let Some((part, rest)) = literal.split_once('.') else { continue };
            if !parts.contains(part) || rest.contains(['/', ' ']) || rest.is_empty() {
                continue;
            }
            // `settings.link_${state}`: any key that begins so.
            let prefix = literal.split("${").next().unwrap_or_default();
            let found: Vec<String> = if prefix == literal {
                keys.iter().filter(|key| **key == literal).cloned().collect()
            } else {
                keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect()
            };
            assert!(!found.is_empty(), "{path}: no text \"{literal}\"");
            used.extend(found);
        }
    }
    let unused: Vec<_> = keys.difference(&used).collect();
    assert!(unused.is_empty(), "texts nobody shows: {unused:?}");
}

#[test]
fn every_icon_and_every_loaded_file_is_there() {
    let sprite = text("vendor/bootstrap-icons/sprite.svg");
    for (path, content) in ours(".html").into_iter().chain(ours(".js")) {
        for name in between(&content, "data-icon=\"", '"').chain(between(&content, "icon(\"", '"')) {
            assert!(sprite.contains(&format!("id=\"{name}\"")), "{path}: icon {name}: npm run vendor in tests/browser");
        }
        for file in between(&content, "\"/static/", '"').filter(|file| !file.contains('{')) {
            assert!(Assets::get(file).is_some(), "{path}: {file}");
        }
    }
}

#[test]
fn every_page_is_composed_of_files_that_are_there() {
    for (path, name) in PAGES {
        let page = compose(name).unwrap_or_else(|| panic!("{path}: static/{name}.html"));
        assert!(
            page.contains(&format!("/js/{name}.js\"")) && page.contains("<h1") && !page.contains("{main}"),
            "{path}"
        );
        for file in [format!("js/{name}.js"), format!("css/{name}.css")] {
            assert!(Assets::get(&file).is_some(), "{path}: static/{file}");
        }
    }
}

#[test]
fn the_pages_load_nothing_from_elsewhere_and_have_no_inline_code() {
    for path in Assets::iter() {
        assert_ne!(content_type(&path), "application/octet-stream", "{path}");
    }
    for (path, content) in [".html", ".js", ".css", ".svg", ".json"].into_iter().flat_map(ours) {
        let content = content.replace("http://www.w3.org/2000/svg", "");
        assert!(!content.contains("http://") && !content.contains("https://"), "{path}");
        for inline in ["<style", " style=\"", " onclick=", "javascript:", "<script>", "innerHTML"] {
            assert!(!content.contains(inline), "{path}: {inline}");
        }
    }
    for package in ["bootstrap", "bootstrap-icons", "uplot"] {
        assert!(text(&format!("vendor/{package}/LICENSE")).contains("MIT"), "{package}");
    }
}

#[test]
fn what_a_page_loads_is_small_once_compressed() {
    let bytes: usize = Assets::iter()
        .map(|path| {
            let content: Bytes = Assets::get(&path).unwrap().data.into_owned().into();
            gzipped(Sha256::digest(&content).into(), &content).len()
        })
        .sum();
    // All pages together.
    assert!(bytes < 400_000, "{bytes}");
}

/// The names that stand in a source after each of `befores`, without its tests.
fn names_in(source: &str, befores: &[&str]) -> impl Iterator<Item = String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let mut all = BTreeSet::new();
    for before in befores {
        let found: Vec<&str> = between(code, before, '"').filter(is_name).collect();
        assert!(!found.is_empty(), "nothing stands after {before}");
        all.extend(found.into_iter().map(str::to_owned));
    }
    all.into_iter()
}

#[test]
fn no_english_text_is_wrong_of_one() {
    // Said of more than one alone.
    let of_several = ["audit.times"];
    for (key, text) in texts("en") {
        for count in ["{n} ", "{all} ", "{entries} ", "{exits} "] {
            let words = text.split(count).skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphabetic()).next());
            let plural: Vec<&str> = words.filter(|word| word.len() > 3 && word.ends_with('s')).collect();
            assert!(plural.is_empty() || of_several.contains(&key.as_str()), "{key}: \"{text}\" of one");
        }
    }
}

/// The names of all values of a type, as its schema lists them.
fn listed<T: utoipa::PartialSchema>() -> impl Iterator<Item = String> {
    let schema = serde_json::to_value(T::schema()).unwrap();
    let names: Vec<String> = serde_json::from_value(schema["enum"].clone()).unwrap();
    names.into_iter()
}

#[test]
fn every_code_of_the_program_has_its_words_in_both_languages() {
    use crate::access::right::Role;
    use crate::config::alarms::ChannelKind;
    use crate::config::change::ChangeKind;
    use crate::config::model::{AdminMode, ApiMode, DiscoveryMode, EdgesMode, P2pMode, PeopleMode, ReadsMode};
    use crate::desks::people_desk::WhyNotKnown;
    use crate::domain::anomaly::Anomaly;
    use crate::domain::audit::Kind;
    use crate::domain::payment::{Method, Part};
    use crate::domain::row::StayStatus;
    use crate::domain::tariff::plan::Mixed;
    use crate::domain::told::vehicle;
    use crate::http::error::Code;
    use crate::links::nearby::Nearness;

    // Answers to programs alone: no page makes such a request.
    let of_programs = [
        "invalid_json",
        "invalid_body",
        "broken_body",
        "invalid_field",
        "invalid",
        "invalid_query",
        "not_a_websocket",
        "unsupported_media_type",
        "method_not_allowed",
        "not_a_peer",
        "other_edge",
        "request_timeout",
        "peer_unreachable",
        // Its sentence says why; the words are in reasons.json.
        "invitation_refused",
    ];
    let of = |begin: &'static str| move |name: String| format!("{begin}{name}");
    let mut keys: Vec<String> = Vec::new();
    keys.extend(StayStatus::ALL.iter().map(|status| format!("common.stay_{}", status.name())));
    keys.extend(Anomaly::ALL.iter().map(|anomaly| format!("common.anomaly_{}", anomaly.name())));
    keys.extend(Kind::ALL.iter().map(|kind| format!("audit.kind_{}", kind.name())));
    keys.extend(names_in(include_str!("../../feed/line.rs"), &["bare(\"", "as_deref(), \""]).map(of("common.kind_")));
    // What needs a hand, and what to do about it.
    let needs = names_in(
        include_str!("../../alarms/attention.rs"),
        &["Attention::own(\"", "Attention::about(\"", "differing(\""],
    );
    let sources = include_str!("../../actors/status_feed/sources.rs");
    let notices = between(sources, "#[schema(pattern = \"^(", ')').next().unwrap().split('|').map(str::to_owned);
    for code in needs.chain(notices) {
        keys.extend([format!("common.notice_{code}"), format!("common.todo_{code}")]);
    }
    keys.extend(names_in(include_str!("../../store/reader/payments.rs"), &["=> \""]).map(of("common.payment_")));
    let waits = include_str!("../../actors/mesh_registry/survey.rs").split_once("fn wait_name").unwrap().1;
    keys.extend(names_in(waits, &["=> \""]).map(of("settings.waits_")));
    keys.extend(Method::ALL.iter().map(|method| format!("common.paid_{}", method.name())));
    keys.extend(WhyNotKnown::ALL.iter().map(|why| format!("login.not_known_{}", why.name())));
    keys.extend(vehicle::names().map(|name| format!("common.type_{name}")));
    keys.extend(listed::<Part>().map(of("common.line_")));
    keys.extend(listed::<Role>().map(of("common.role_")));
    keys.extend(listed::<ChangeKind>().map(of("settings.applied_")));
    keys.extend(listed::<Mixed>().map(of("settings.mixed_")));
    keys.extend(ChannelKind::ALL.iter().map(|kind| format!("settings.channel_kind_{}", kind.name())));
    keys.extend(Nearness::ALL.iter().map(|near| format!("settings.nearby_{}", near.name())));
    for (name, modes) in [
        ("admin", listed::<AdminMode>().collect::<Vec<_>>()),
        ("api", listed::<ApiMode>().collect()),
        ("discovery", listed::<DiscoveryMode>().collect()),
        ("edges", listed::<EdgesMode>().collect()),
        ("p2p", listed::<P2pMode>().collect()),
        ("people", listed::<PeopleMode>().collect()),
        ("reads", listed::<ReadsMode>().collect()),
    ] {
        let words = |mode: &String| ["mode", "meaning"].map(|what| format!("settings.{what}_{name}_{mode}"));
        keys.extend(modes.iter().flat_map(words));
    }
    let codes = Code::ALL.iter().map(|code| code.name());
    keys.extend(codes.filter(|code| !of_programs.contains(code)).map(|code| format!("common.error_{code}")));
    let (vi, en) = (texts("vi"), texts("en"));
    let missing: Vec<&String> = keys.iter().filter(|key| !vi.contains_key(*key) || !en.contains_key(*key)).collect();
    assert!(missing.is_empty(), "no words for {missing:?}");
    // What the pages offer is kept under the name it is offered by: "bike" is a motorbike.
    let modules = text("js/lib/texts.js");
    let offered = between(&modules, "KNOWN_TYPES = [", ']').next().unwrap();
    let offered: Vec<&str> = offered.split(", ").map(|name| name.trim_matches('"')).collect();
    for name in &offered {
        assert!(matches!(vehicle::read(name), vehicle::ToldVehicle::Known(kept) if kept == *name), "{name}");
    }
    assert!(vehicle::names().all(|name| offered.contains(&name)), "{offered:?}");
    for status in StayStatus::ALL {
        assert_ne!(word(false, "stay", status.name()), status.name(), "tables say words too");
    }
}

#[test]
fn no_page_needs_a_browser_younger_than_chromium_90() {
    // Each came later, as far as 2024; what stands in its place is in the modules.
    let in_code = [
        "AbortSignal.timeout",
        "AbortSignal.any",
        ".toReversed(",
        ".toSorted(",
        ".toSpliced(",
        ".with(",
        ".at(-",
        ".findLast",
        "structuredClone",
        "Intl.supportedValuesOf(",
        ".inert",
        "Object.hasOwn",
        "Object.groupBy",
        "Array.fromAsync",
        "Promise.withResolvers",
        "crypto.randomUUID",
        ".showPopover",
        "static {",
        "import.meta.resolve",
        "scheduler.",
    ];
    let in_styles = [
        ":has(",
        "color-mix(",
        "@container",
        "@layer",
        "dvh",
        "svh",
        "lvh",
        "cqi",
        "subgrid",
        "oklch(",
        "light-dark(",
        "@starting-style",
        "text-wrap",
        "animation-timeline",
        "accent-color",
    ];
    for (ending, newer) in [(".js", &in_code[..]), (".html", &[" inert", " popover"][..]), (".css", &in_styles[..])] {
        for (path, content) in ours(ending) {
            let found: Vec<_> = newer.iter().filter(|name| content.contains(**name)).collect();
            assert!(found.is_empty(), "{path}: {found:?}");
        }
    }
}
