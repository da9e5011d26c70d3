//! The history as a table for spreadsheets: RFC 4180, UTF-8 with the mark that makes Excel read it as such.
//!
//! A text that a spreadsheet would take for a formula gets a `'` before it: plates and names come from cameras and people.

use super::error::ApiError;
use crate::store::reader::HistoryRow;

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
const HEADS: [(&str, &str); 16] = [
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
    ("Thuê bao", "Subscription"),
    ("Mở tay", "Opened by hand"),
    ("Bất thường", "Anomalies"),
    ("Thay bởi", "Superseded by"),
    ("Mã lượt", "Stay id"),
];

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
pub fn line(row: &HistoryRow, style: Style) -> String {
    let mut line = Line::new(style);
    let left = row.exit_ms.is_some();
    let manual = match (row.entry_manual, row.exit_manual.unwrap_or(false), style.english) {
        (false, false, _) => "",
        (true, false, false) => "vào",
        (true, false, true) => "in",
        (false, true, false) => "ra",
        (false, true, true) => "out",
        (true, true, false) => "vào, ra",
        (true, true, true) => "in, out",
    };
    line.text(&row.plate_view);
    line.text(&row.plate_id);
    line.text(&row.camera_type);
    line.text(&row.status);
    line.text(&row.entry_time);
    line.text(row.entry_camera_name.as_deref().unwrap_or_default());
    line.text(row.exit_time.as_deref().unwrap_or_default());
    line.text(row.exit_camera_name.as_deref().unwrap_or_default());
    line.text(row.duration.as_deref().unwrap_or_default());
    line.number(left.then_some(row.fee));
    line.number(left.then_some(row.collected));
    line.text(row.subscription_id.as_deref().unwrap_or_default());
    line.text(manual);
    line.text(&row.anomalies.join(" "));
    line.text(row.superseded_by.as_deref().unwrap_or_default());
    line.text(&row.event_id);
    line.end()
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

    fn number(&mut self, number: Option<i64>) {
        self.cell(&number.map(|number| number.to_string()).unwrap_or_default());
    }

    pub(super) fn text(&mut self, cell: &str) {
        let is_formula = cell.trim_start().starts_with(['=', '+', '-', '@']) || cell.starts_with(['\t', '\r', '\n']);
        if is_formula { self.cell(&format!("'{cell}")) } else { self.cell(cell) }
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
            ("\t=1", "'\t=1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("a,b", "\"a,b\""),
            ("a;b", "a;b"),
            ("a\"b", "\"a\"\"b\""),
            ("xe\nkhách", "\"xe\nkhách\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_line_has_a_cell_for_every_head() {
        for style in [STYLE, Style { english: true, separator: ';' }] {
            assert_eq!(head(style).matches(style.separator).count(), HEADS.len() - 1);
        }
    }
}
