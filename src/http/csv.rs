//! The history as a table for spreadsheets: RFC 4180, UTF-8 with the mark that makes Excel read it as such.
//!
//! Plates and names come from cameras and people. Where a spreadsheet would take a text for a formula, a number, a date or a truth
//! value, it gets a `'` before it: `51E0012` is no 5.1E+13, and `01` is not 1. Also inside of a text, where the one who opens the
//! table with another separator than it was written with would begin a cell.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::error::ApiError;
use super::pages::word;
use super::state::Shared;
use crate::domain::anomaly::Anomaly;
use crate::store::error::StoreError;
use crate::store::reader::HistoryRow;
use crate::store::reader::Reader;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream;
use std::sync::Arc;

/// Before the first line: "this is UTF-8".
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a table is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub english: bool,
    /// `,`, or `;` for spreadsheets whose decimal mark is the comma.
    pub separator: char,
}

impl Style {
    /// As asked for.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn of(lang: Option<&str>, separator: Option<&str>) -> Result<Self, ApiError> {
        let english = match lang {
            None | Some("" | "vi") => false,
            Some("en") => true,
            Some(_) => return Err(ApiError::bad_field("lang", "vi or en")),
        };
        let separator = match separator {
            None | Some("" | ",") => ',',
            Some(";") => ';',
            Some(_) => return Err(ApiError::bad_field("separator", "',' or ';'")),
        };
        Ok(Self { english, separator })
    }
}

/// The heads of the columns, Vietnamese and English.
pub(super) const HEADS: [(&str, &str); 18] = [
    ("Biển số", "Plate"),
    ("Mã biển số", "Plate id"),
    ("Loại xe", "Vehicle type"),
    ("Trạng thái", "Status"),
    ("Giờ vào", "Time in"),
    ("Cổng vào", "Gate in"),
    ("Giờ ra", "Time out"),
    ("Cổng ra", "Gate out"),
    ("Thời gian gửi", "Duration"),
    ("Phí (đ)", "Fee (VND)"),
    ("Đã thu (đ)", "Collected (VND)"),
    ("Cách trả", "Paid by"),
    ("Người thu", "Taken by"),
    ("Thuê bao", "Subscription"),
    ("Mở thủ công", "Opened by hand"),
    ("Bất thường", "Anomalies"),
    ("Thay bởi", "Superseded by"),
    ("Mã lượt", "Stay id"),
];

/// What gates are called, `central/edge` by what the site says.
#[derive(Debug, Clone, Default)]
pub struct GateNames(HashMap<String, String>);

impl GateNames {
    /// As known now: those of this central by its settings.
    #[must_use]
    pub fn known(shared: &Shared) -> Self {
        let (config, held) = (shared.config(), shared.held());
        let told = held.settings.names().map(|(gate, name)| (gate.to_owned(), name.to_owned()));
        let own = config.edges.iter().filter(|edge| !edge.name.is_empty());
        let own = own.map(|edge| (format!("{}/{}", config.this_central.id, edge.id), edge.name.clone()));
        Self(told.chain(own).collect())
    }

    /// A gate as people call it, else by its address.
    #[must_use]
    pub fn of<'n>(&'n self, address: Option<&'n str>) -> &'n str {
        let address = address.unwrap_or_default();
        self.0.get(address).map_or(address, String::as_str)
    }
}

/// The line of the history's heads.
#[must_use]
pub fn head(style: Style) -> String {
    heads(&HEADS, style)
}

/// A line of heads, each Vietnamese and English.
#[must_use]
pub fn heads(heads: &[(&str, &str)], style: Style) -> String {
    let mut line = Line::new(style);
    for (vi, en) in heads {
        line.text(if style.english { en } else { vi });
    }
    line.end()
}

/// The line of a row.
#[must_use]
pub fn line(row: &HistoryRow, style: Style, names: &GateNames) -> String {
    let mut line = Line::new(style);
    let left = row.exit_ms.is_some();
    line.text(&row.plate_view);
    line.text(&row.plate_id);
    line.text(&word(style.english, "type", &row.camera_type));
    line.text(&word(style.english, "stay", &row.status));
    let (entry_time, entry_gate) = entered(row);
    line.time(entry_time);
    line.text(names.of(entry_gate));
    line.time(row.exit_time.as_deref().unwrap_or_default());
    line.text(names.of(row.exit_camera_name.as_deref()));
    line.text(stayed(row));
    line.number(left.then_some(row.fee));
    line.number(left.then_some(row.collected));
    line.text(&method(row, style.english));
    line.text(row.payment.exit_by.as_deref().unwrap_or_default());
    line.text(row.subscription_id.as_deref().unwrap_or_default());
    line.text(manual(row, style.english));
    let anomalies: Vec<_> = row.anomalies.iter().map(|anomaly| word(style.english, "anomaly", anomaly)).collect();
    line.text(&anomalies.join("; "));
    line.text(row.superseded_by.as_deref().unwrap_or_default());
    line.text(&row.event_id);
    line.end()
}

