//! Tables for spreadsheets: cells that are written as CSV and as a workbook, each the same in both.
//!
//! The CSV is RFC 4180, UTF-8 with the mark that makes Excel read it as such. Plates and names come from cameras and people.
//! Where a spreadsheet would take a text for a formula, a number, a date or a truth value, it gets a `'` before it: `51E0012` is no
//! 5.1E+13, and `01` is not 1. Also inside of a text, where the one who opens the table with another separator than it was
//! written with would begin a cell.
//!
//! A workbook has times and amounts that a spreadsheet counts with. It is written as a whole, so it is bounded: see [`MAX_ROWS`].

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use futures_util::{StreamExt as _, stream};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Formula, Workbook, Worksheet, XlsxError};

use super::answers::{self, Questioner, hold_part};
use super::error::ApiError;
use super::operation::Answered;
use super::state::{Shared, Worker};
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// Before the first line: "this is UTF-8".
const BYTE_ORDER_MARK: &str = "\u{feff}";

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

/// A line of heads, each Vietnamese and English.
pub(super) fn heads(heads: &[(&str, &str)], style: Style) -> String {
    let mut line = Line::new(style);
    for (vi, en) in heads {
        line.text(if style.english { en } else { vi });
    }
    line.end()
}

/// One line under way.
struct Line(csv::Writer<Vec<u8>>);

impl Line {
    fn new(style: Style) -> Self {
        let mut format = csv::WriterBuilder::new();
        // Both are one byte: see [`Style`].
        format.delimiter(if style.separator == ';' { b';' } else { b',' }).terminator(csv::Terminator::CRLF);
        Self(format.from_writer(Vec::with_capacity(256)))
    }

    fn number(&mut self, number: Option<i64>) {
        self.cell(&number.map(|number| number.to_string()).unwrap_or_default());
    }

    /// A time as `YYYY-MM-DD HH:MM:SS`, which spreadsheets take for what it is.
    fn time(&mut self, time: &str) {
        self.cell(time);
    }

    fn text(&mut self, cell: &str) {
        let mut safe = String::with_capacity(cell.len() + 1);
        if is_read_as_value(cell) || cell.starts_with(['\t', '\r', '\n']) {
            safe.push('\'');
        }
        for piece in cell.split_inclusive(SEPARATORS) {
            let first = piece.chars().map(narrow).find(|c| !c.is_whitespace() && *c != '"');
            if first.is_some_and(|first| ['=', '+', '-', '@'].contains(&first)) && !safe.ends_with('\'') {
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

    fn end(mut self) -> String {
        let written = self.0.write_record(None::<&[u8]>);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        self.0.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// What ends a cell, in one spreadsheet or another.
const SEPARATORS: [char; 6] = [',', ';', '\t', '|', '\r', '\n'];
/// Beginnings of the names of months, English and Vietnamese.
const MONTHS: [&str; 13] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "thg"];

/// The ASCII character of a full-width one, as `＝`, and of the minus that is no hyphen: some spreadsheets take either for it.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2212}' => '-',
        _ => c,
    }
}

/// Whether a spreadsheet makes a number, a date, a time or a truth value of this text.
fn is_read_as_value(text: &str) -> bool {
    let text = text.trim().chars().map(narrow).collect::<String>().to_lowercase();
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
) -> Answered {
    let asking = Questioner::current();
    let (lines, next) = read(&shared, query, page.clone()).await?;
    let first = hold_part(BYTE_ORDER_MARK.to_owned() + &head + &lines)?;
    let rest = stream::try_unfold(next, move |next| {
        let (shared, page, asking) = (shared.clone(), page.clone(), asking.clone());
        async move {
            let Some(query) = next else { return Ok(None) };
            // In a turn of its own: the one before was over when it was made.
            let part = async {
                let (lines, next) = read(&shared, query, page).await?;
                Ok::<_, ApiError>(Some((hold_part(lines)?, next)))
            };
            let part = match asking {
                Some(asking) => asking.answered(part).await,
                None => part.await,
            };
            part.map_err(actix_web::Error::from)
        }
    });
    let parts = stream::once(ready(Ok(first))).chain(rest);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(Box::pin(parts)))
}

async fn read<Q: Send + 'static>(
    shared: &Shared,
    query: Q,
    page: impl Fn(&mut Reader, Q) -> Result<(String, Option<Q>), StoreError> + Send + 'static,
) -> Result<(String, Option<Q>), ApiError> {
    shared.readers.ask(move |reader| page(reader, query)).await.map_err(ApiError::from)
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// `YYYY-MM-DD HH:MM:SS` on the site's clock; empty: none.
    Time(String),
    Number(Option<i64>),
}

