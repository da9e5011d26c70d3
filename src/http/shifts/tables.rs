//! Sheets of shifts for spreadsheets: the sheets of a day, and the exits of one shift with its sheet.

use actix_web::{HttpResponse, web};

use super::{ExitOfShift, Face, ShiftSheet, ShiftsParameters, TableParameters};
use crate::http::error::ApiError;
use crate::http::pages::word;
use crate::http::spreadsheet::{self, Cell, Style, Table, attached, several_ways};
use crate::http::state::Worker;
use crate::store::reader::Sheet;

/// Exits read at a time for a table.
const TABLE_EXITS: usize = 1_000;
/// What the workbooks and the sheet of a day are called.
const TITLE: (&str, &str) = ("Ca trực", "Shifts");

/// What was paid beyond what was taken.
const EXCESS: (&str, &str) = ("Trả thừa (đ)", "Paid beyond (VND)");

/// What no gate told.
const ELSEWHERE: (&str, &str) =
    ("Trung tâm khác tự ghi, không phải nộp (đ)", "Told by another central alone, not to hand in (VND)");

/// Of the sheets of a day.
const SHEET_HEADS: &[(&str, &str)] = &[
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
    ("Tiền mặt đếm được (đ)", "Cash counted (VND)"),
    ("Chênh lệch (đ)", "Difference (VND)"),
    ("Phát sinh sau khi chốt (đ)", "After it was closed (VND)"),
    ("Ghi chú", "Note"),
    ("Mã ca", "Shift id"),
    ("Phát sinh tiền mặt (đ)", "After it was closed, cash (VND)"),
    ("Phải có sau phát sinh (đ)", "Cash expected after that (VND)"),
    ("Lệch sau phát sinh (đ)", "Difference after that (VND)"),
    ("Đếm lại (đ)", "Counted again (VND)"),
    ("Lệch sau đếm lại (đ)", "Difference after that count (VND)"),
    EXCESS,
    ELSEWHERE,
];

/// Of the exits of a shift.
const EXIT_HEADS: &[(&str, &str)] = &[
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
    EXCESS,
];

/// Of the figures of one sheet.
const ITEM_HEADS: &[(&str, &str)] = &[("Mục", "Item"), ("Giá trị", "Value")];

/// How a fee was paid, for people.
fn method(is_english: bool, name: &str) -> String {
    word(is_english, "paid", if name.is_empty() { "unsaid" } else { name }).into_owned()
}

/// How the fee of an exit was paid, in several ways with the amount of each.
fn ways(is_english: bool, exit: &ExitOfShift) -> String {
    let others: i64 = exit.also.iter().map(|too| too.amount).sum();
    let first = std::iter::once((exit.method.as_str(), exit.collected - others));
    let all = first.chain(exit.also.iter().map(|too| (too.method, too.amount)));
    several_ways(&all.map(|(name, amount)| (method(is_english, name), amount)).collect::<Vec<_>>())
}

/// `GET /api/shifts.csv`
pub async fn sheets_csv(
    parameters: web::Query<ShiftsParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let style = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?;
    let text = day_table(&worker, &parameters).await?.csv(style);
    Ok(attached(&worker, "shifts", "csv", "text/csv; charset=utf-8", text.into_bytes()))
}

/// `GET /api/shifts.xlsx`
pub async fn sheets_book(
    parameters: web::Query<ShiftsParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let is_english = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?.english;
    let table = day_table(&worker, &parameters).await?;
    let book = spreadsheet::workbook(TITLE, vec![table], is_english).await?;
    Ok(attached(&worker, "shifts", "xlsx", spreadsheet::MEDIA_TYPE, book))
}

async fn day_table(worker: &Worker, parameters: &ShiftsParameters) -> Result<Table, ApiError> {
    let asked = parameters.asked(worker)?;
    let face = Face::of(worker);
    let sheets = worker.shared.readers.ask(move |reader| asked.sheets(reader)).await?;
    let rows = sheets.iter().map(|sheet| line(&face.sheet(sheet))).collect();
    Ok(Table { title: TITLE, heads: SHEET_HEADS, rows, ..Table::default() })
}

fn line(sheet: &ShiftSheet) -> Vec<Cell> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let time = |text: Option<&str>| Cell::Time(text.unwrap_or_default().to_owned());
    let count = |number: Option<u64>| Cell::Number(number.and_then(|number| i64::try_from(number).ok()));
    vec![
        text(&sheet.gate),
        text(&sheet.person),
        time(Some(&sheet.opened_at)),
        time(sheet.closed_at.as_deref()),
        text(sheet.closed_by.as_deref().unwrap_or_default()),
        count(Some(sheet.inside_at_opening)),
        Cell::Number(Some(sheet.figures.entries)),
        Cell::Number(Some(sheet.figures.exits)),
        count(sheet.inside_at_closing),
        Cell::Number(Some(sheet.figures.revenue)),
        Cell::Number(Some(sheet.opening_cash)),
        Cell::Number(Some(sheet.expected_cash)),
        Cell::Number(sheet.counted_cash),
        Cell::Number(sheet.difference),
        Cell::Number(sheet.addendum.as_ref().map(|addendum| addendum.revenue)),
        text(sheet.note.as_deref().unwrap_or_default()),
        text(&sheet.id),
        Cell::Number(sheet.expected_cash_now.map(|now| now - sheet.expected_cash)),
        Cell::Number(sheet.expected_cash_now),
        Cell::Number(sheet.difference_now),
        Cell::Number(sheet.recounts.last().map(|again| again.counted_cash)),
        Cell::Number(sheet.recounts.last().map(|again| again.difference)),
        Cell::Number(Some(sheet.excess).filter(|excess| *excess != 0)),
        Cell::Number(Some(sheet.elsewhere).filter(|elsewhere| *elsewhere != 0)),
    ]
}