/// When and where it came in; empty where only an exit is known, whose time the row has in its place.
pub(super) fn entered(row: &HistoryRow) -> (&str, Option<&str>) {
    if row.anomalies.iter().any(|name| name == Anomaly::ExitWithoutEntry.name()) {
        return ("", None);
    }
    (&row.entry_time, row.entry_camera_name.as_deref())
}

/// How long it stayed; empty where nobody saw it come in.
pub(super) fn stayed(row: &HistoryRow) -> &str {
    let is_known = entered(row).1.is_some();
    row.duration.as_deref().filter(|_| is_known).unwrap_or_default()
}

/// How it was paid; empty: the gate did not say.
pub(super) fn method(row: &HistoryRow, is_english: bool) -> Cow<'_, str> {
    row.payment.paid.as_ref().map_or(Cow::Borrowed(""), |paid| word(is_english, "paid", paid.method.name()))
}

/// Where it was opened by hand.
pub(super) fn manual(row: &HistoryRow, is_english: bool) -> &'static str {
    match (row.entry_manual, row.exit_manual.unwrap_or(false), is_english) {
        (false, false, _) => "",
        (true, false, false) => "vào",
        (true, false, true) => "in",
        (false, true, false) => "ra",
        (false, true, true) => "out",
        (true, true, false) => "vào, ra",
        (true, true, true) => "in, out",
    }
}

/// One line under way.
pub(super) struct Line(csv::Writer<Vec<u8>>);

impl Line {
    pub(super) fn new(style: Style) -> Self {
        let mut format = csv::WriterBuilder::new();
        // Both are one byte: see [`Style`].
        format.delimiter(if style.separator == ';' { b';' } else { b',' }).terminator(csv::Terminator::CRLF);
        Self(format.from_writer(Vec::with_capacity(256)))
    }

    pub(super) fn number(&mut self, number: Option<i64>) {
        self.cell(&number.map(|number| number.to_string()).unwrap_or_default());
    }

    /// A time as `YYYY-MM-DD HH:MM:SS`, which spreadsheets take for what it is.
    pub(super) fn time(&mut self, time: &str) {
        self.cell(time);
    }

    pub(super) fn text(&mut self, cell: &str) {
        let mut safe = String::with_capacity(cell.len() + 1);
        if is_read_as_value(cell) || cell.starts_with(['\t', '\r', '\n']) {
            safe.push('\'');
        }
        for piece in cell.split_inclusive(SEPARATORS) {
            if piece.trim_start_matches(|c: char| c.is_whitespace() || c == '"').starts_with(['=', '+', '-', '@'])
                && !safe.ends_with('\'')
            {
                safe.push('\'');
            }
            safe.push_str(piece);
        }
        self.cell(&safe);
    }

    fn cell(&mut self, cell: &str) {
        let written = self.0.write_field(cell);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }

