//! One line per event, for people or as JSON, on stderr. Format: docs/logs.md.
//!
//! Every line of ours carries the key `event`, its stable name; lines of libraries do not. Values never hold a secret.
//! With masking on, plates (and the stay ids that contain one) are shown as `29A***45`.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Record};

/// The libraries below us say at `info` what our own lines say better. `actix_http` and `rustls` complain of each byte that others
/// send wrong, without a bound: `input_refused` says that at a bounded rate.
const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http=off,rustls=off,actix_web=warn,mio=warn";

/// Keys whose values are, or contain, a plate.
const PLATE_KEYS: [&str; 4] = ["plate", "plate_view", "stay", "event_id"];

static MASK_PLATES: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);
static KEEP_FORMAT: AtomicBool = AtomicBool::new(false);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LineFormat {
    /// `2026-11-22T05:00:00.123Z INFO event=peer_connected peer=central-2 | peer connected`
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Turns the masking of plates on or off, at any time.
pub fn set_plate_masking(on: bool) {
    MASK_PLATES.store(on, Ordering::Relaxed);
}

/// Changes how lines look, at any time; not where the command line said it.
pub fn set_format(format: LineFormat) {
    if !KEEP_FORMAT.load(Ordering::Relaxed) {
        JSON.store(format == LineFormat::Json, Ordering::Relaxed);
    }
}

/// The command line said how lines look: settings do not change it.
pub fn keep_format(on: bool) {
    KEEP_FORMAT.store(on, Ordering::Relaxed);
}

/// Installs the logger. `RUST_LOG` overrides the default filter. A second call changes nothing (tests).
pub fn install(format: LineFormat) {
    set_format(format);
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info).parse_filters(DEFAULT_FILTER);
    if let Ok(filter) = std::env::var("RUST_LOG") {
        builder.parse_filters(&filter);
    }
    builder.format(move |out, record| {
        let format = if JSON.load(Ordering::Relaxed) { LineFormat::Json } else { LineFormat::Text };
        let line = render(format, &jiff::Timestamp::now(), record);
        out.write_all(&line)
    });
    drop(builder.try_init());
}

/// One line, with its line feed.
fn render(format: LineFormat, now: &jiff::Timestamp, record: &Record<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(160);
    let written = match format {
        LineFormat::Text => write_text(&mut line, now, record),
        LineFormat::Json => write_json(&mut line, now, record),
    };
    // Writing to memory fails only if a value's own Display does; the line then says at least this much.
    if written.is_err() {
        line.extend_from_slice(b" (unprintable)");
    }
    line.push(b'\n');
    line
}

fn write_text(line: &mut Vec<u8>, now: &jiff::Timestamp, record: &Record<'_>) -> io::Result<()> {
    write!(line, "{now:.3} {:<5}", record.level())?;
    let pairs = Pairs::of(record);
    match &pairs.event {
        Some(name) => write!(line, " event={name}")?,
        None => write!(line, " target={}", record.target())?,
    }
    for (key, field) in &pairs.rest {
        match field {
            Field::Text(text) if needs_quotes(text) => write!(line, " {key}={text:?}")?,
            Field::Text(text) => write!(line, " {key}={text}")?,
            Field::Json(value) => write!(line, " {key}={value}")?,
        }
    }
    write!(line, " | {}", record.args().to_string().replace(['\n', '\r'], " "))
}

fn write_json(line: &mut Vec<u8>, now: &jiff::Timestamp, record: &Record<'_>) -> io::Result<()> {
    let pairs = Pairs::of(record);
    write!(line, "{{\"ts\":\"{now:.3}\",\"level\":\"{}\"", level_name(record.level()))?;
    match &pairs.event {
        Some(name) => write!(line, ",\"event\":{}", json_text(name))?,
        None => write!(line, ",\"target\":{}", json_text(record.target()))?,
    }
    write!(line, ",\"msg\":{}", json_text(&record.args().to_string()))?;
    for (key, field) in &pairs.rest {
        write!(line, ",{}:", json_text(key))?;
        match field {
            Field::Text(text) => write!(line, "{}", json_text(text))?,
            Field::Json(value) => write!(line, "{value}")?,
        }
    }
    line.push(b'}');
    Ok(())
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn json_text(text: &str) -> serde_json::Value {
    serde_json::Value::String(text.to_owned())
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '|'))
}