/// `GET /api/shifts/{id}/exits.csv`: all of them, read and sent a page at a time.
pub async fn exits_csv(
    path: web::Path<String>,
    parameters: web::Query<TableParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let style = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?;
    let (id, zone) = (path.into_inner(), worker.zone());
    let sheet = sheet_or_404(&worker, id.clone()).await?;
    let name = format!("parkmesh-shift-{}.csv", sheet.shift.from_ms);
    let head = spreadsheet::heads(EXIT_HEADS, style);
    spreadsheet::export(worker.shared.clone(), &name, head, 0_usize, move |reader, offset| {
        let page = reader.exits_of(&sheet, offset, TABLE_EXITS)?;
        let next = (page.len() == TABLE_EXITS).then(|| offset + TABLE_EXITS);
        let exits = page.into_iter().map(|exit| ExitOfShift::of(exit, &zone));
        let rows: Vec<_> = exits.map(|exit| exit_line(exit, style.english)).collect();
        Ok((spreadsheet::lines(&rows, style), next))
    })
    .await
}

/// `GET /api/shifts/{id}/exits.xlsx`: the sheet, and at most [`spreadsheet::MAX_ROWS`] exits.
pub async fn exits_book(
    path: web::Path<String>,
    parameters: web::Query<TableParameters>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ApiError> {
    let is_english = Style::of(parameters.lang.as_deref(), parameters.separator.as_deref())?.english;
    let (id, zone, face) = (path.into_inner(), worker.zone(), Face::of(&worker));
    let sheet = sheet_or_404(&worker, id.clone()).await?;
    let shown = face.sheet(&sheet);
    let exits = worker.shared.readers.ask(move |reader| reader.exits_of(&sheet, 0, spreadsheet::MAX_ROWS)).await?;
    let rows = exits.into_iter().map(|exit| exit_line(ExitOfShift::of(exit, &zone), is_english)).collect();
    let exits = Table { title: ("Lượt ra", "Exits"), heads: EXIT_HEADS, rows, ..Table::default() };
    let book = spreadsheet::workbook(TITLE, vec![items(&shown, is_english), exits], is_english).await?;
    let from_ms = id.rsplit('_').next().unwrap_or_default().to_owned();
    Ok(attached(&worker, &format!("shift-{from_ms}"), "xlsx", spreadsheet::MEDIA_TYPE, book))
}

async fn sheet_or_404(worker: &Worker, id: String) -> Result<Sheet, ApiError> {
    let unknown = format!("no shift has the id {id:?}");
    let asked = worker.shared.readers.ask(move |reader| reader.sheet(&id)).await?;
    asked.ok_or_else(|| ApiError::not_found(unknown))
}

/// The figures of a sheet, one a line.
fn items(sheet: &ShiftSheet, is_english: bool) -> Table {
    let cells = line(sheet);
    let named =
        SHEET_HEADS.iter().zip(cells).map(|((vi, en), cell)| ((if is_english { *en } else { *vi }).to_owned(), cell));
    let mut items: Vec<(String, Cell)> = named.collect();
    let methods = sheet.figures.methods.iter();
    items.extend(methods.map(|of| (method(is_english, &of.method), Cell::Number(Some(of.revenue)))));
    let after = if is_english { "After it was closed" } else { "Phát sinh sau khi chốt" };
    items.extend(
        sheet
            .addendum
            .iter()
            .flat_map(|since| &since.methods)
            .map(|of| (format!("{after}: {}", method(is_english, &of.method)), Cell::Number(Some(of.revenue)))),
    );
    let rows = items.into_iter().map(|(name, value)| vec![Cell::Text(name), value]).collect();
    Table { title: ("Phiếu ca", "Sheet"), heads: ITEM_HEADS, rows, ..Table::default() }
}

fn exit_line(exit: ExitOfShift, is_english: bool) -> Vec<Cell> {
    let ways = ways(is_english, &exit);
    vec![
        Cell::Time(exit.exit_time),
        Cell::Text(exit.plate_view.unwrap_or_default()),
        Cell::Text(word(is_english, "type", &exit.camera_type).into_owned()),
        Cell::Number(Some(exit.fee)),
        Cell::Number(Some(exit.collected)),
        Cell::Text(ways),
        Cell::Text(exit.by),
        Cell::Text(if exit.forced { "x".to_owned() } else { String::new() }),
        Cell::Text(exit.reason.unwrap_or_default()),
        Cell::Text(exit.event_id.unwrap_or_default()),
        Cell::Number(Some(exit.excess).filter(|excess| *excess != 0)),
    ]
}