    pub(super) fn end(mut self) -> String {
        let written = self.0.write_record(None::<&[u8]>);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        self.0.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// What ends a cell, in one spreadsheet or another.
const SEPARATORS: [char; 6] = [',', ';', '\t', '|', '\r', '\n'];
/// Beginnings of the names of months, English and Vietnamese.
const MONTHS: [&str; 13] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "thg"];

/// Whether a spreadsheet makes a number, a date, a time or a truth value of this text.
fn is_read_as_value(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    if ["true", "false", "đúng", "sai"].contains(&text.as_str()) {
        return true;
    }
    if !text.contains(|c: char| c.is_ascii_digit()) || text.parse::<IpAddr>().is_ok() {
        return false;
    }
    // 1.5, 1,500, 12/3, 1-2, 10:30 pm, 1 1/2, 10%, (5), 25 đ, 25 VND.
    let is_part = |c: char| c.is_ascii_digit() || " \u{a0}.,:/-+%()'$€£¥₫đ".contains(c);
    let bare = [" am", " pm", "am", "pm", " a", " p", "vnd", "vnđ"].iter().find_map(|end| text.strip_suffix(end));
    if bare.unwrap_or(&text).chars().all(is_part) {
        return true;
    }
    // 29e0123, 1.5e+3
    if let Some((mantissa, exponent)) = text.split_once('e')
        && [mantissa, exponent].iter().all(|part| !part.is_empty() && part.chars().all(is_part))
    {
        return true;
    }
    let rest: String = text.chars().filter(|c| !is_part(*c)).collect();
    // 1-Mar, mar1, thg1.
    MONTHS.iter().any(|month| rest.starts_with(month)) && rest.chars().count() <= "september".len()
}

/// Answers with the file `name`: `head`, then the lines of every page. `page` reads one: its lines, and the query for the next.
///
/// # Errors
/// 503 where the first page cannot be read: it is read before anything is sent, so that it is not half a table.
pub async fn export<Q: Send + 'static>(
    shared: Arc<Shared>,
    name: &str,
    head: String,
    query: Q,
    page: impl Fn(&mut Reader, Q) -> Result<(String, Option<Q>), StoreError> + Clone + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let (lines, next) = read(&shared, query, page.clone()).await?;
    let first = (BYTE_ORDER_MARK.to_owned() + &head + &lines, next);
    let rest = stream::try_unfold(Some(first), move |ahead| {
        let (shared, page) = (shared.clone(), page.clone());
        async move {
            let Some((text, next)) = ahead else { return Ok::<_, actix_web::Error>(None) };
            let ahead = match next {
                Some(query) => Some(read(&shared, query, page).await?),
                None => None,
            };
            Ok(Some((Bytes::from(text), ahead)))
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(Box::pin(rest)))
}

async fn read<Q: Send + 'static>(
    shared: &Shared,
    query: Q,
    page: impl Fn(&mut Reader, Q) -> Result<(String, Option<Q>), StoreError> + Send + 'static,
) -> Result<(String, Option<Q>), ApiError> {
    shared.readers.ask(move |reader| page(reader, query)).await.map_err(ApiError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { english: false, separator: ',' };

    fn cell(text: &str) -> String {
        let mut line = Line::new(STYLE);
        line.text(text);
        line.end().trim_end_matches("\r\n").to_owned()
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_only_text() {
        for (text, expected) in [
            ("29A-123.45", "29A-123.45"),
            ("=1+1", "'=1+1"),
            ("+84", "'+84"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "'\t'=1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("a,b", "\"a,b\""),
            ("a;b", "a;b"),
            ("a;=1", "a;'=1"),
            ("a; =1", "a;' =1"),
            ("a|@x", "a|'@x"),
            ("a,-1,+2", "\"a,'-1,'+2\""),
            ("a\n=1", "\"a\n'=1\""),
            ("a;\"=1", "\"a;'\"\"=1\""),
            ("xe tải - cổng sau", "xe tải - cổng sau"),
            ("a=1", "a=1"),
            ("a\"b", "\"a\"\"b\""),
            ("xe\nkhách", "\"xe\nkhách\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_spreadsheet_would_take_for_a_number_or_a_date_is_a_text() {
        for text in [
            "51E0012",
            "29E0123",
            "29e00123",
            "1E5",
            "0123",
            "01",
            "7",
            "1.5",
            "1,5",
            "1.000.000",
            "1-2",
            "12/3",
            "2026-11-29",
            "29/11/2026",
            "10:30",
            "10:30 PM",
            "1 p",
            "1 1/2",
            "10%",
            "(5)",
            "$5",
            "25 đ",
            "12345678901234567890",
            "1-Mar",
            "MAR1",
            "Sep-26",
            "1 thg 3",
            "TRUE",
            "false",
            " 7 ",
        ] {
            assert_eq!(cell(text), format!("'{text}").as_str().replace("'1,5", "\"'1,5\""), "{text:?}");
        }
        for text in [
            "29A-123.45",
            "29A12345",
            "51F1-234.56",
            "29-B1 123.45",
            "29MD1-123.45",
            "edge-1",
            "10.0.0.1",
            "cong-1",
            "central-1_1733_29A12345",
            "Cổng 2",
            "1 giờ 31 phút",
            "1 hour 31 min",
            "quick_exit",
            "",
            "LD-1234",
            "80NG12345",
            "TM1234",
            "marathon 5 vòng",
        ] {
            assert_eq!(cell(text), if text.is_empty() { "\"\"" } else { text }, "{text:?}");
        }
    }

    #[test]
    fn every_line_has_a_cell_for_every_head() {
        for style in [STYLE, Style { english: true, separator: ';' }] {
            assert_eq!(head(style).matches(style.separator).count(), HEADS.len() - 1);
        }
    }
}
