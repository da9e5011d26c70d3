//! The history as a workbook: what `csv.rs` writes, with times and amounts that a spreadsheet counts with, and their sum.
//!
//! A workbook is written as a whole, so it is bounded: see [`MAX_ROWS`].

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Formula, Workbook, Worksheet, XlsxError};

use super::csv::{GateNames, HEADS, entered, manual, method, stayed};
use super::pages::word;
use crate::store::reader::HistoryRow;

/// Rows of one workbook: some tens of MB while it is made. Whoever wants more takes the CSV, or a day at a time.
pub const MAX_ROWS: usize = 50_000;

pub const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// What its columns are as wide as, in characters.
const WIDTHS: [f64; HEADS.len()] =
    [14., 12., 12., 16., 18., 24., 18., 24., 16., 12., 14., 14., 18., 14., 14., 28., 28., 32.];
const FEE: u16 = 9;
const COLLECTED: u16 = 10;
/// Everything came from cameras and people; a text is never a formula or a link in a workbook.
pub(super) const TIME: &str = "dd/mm/yyyy hh:mm:ss";
pub(super) const AMOUNT: &str = "#,##0";

/// The workbook of these rows.
///
/// # Errors
/// The library's: not for rows of the history, whose texts are short.
pub fn workbook(rows: &[HistoryRow], is_english: bool, names: &GateNames) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    book.set_properties(&DocProperties::new().set_title(if is_english { "History" } else { "Lịch sử" }));
    let sheet = book.add_worksheet();
    sheet.set_name(if is_english { "History" } else { "Lịch sử" })?;
    let bold = Format::new().set_bold();
    let right = Format::new().set_bold().set_align(FormatAlign::Right);
    for (column, (vi, en)) in (0_u16..).zip(HEADS) {
        let format = if [FEE, COLLECTED].contains(&column) { &right } else { &bold };
        sheet.write_string_with_format(0, column, if is_english { en } else { vi }, format)?;
    }
    for (column, width) in (0_u16..).zip(WIDTHS) {
        sheet.set_column_width(column, width)?;
    }
    sheet.set_freeze_panes(1, 1)?;
    let mut line = 0_u32;
    for row in rows {
        line += 1;
        write(sheet, line, row, is_english, names)?;
    }
    if line > 0 {
        sheet.autofilter(0, 0, line, u16::try_from(HEADS.len()).unwrap_or(1) - 1)?;
    }
    // 109: what the filter hides is not counted. What it comes to is said too, for who does not calculate.
    let total = Format::new().set_bold().set_num_format(AMOUNT);
    sheet.write_string_with_format(line + 1, 0, if is_english { "Total" } else { "Tổng cộng" }, &bold)?;
    for (column, letter, amount) in [(FEE, 'J', fee as fn(&HistoryRow) -> Option<i64>), (COLLECTED, 'K', collected)] {
        let sum: i64 = rows.iter().filter_map(amount).sum();
        let formula = Formula::new(format!("=SUBTOTAL(109,{letter}2:{letter}{})", line.max(1) + 1));
        sheet.write_formula_with_format(line + 1, column, formula.set_result(sum.to_string()), &total)?;
    }
    book.save_to_buffer()
}

fn fee(row: &HistoryRow) -> Option<i64> {
    row.exit_ms.is_some().then_some(row.fee)
}

fn collected(row: &HistoryRow) -> Option<i64> {
    row.exit_ms.is_some().then_some(row.collected)
}

fn write(
    sheet: &mut Worksheet,
    line: u32,
    row: &HistoryRow,
    is_english: bool,
    names: &GateNames,
) -> Result<(), XlsxError> {
    let (entry_time, entry_gate) = entered(row);
    let texts = [
        (0, row.plate_view.as_str().into()),
        (1, row.plate_id.as_str().into()),
        (2, word(is_english, "type", &row.camera_type)),
        (3, word(is_english, "stay", &row.status)),
        (5, names.of(entry_gate).into()),
        (7, names.of(row.exit_camera_name.as_deref()).into()),
        (8, stayed(row).into()),
        (11, method(row, is_english)),
        (12, row.payment.exit_by.as_deref().unwrap_or_default().into()),
        (13, row.subscription_id.as_deref().unwrap_or_default().into()),
        (14, manual(row, is_english).into()),
        (16, row.superseded_by.as_deref().unwrap_or_default().into()),
        (17, row.event_id.as_str().into()),
    ];
    for (column, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        sheet.write_string(line, *column, text.as_ref())?;
    }
    let anomalies: Vec<_> = row.anomalies.iter().map(|anomaly| word(is_english, "anomaly", anomaly)).collect();
    if !anomalies.is_empty() {
        sheet.write_string(line, 15, anomalies.join("; "))?;
    }
    let time = Format::new().set_num_format(TIME);
    for (column, text) in [(4, Some(entry_time)), (6, row.exit_time.as_deref())] {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        // Spreadsheets know no year before 1900.
        match ExcelDateTime::parse_from_str(text) {
            Ok(moment) => sheet.write_datetime_with_format(line, column, moment, &time)?,
            Err(_) => sheet.write_string(line, column, text)?,
        };
    }
    let amount = Format::new().set_num_format(AMOUNT);
    for (column, value) in [(FEE, fee(row)), (COLLECTED, collected(row))] {
        if let Some(value) = value {
            // Exact up to 2^53 đồng.
            #[expect(clippy::cast_precision_loss, reason = "no sum of a site comes near 2^53 đồng")]
            sheet.write_number_with_format(line, column, value as f64, &amount)?;
        }
    }
    Ok(())
}