/// A value: text, or a number or truth value in its JSON form.
enum Field {
    Text(String),
    Json(String),
}

/// The key-values of a record, `event` apart.
#[derive(Default)]
struct Pairs {
    event: Option<String>,
    rest: Vec<(String, Field)>,
}

impl Pairs {
    fn of(record: &Record<'_>) -> Self {
        let mut pairs = Self::default();
        // The visitor below never fails, so neither does the visit.
        drop(record.key_values().visit(&mut pairs));
        pairs
    }
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if key.as_str() == "event" {
            self.event = Some(value.to_string());
            return Ok(());
        }
        let field = if let Some(number) = value.to_i64() {
            Field::Json(number.to_string())
        } else if let Some(number) = value.to_u64() {
            Field::Json(number.to_string())
        } else if let Some(truth) = value.to_bool() {
            Field::Json(truth.to_string())
        } else if let Some(number) = value.to_f64().filter(|n| n.is_finite()) {
            Field::Json(number.to_string())
        } else {
            let text = value.to_string();
            let hide = MASK_PLATES.load(Ordering::Relaxed) && PLATE_KEYS.contains(&key.as_str());
            Field::Text(if hide { mask(&text) } else { text })
        };
        self.rest.push((key.as_str().to_owned(), field));
        Ok(())
    }
}

/// Hides the middle of a plate; of a stay id `central_ms_plate` only the plate's.
fn mask(text: &str) -> String {
    let plate_at = text.rfind('_').map_or(0, |at| at + 1);
    let (head, plate) = text.split_at(plate_at);
    let shown: Vec<char> = plate.chars().collect();
    match shown.as_slice() {
        [a, b, c, .., y, z] => format!("{head}{a}{b}{c}***{y}{z}"),
        _ => format!("{head}***"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LineFormat, pairs: &[(&str, Value<'_>)], message: &str) -> String {
        let now: jiff::Timestamp = "2026-11-22T05:00:00.123Z".parse().unwrap();
        let bytes = render(
            format,
            &now,
            &Record::builder()
                .level(Level::Info)
                .target("x")
                .key_values(&pairs)
                .args(format_args!("{message}"))
                .build(),
        );
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_line_has_the_event_first_and_quotes_what_needs_it() {
        let pairs =
            [("peer", Value::from("central-2")), ("event", Value::from("peer_connected")), ("why", Value::from("a b"))];
        assert_eq!(
            line(LineFormat::Text, &pairs, "peer connected"),
            "2026-11-22T05:00:00.123Z INFO  event=peer_connected peer=central-2 why=\"a b\" | peer connected\n"
        );
    }

    #[test]
    fn a_json_line_is_one_object_whatever_the_values_hold() {
        let pairs = [
            ("event", Value::from("x")),
            ("n", Value::from(7_u64)),
            ("ok", Value::from(true)),
            ("t", Value::from("a\"b\nc")),
        ];
        let text = line(LineFormat::Json, &pairs, "m");
        let parsed: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({"ts": "2026-11-22T05:00:00.123Z", "level": "info", "event": "x", "msg": "m", "n": 7, "ok": true, "t": "a\"b\nc"})
        );
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn a_line_of_a_library_names_its_target() {
        assert!(line(LineFormat::Text, &[], "m\nn").contains(" target=x | m n"));
    }

    #[test]
    fn masked_plates_keep_their_ends_only() {
        assert_eq!(mask("29A12345"), "29A***45");
        assert_eq!(mask("central-1_1733140800000_29A12345"), "central-1_1733140800000_29A***45");
        assert_eq!(mask("abc"), "***");
    }
}