/// A table: what its columns are called, and its lines.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Vietnamese and English.
    pub(super) title: (&'static str, &'static str),
    pub(super) heads: &'static [(&'static str, &'static str)],
    /// As what its columns are wide, in characters; empty: as usual.
    pub(super) widths: &'static [f64],
    /// Columns whose sums stand below, in a workbook that can be filtered.
    pub(super) summed: &'static [u16],
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn csv(&self, style: Style) -> String {
        BYTE_ORDER_MARK.to_owned() + &heads(self.heads, style) + &lines(&self.rows, style)
    }

    fn write(&self, sheet: &mut Worksheet, is_english: bool) -> Result<(), XlsxError> {
        let bold = Format::new().set_bold();
        let right = Format::new().set_bold().set_align(FormatAlign::Right);
        let (amount, moment) = (Format::new().set_num_format(AMOUNT), Format::new().set_num_format(TIME));
        sheet.set_name(if is_english { self.title.1 } else { self.title.0 })?;
        for (column, (vi, en)) in (0_u16..).zip(self.heads) {
            let is_number = |row: &Vec<Cell>| matches!(row.get(usize::from(column)), Some(Cell::Number(_)));
            let is_number = self.summed.contains(&column) || self.rows.iter().any(is_number);
            let head = if is_english { en } else { vi };
            sheet.write_string_with_format(0, column, *head, if is_number { &right } else { &bold })?;
            let usual = if is_number { 14. } else { 20. };
            sheet.set_column_width(column, self.widths.get(usize::from(column)).copied().unwrap_or(usual))?;
        }
        sheet.set_freeze_panes(1, u16::from(!self.summed.is_empty()))?;
        let mut last = 0;
        for (line, row) in (1_u32..).zip(&self.rows) {
            last = line;
            for (column, cell) in (0_u16..).zip(row) {
                match cell {
                    Cell::Text(text) | Cell::Time(text) if text.is_empty() => {}
                    Cell::Text(text) => {
                        sheet.write_string(line, column, text)?;
                    }
                    // Spreadsheets know no year before 1900.
                    Cell::Time(time) => match ExcelDateTime::parse_from_str(time) {
                        Ok(time) => {
                            sheet.write_datetime_with_format(line, column, time, &moment)?;
                        }
                        Err(_) => {
                            sheet.write_string(line, column, time)?;
                        }
                    },
                    Cell::Number(Some(number)) => {
                        #[expect(clippy::cast_precision_loss, reason = "no sum of a site comes near 2^53 đồng")]
                        sheet.write_number_with_format(line, column, *number as f64, &amount)?;
                    }
                    Cell::Number(None) => {}
                }
            }
        }
        if self.summed.is_empty() { Ok(()) } else { self.sum(sheet, last, is_english) }
    }

    fn sum(&self, sheet: &mut Worksheet, last: u32, is_english: bool) -> Result<(), XlsxError> {
        if last > 0 {
            sheet.autofilter(0, 0, last, u16::try_from(self.heads.len()).unwrap_or(1) - 1)?;
        }
        let bold = Format::new().set_bold();
        sheet.write_string_with_format(last + 1, 0, if is_english { "Total" } else { "Tổng cộng" }, &bold)?;
        for column in self.summed {
            let cells = self.rows.iter().filter_map(|row| row.get(usize::from(*column)));
            let sum: i64 = cells.filter_map(|cell| if let Cell::Number(number) = cell { *number } else { None }).sum();
            let letter = char::from(b'A' + u8::try_from(*column).unwrap_or_default());
            // 109: what the filter hides is not counted. What it comes to is said too, for who does not calculate.
            let formula = Formula::new(format!("=SUBTOTAL(109,{letter}2:{letter}{})", last.max(1) + 1));
            let format = Format::new().set_bold().set_num_format(AMOUNT);
            sheet.write_formula_with_format(last + 1, *column, formula.set_result(sum.to_string()), &format)?;
        }
        Ok(())
    }
}

