//! Sheets of shifts for spreadsheets: the sheets of a day, and the exits of one shift. Written by `csv.rs` and as workbooks, with the
//! same cells.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::csv::{BYTE_ORDER_MARK, Line, Style, heads};
use super::error::ApiError;
use super::pages::word;
use super::state::Worker;
use super::xlsx::{AMOUNT, TIME};

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// `YYYY-MM-DD HH:MM:SS` on the site's clock; empty: none.
    Time(String),
    Number(Option<i64>),
}

/// A table: what its columns are called, and its lines.
#[derive(Debug)]
pub(super) struct Table {
    /// Vietnamese and English.
    pub(super) title: (&'static str, &'static str),
    pub(super) heads: &'static [(&'static str, &'static str)],
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Of the sheets of a day.
pub(super) const SHEET_HEADS: &[(&str, &str)] = &[
    ("Cổng", "Gate"),
    ("Người trực", "Person"),
    ("Mở ca", "Opened"),
    ("Chốt ca", "Closed"),
    ("Người chốt", "Closed by"),
    ("Tồn đầu ca", "Inside at the beginning"),
    ("Vào", "In"),
    ("Ra", "Out"),
    ("Tồn cuối ca", "Inside at the end"),
    ("Thu (đ)", "Taken (VND)"),
    ("Tiền lẻ đầu ca (đ)", "Cash to begin with (VND)"),
    ("Tiền phải có (đ)", "Cash expected (VND)"),
    ("Thực thu tiền mặt (đ)", "Cash counted (VND)"),
    ("Chênh lệch (đ)", "Difference (VND)"),
    ("Phát sinh sau khi đóng (đ)", "After it was closed (VND)"),
    ("Ghi chú", "Note"),
    ("Mã ca", "Shift id"),
    ("Phát sinh tiền mặt (đ)", "After it was closed, cash (VND)"),
    ("Phải có sau phát sinh (đ)", "Cash expected after that (VND)"),
    ("Lệch sau phát sinh (đ)", "Difference after that (VND)"),
];

/// Of the exits of a shift.
pub(super) const EXIT_HEADS: &[(&str, &str)] = &[
    ("Giờ ra", "Time out"),
    ("Biển số", "Plate"),
    ("Loại xe", "Vehicle type"),
    ("Phí (đ)", "Fee (VND)"),
    ("Đã thu (đ)", "Collected (VND)"),
    ("Cách trả", "Paid by"),
    ("Người thu", "Taken by"),
    ("Mở thủ công", "Opened by hand"),
    ("Lý do", "Reason"),
    ("Mã lượt", "Stay id"),
];

/// Of the head of one sheet.
const HEAD_HEADS: &[(&str, &str)] = &[("Mục", "Item"), ("Giá trị", "Value")];

/// How a fee was paid, for people.
pub(super) fn method(is_english: bool, name: &str) -> String {
    word(is_english, "paid", if name.is_empty() { "unsaid" } else { name }).into_owned()
}

impl Table {
    /// Its head as a sheet shows it: one item a line.
    pub(super) fn of_items(title: (&'static str, &'static str), items: Vec<(String, Cell)>) -> Self {
        let rows = items.into_iter().map(|(name, value)| vec![Cell::Text(name), value]).collect();
        Self { title, heads: HEAD_HEADS, rows }
    }

    pub(super) fn csv(&self, style: Style) -> String {
        BYTE_ORDER_MARK.to_owned() + &heads(self.heads, style) + &self.lines(style)
    }

    /// Its lines, without the heads.
    pub(super) fn lines(&self, style: Style) -> String {
        let mut text = String::new();
        for row in &self.rows {
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

    fn write(&self, sheet: &mut Worksheet, is_english: bool) -> Result<(), XlsxError> {
        let bold = Format::new().set_bold();
        let right = Format::new().set_bold().set_align(FormatAlign::Right);
        let (amount, moment) = (Format::new().set_num_format(AMOUNT), Format::new().set_num_format(TIME));
        sheet.set_name(if is_english { self.title.1 } else { self.title.0 })?;
        for (column, (vi, en)) in (0_u16..).zip(self.heads) {
            let is_number = self.rows.iter().any(|row| matches!(row.get(usize::from(column)), Some(Cell::Number(_))));
            let head = if is_english { en } else { vi };
            sheet.write_string_with_format(0, column, *head, if is_number { &right } else { &bold })?;
            sheet.set_column_width(column, if is_number { 14. } else { 20. })?;
        }
        sheet.set_freeze_panes(1, 0)?;
        for (line, row) in (1_u32..).zip(&self.rows) {
            for (column, cell) in (0_u16..).zip(row) {
                match cell {
                    Cell::Text(text) if text.is_empty() => {}
                    Cell::Text(text) => {
                        sheet.write_string(line, column, text)?;
                    }
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
        Ok(())
    }
}

/// These tables as a workbook, a sheet each.
///
/// # Errors
/// The library's: not for what shifts are made of, whose texts are short.
pub(super) fn workbook(tables: &[Table], is_english: bool) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    book.set_properties(&DocProperties::new().set_title(if is_english { "Shifts" } else { "Ca trực" }));
    for table in tables {
        table.write(book.add_worksheet(), is_english)?;
    }
    book.save_to_buffer()
}

/// The workbook, as it was written on another thread.
pub(super) fn written<E: std::fmt::Display>(
    book: Result<Result<Vec<u8>, E>, actix_web::error::BlockingError>,
) -> Result<Vec<u8>, ApiError> {
    book.map_err(|_| ApiError::internal())?.map_err(|error| {
        log::error!(event = "workbook_failed", error:% = error; "shifts could not be written as a workbook");
        ApiError::internal()
    })
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

    fn table() -> Table {
        let cells =
            vec![Cell::Text("=1+1".into()), Cell::Time("2026-11-29 06:00:00".into()), Cell::Number(Some(-5_000))];
        Table { title: ("Ca", "Shift"), heads: &[("A", "a"), ("B", "b"), ("C", "c")], rows: vec![cells] }
    }

    #[test]
    fn a_table_is_the_same_cells_in_both_forms_and_no_text_is_run() {
        let style = Style { english: false, separator: ';' };
        assert_eq!(table().csv(style), "\u{feff}A;B;C\r\n'=1+1;2026-11-29 06:00:00;-5000\r\n");
        let book =
            workbook(&[table(), Table::of_items(("Phiếu", "Sheet"), vec![("x".into(), Cell::Number(Some(1)))])], true);
        assert!(book.unwrap().starts_with(b"PK"), "a workbook is a zip");
    }
}