/// Ways in which one fee was paid: one by its name, of several each with its amount.
pub(super) fn several_ways(ways: &[(String, i64)]) -> String {
    match ways {
        [(way, _)] => way.clone(),
        ways => ways.iter().map(|(way, amount)| format!("{way} {amount}")).collect::<Vec<_>>().join(" + "),
    }
}

/// The lines of these rows, without the heads.
pub(super) fn lines<'r>(rows: impl IntoIterator<Item = &'r Vec<Cell>>, style: Style) -> String {
    let mut text = String::new();
    for row in rows {
        let mut line = Line::new(style);
        for cell in row {
            match cell {
                Cell::Text(cell) => line.text(cell),
                Cell::Time(time) => line.time(time),
                Cell::Number(number) => line.number(*number),
            }
        }
        text.push_str(&line.end());
    }
    text
}

/// Rows of one workbook: some tens of MB while it is made. Whoever wants more takes the CSV, or a day at a time.
pub const MAX_ROWS: usize = 50_000;

pub const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

const TIME: &str = "dd/mm/yyyy hh:mm:ss";
const AMOUNT: &str = "#,##0";

/// These tables as a workbook, a sheet each, made on a thread that may take its time.
///
/// # Errors
/// 500 where the library refuses: not for what stays and shifts are made of, whose texts are short.
pub(super) async fn workbook(
    title: (&'static str, &'static str),
    tables: Vec<Table>,
    is_english: bool,
) -> Result<Vec<u8>, ApiError> {
    let turn = answers::turn();
    let made = web::block(move || {
        let made = book(title, &tables, is_english);
        drop(turn);
        made
    });
    let made = made.await.map_err(|_| ApiError::internal())?;
    made.map_err(|error| {
        log::error!(event = "workbook_failed", error:% = error; "a table could not be written as a workbook");
        ApiError::internal()
    })
}

fn book(title: (&str, &str), tables: &[Table], is_english: bool) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    book.set_properties(&DocProperties::new().set_title(if is_english { title.1 } else { title.0 }));
    for table in tables {
        table.write(book.add_worksheet(), is_english)?;
    }
    book.save_to_buffer()
}

/// A table as a file of this central.
pub(super) fn attached(worker: &Worker, what: &str, ending: &str, media_type: &str, body: Vec<u8>) -> HttpResponse {
    let central = worker.shared.config().this_central.id.to_string();
    let name = format!("attachment; filename=\"parkmesh-{central}-{what}.{ending}\"");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, media_type)).insert_header((CONTENT_DISPOSITION, name)).body(body)
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
            ("＝1+1", "'＝1+1"),
            ("＋1", "'＋1"),
            ("－cmd", "'－cmd"),
            ("＠SUM(1)", "'＠SUM(1)"),
            ("\u{3000}＝1", "'\u{3000}＝1"),
            ("a;＝1", "a;'＝1"),
            ("−cmd", "'−cmd"),
            ("cổng ＝ 1", "cổng ＝ 1"),
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
            "１２３",
            "１Ｅ５",
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

    fn table() -> Table {
        let cells =
            vec![Cell::Text("=1+1".into()), Cell::Time("2026-11-29 06:00:00".into()), Cell::Number(Some(-5_000))];
        Table {
            title: ("Ca", "Shift"),
            heads: &[("A", "a"), ("B", "b"), ("C", "c")],
            rows: vec![cells],
            ..Table::default()
        }
    }

    #[test]
    fn a_table_is_the_same_cells_in_both_forms_and_no_text_is_run() {
        let style = Style { english: false, separator: ';' };
        assert_eq!(table().csv(style), "\u{feff}A;B;C\r\n'=1+1;2026-11-29 06:00:00;-5000\r\n");
        let summed = Table { summed: &[2], ..table() };
        let book = book(("Ca", "Shift"), &[table(), Table { title: ("Tổng", "Sum"), ..summed }], true);
        assert!(book.unwrap().starts_with(b"PK"), "a workbook is a zip");
    }
}
