//! Number plates: the key a plate is looked up by, and the form people read.
//!
//! To teach the form of a new kind of plate, add a line to [`FORMS`] (and to [`SHOWN_SERIES`] if it has a Đ).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::ids::as_text;
use super::problem::is_plain_text;
use super::told::word::{folded, narrow};

/// Shortest and longest plate key, in characters.
pub const MIN_PLATE_CHARS: usize = 6;
pub const MAX_PLATE_CHARS: usize = 12;

/// Words of a text among which a plate is looked for.
const MOST_WORDS: usize = 8;

/// Longest form for people that an edge may give, in characters.
pub const MAX_VIEW_CHARS: usize = 20;

/// The forms of Vietnamese plates; the first whose shape and series fit is taken. A key that fits none is shown as it
/// is. Plates are written as in the newspapers and the police's own lists: province and series in one word, a dash, a
/// five-digit number with a point before its last two. That of motorbikes, `29B1-123.45`, has the same characters as
/// the two lines on the plate itself, `29-B1` over `123.45`.
const FORMS: &[Form] = &[
    // Diplomats, foreigners and international organisations: province, country, kind, number.
    Form { shape: "ppdddlldd", series: DIPLOMATIC_SERIES, view: "##-###-##-##" },
    // Army: unit and number, no province.
    Form { shape: "lldddd", series: &[], view: "##-##-##" },
    // Cars, the police's (80A …) among them; four digits until 2010.
    Form { shape: "ppldddd", series: &[], view: "###-####" },
    // Motorbikes of four digits (29B1-1234) have this shape too; a car is by far likelier.
    Form { shape: "pplddddd", series: &[], view: "###-###.##" },
    // Cars of companies, projects and special kinds (29LD); motorbikes under 50 cc and since 2023 (29AA).
    Form { shape: "pplldddd", series: &[], view: "####-####" },
    Form { shape: "pplldddddd", series: ELECTRIC_MOTORBIKE_SERIES, view: "#####-###.##" },
    Form { shape: "ppllddddd", series: &[], view: "####-###.##" },
    // Motorbikes.
    Form { shape: "ppldddddd", series: &[], view: "####-###.##" },
];
const DIPLOMATIC_SERIES: &[&str] = &["NG", "NN", "QT", "CV"];
const ELECTRIC_MOTORBIKE_SERIES: &[&str] = &["MD"];
/// Series whose Đ was folded to D in the key: electric motorbikes, and cars on trial.
const SHOWN_SERIES: &[(&str, &str)] = &[("MD", "MĐ"), ("TD", "TĐ")];
/// Provinces are numbered from here to 99.
const FIRST_PROVINCE: &str = "11";

/// Between the parts of a plate, beside blanks, line ends and dashes.
const SEPARATORS: &str = "-._/\\|,:;+·•‧∙⋅・･․。、●▪◦∶°'\"`´‘’“”«»()[]{}<>−﹣\u{ad}\u{30fb}\u{180e}";
/// Between words, of which one may be a plate and the next something else.
const WORD_ENDS: &str = "/\\|,:;_+()[]{}<>\"'";
/// Where a program wrote a line end of a plate in two lines as another program's text has it.
const LINE_ENDS: [&str; 7] = ["\\r\\n", "\\n", "\\r", "\\t", "<br>", "<br/>", "<br />"];
/// Of whose country a plate is, folded.
const COUNTRY: [&str; 3] = ["vn", "vnm", "vietnam"];
/// Letters of other scripts that look like Latin ones, upper case, as cameras and keyboards give them.
const LOOK_ALIKES: &[(&str, char)] = &[
    ("АΑ", 'A'),
    ("ВΒ", 'B'),
    ("СϹ", 'C'),
    ("ЕΕ", 'E'),
    ("ԌҺΗН", 'H'),
    ("ІΙ", 'I'),
    ("ЈͿ", 'J'),
    ("КΚ", 'K'),
    ("МΜ", 'M'),
    ("Ν", 'N'),
    ("ОΟ", 'O'),
    ("РΡ", 'P'),
    ("Ѕ", 'S'),
    ("ТΤ", 'T'),
    ("ҮΥУ", 'Y'),
    ("ХΧ", 'X'),
    ("Ζ", 'Z'),
];
/// Words for no plate that are seen with a number behind them, folded.
const NO_PLATE: &[&str] = &[
    "unknown",
    "unknow",
    "unkown",
    "unk",
    "unread",
    "unreadable",
    "unrecognized",
    "unrecognised",
    "undefined",
    "unlicensed",
    "unidentified",
    "noplate",
    "noplatenumber",
    "nolicenseplate",
    "nolicense",
    "noread",
    "notread",
    "notfound",
    "notdetected",
    "undetected",
    "nodetection",
    "notrecognized",
    "notrecognised",
    "notavailable",
    "default",
    "string",
    "sample",
    "placeholder",
    "none",
    "null",
    "nan",
    "na",
    "nil",
    "noname",
    "empty",
    "missing",
    "invalid",
    "error",
    "failed",
    "novalue",
    "noresult",
    "nodata",
    "plate",
    "licenseplate",
    "bienso",
    "khongbien",
    "khongbienso",
    "khongcobien",
    "khongcobienso",
    "khongdoc",
    "khongdocduoc",
    "khongro",
    "khongthay",
    "khongxacdinh",
    "khongnhandien",
    "khongnhandienduoc",
    "chuabien",
    "chuacobien",
    "matbien",
    "xekhongbien",
    "xe",
    "car",
    "moto",
    "vehicle",
    "test",
];

/// One form of plate.
struct Form {
    /// Of the key: `pp` the province, `l` a letter, `d` a digit.
    shape: &'static str,
    /// The letters of the key must be one of these; empty: any.
    series: &'static [&'static str],
    /// `#` is the next character of the key; anything else is shown as it is.
    view: &'static str,
}

/// Why a text is not a plate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlateError {
    #[error("a plate has 6 to 12 letters and digits; {0} are left after removing spaces, '-', '.' and the like")]
    Length(usize),
    #[error("a plate has only letters A-Z and digits; found {0:?}")]
    Character(char),
    /// What cameras and people write where they could not read one.
    #[error("that says that no plate was read; a plate has digits, not all 0, and is no word")]
    None,
    #[error("more stands here than the plate {0}: write it alone")]
    Beside(PlateId),
    #[error("the form of a plate for people has at most 20 characters and no control characters")]
    View,
}

/// A plate's key: 6 to 12 of `A-Z0-9`. Two readings of one plate have equal keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlateId(Arc<str>);

impl PlateId {
    /// Reads what a camera or a person tells: as [`Self::parse`], but what says that no plate was read names no car. All that
    /// is new is read by this; what was written down before keeps its key.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`PlateError::None`].
    pub fn told(text: &str) -> Result<Self, PlateError> {
        let text = &*in_lines(text);
        let read = |text: &str| if says_none(text) { Err(PlateError::None) } else { Self::parse(text) };
        // Nothing that says that no plate was read has the characters of a province's.
        let whole = Self::parse(text).ok().filter(Self::is_of_a_province).map_or_else(|| read(text), Ok);
        // `51F 000 0.12` is a plate in parts; only beside one that is whole without it something else can stand.
        if whole.as_ref().is_ok_and(Self::is_of_a_form) {
            return whole;
        }
        let scored = without_score(text).map(read);
        if let Some(Ok(plate)) = &scored
            && plate.is_of_a_form()
        {
            return Ok(plate.clone());
        }
        if let Some(plate) = Self::within(text, whole.is_ok()) {
            return Ok(plate);
        }
        match (&whole, scored) {
            (Err(_), Some(Ok(plate))) => Ok(plate),
            (_, Some(Err(PlateError::None))) => Err(PlateError::None),
            _ => whole,
        }
    }

    /// As [`Self::told`], of a person or a list, who write a plate and nothing else.
    ///
    /// # Errors
    /// As [`Self::told`], and [`PlateError::Beside`].
    pub fn alone(text: &str) -> Result<Self, PlateError> {
        Self::told(text)
            .and_then(|plate| if plate.is_written(text) { Ok(plate) } else { Err(PlateError::Beside(plate)) })
    }

    /// Whether more stands in the text it was told by than the plate, and how sure a camera is of it.
    pub fn has_beside(&self, text: &str) -> bool {
        let text = &*in_lines(text);
        !self.is_written(text) && !without_score(text).is_some_and(|plate| self.is_written(plate))
    }

    /// The one Vietnamese plate among the words of a text: `VN 51F-123.45`, `51F-123.45;0.95`, `xe 51F-123.45 (trắng)`. `may_be_one`: all of
    /// it may be a plate of another country, and only what surely is no part of one can stand beside it.
    fn within(text: &str, may_be_one: bool) -> Option<Self> {
        // A sign that was not read belongs to the plate.
        if text.contains(['?', '*', '\u{fffd}']) || text.trim_end().ends_with('#') {
            return None;
        }
        let is_end = |c: char| c.is_whitespace() || WORD_ENDS.contains(c);
        let words: Vec<&str> = text.split(is_end).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
        let is_beside = |word: &&str| {
            let is_number = !word.contains(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '%'));
            !may_be_one || is_number || COUNTRY.contains(&folded(word).as_str())
        };
        // The longest first: of a plate in parts the first two may be one as well.
        for count in (1..=words.len()).rev() {
            let mut found = None;
            for (at, run) in words.windows(count).enumerate() {
                let beside = words.iter().take(at).chain(words.iter().skip(at + count));
                let plate = Self::parse(&run.concat()).ok();
                let Some(plate) =
                    plate.filter(|plate| plate.is_of_a_province() && beside.copied().all(|word| is_beside(&word)))
                else {
                    continue;
                };
                if found.as_ref().is_some_and(|other| *other != plate) {
                    return None;
                }
                found = Some(plate);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether it has the shape of a Vietnamese one of a province, which no word and no number has.
    fn is_of_a_province(&self) -> bool {
        FORMS.iter().any(|form| form.shape.starts_with("pp") && form.fits(self.as_str()))
    }

    /// Whether it has the shape of a Vietnamese one.
    fn is_of_a_form(&self) -> bool {
        FORMS.iter().any(|form| form.fits(self.as_str()))
    }

    /// Reads a writing of a plate: upper case; separators removed; full-width and look-alike letters as the usual ones; Đ
    /// becomes D (29MĐ1). A letter with another accent is no plate's: who types AA in Vietnamese gets an Â.
    ///
    /// # Errors
    /// [`PlateError`] if other characters or another length are left.
    pub fn parse(text: &str) -> Result<Self, PlateError> {
        let mut key = String::with_capacity(MAX_PLATE_CHARS);
        for character in key_characters(text) {
            let character = character?;
            // A hostile text is not copied; its length is still told.
            if key.len() == MAX_PLATE_CHARS {
                return Err(PlateError::Length(key_characters(text).count()));
            }
            key.push(character);
        }
        if (MIN_PLATE_CHARS..=MAX_PLATE_CHARS).contains(&key.len()) {
            Ok(Self(key.into()))
        } else {
            Err(PlateError::Length(key.len()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is a writing of this plate: `29A-123.45` of `29A12345`.
    pub fn is_written(&self, text: &str) -> bool {
        key_characters(text).eq(self.0.chars().map(Ok))
    }
}

/// The characters a text contributes to a key.
fn key_characters(text: &str) -> impl Iterator<Item = Result<char, PlateError>> {
    text.chars().map(narrow).filter(|c| !is_separator(*c)).map(|character| match character {
        'đ' | 'Đ' | 'Ð' | 'ð' => Ok('D'),
        c if c.is_ascii_alphanumeric() => Ok(c.to_ascii_uppercase()),
        c => {
            let upper = c.to_uppercase().next().unwrap_or(c);
            let alike = LOOK_ALIKES.iter().find(|(forms, _)| forms.contains(upper));
            alike.map(|(_, latin)| *latin).ok_or(PlateError::Character(c))
        }
    })
}

/// What stands between the parts of a plate, or joins its two lines. A mark for a character that was not read (`?`, `*`, `#`)
/// is none.
fn is_separator(character: char) -> bool {
    if character.is_ascii_alphanumeric() {
        return false;
    }
    character.is_whitespace()
        || character.is_control()
        || SEPARATORS.contains(character)
        // Dashes, invisible marks, directions of writing.
        || matches!(character, '\u{2000}'..='\u{2015}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The text with line ends where a program wrote them as signs.
fn in_lines(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '<']) {
        return text.into();
    }
    LINE_ENDS.iter().fold(Cow::from(text), |text, sign| text.replace(sign, "\n").into())
}

/// A text without what some cameras write behind the plate: how sure they are, from 0 to 1 or in percent. `None`: it has none.
fn without_score(text: &str) -> Option<&str> {
    let (plate, last) = text.trim_end().rsplit_once(char::is_whitespace)?;
    let last = last.trim_matches(['(', ')', '[', ']']);
    let is_score = match last.as_bytes() {
        [b'0', b'.' | b',', parts @ ..] => !parts.is_empty() && parts.iter().all(u8::is_ascii_digit),
        [b'1', b'.' | b',', parts @ ..] => !parts.is_empty() && parts.iter().all(|part| *part == b'0'),
        [percent @ .., b'%'] => !percent.is_empty() && percent.iter().all(|c| c.is_ascii_digit() || *c == b'.'),
        _ => false,
    };
    is_score.then_some(plate)
}

/// Whether the text says that nothing was read: without a digit, with no digit but 0, all one character, masked (`XXX`), a pattern in
/// place of a plate (`AAA1111`), or such a word with a number behind it.
fn says_none(text: &str) -> bool {
    let word = folded(text);
    let mut digits = word.chars().filter(char::is_ascii_digit).peekable();
    let first = word.chars().next();
    let names_none = NO_PLATE
        .iter()
        .any(|none| word.strip_prefix(none).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit())));
    digits.peek().is_none()
        || digits.all(|digit| digit == '0')
        || word.chars().all(|c| Some(c) == first)
        || word.contains("xxx")
        || is_pattern(&word)
        || names_none
}

/// Three letters or more that are one, and digits behind them that are one.
fn is_pattern(word: &str) -> bool {
    let (letters, digits) = word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len()));
    let are_one = |part: &str| part.chars().all(|c| part.starts_with(c));
    letters.chars().count() >= 3 && are_one(letters) && are_one(digits)
}

impl Form {
    fn fits(&self, key: &str) -> bool {
        let shape_fits = key.len() == self.shape.len()
            && key.bytes().zip(self.shape.bytes()).all(|(character, kind)| match kind {
                b'l' => character.is_ascii_uppercase(),
                _ => character.is_ascii_digit(),
            });
        let province_fits = !self.shape.starts_with("pp") || key >= FIRST_PROVINCE;
        shape_fits && province_fits && (self.series.is_empty() || self.series.contains(&self.series_of(key)))
    }

    /// The letters of a key of this shape.
    fn series_of<'k>(&self, key: &'k str) -> &'k str {
        let from = self.shape.find('l').unwrap_or(0);
        let upto = self.shape.rfind('l').map_or(0, |last| last + 1);
        key.get(from..upto).unwrap_or_default()
    }

    fn show(&self, key: &str) -> String {
        let series = self.series_of(key);
        let mut characters = key.chars();
        let view: String =
            self.view.chars().filter_map(|c| if c == '#' { characters.next() } else { Some(c) }).collect();
        // An army unit may have these letters too, without the Đ; it has no province.
        match SHOWN_SERIES.iter().find(|(folded, _)| self.shape.starts_with("pp") && *folded == series) {
            Some((folded, shown)) => view.replacen(folded, shown, 1),
            None => view,
        }
    }
}

/// The plate as people write it, `29A-123.45`, if the key has the shape of a Vietnamese one; else the key itself.
pub fn view(plate: &PlateId) -> String {
    let key = plate.as_str();
    FORMS.iter().find(|form| form.fits(key)).map_or_else(|| key.to_owned(), |form| form.show(key))
}

/// The form for people that an edge gives, without blanks around it; `None`: it gives none, [`view`] makes one.
///
/// # Errors
/// [`PlateError::View`] if it is longer than [`MAX_VIEW_CHARS`] or has control characters.
pub fn check_view(text: &str) -> Result<Option<&str>, PlateError> {
    let text = text.trim();
    if !is_plain_text(text, MAX_VIEW_CHARS) {
        return Err(PlateError::View);
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

impl fmt::Display for PlateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlateId {
    type Err = PlateError;

    fn from_str(text: &str) -> Result<Self, PlateError> {
        Self::parse(text)
    }
}

as_text!(PlateId);

/// More than this is another plate: two signs read wrongly, or one and a transposition.
pub const MOST_UNLIKE: u32 = 4;

/// One sign for another, one missing, one too many, two swapped.
const CHANGE: u32 = 2;
/// One sign for another that looks like it.
const LOOK_ALIKE: u32 = 1;
/// Signs that are taken for each other.
const TAKEN_FOR_EACH_OTHER: &[&str] =
    &["0DOQ", "1IL7T", "8B", "5S", "2Z", "6G", "4A", "UV", "3E", "CG", "MN", "KX", "PF"];

/// What has to be changed in one plate to read the other: 0 if they are equal; `None` beyond [`MOST_UNLIKE`].
pub fn unlikeness(a: &PlateId, b: &PlateId) -> Option<u32> {
    let (a, b) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    // Optimal string alignment, a row of the table at a time: the two before, and the one being made.
    let mut before: Vec<u32> = Vec::new();
    let mut last: Vec<u32> = (0..).step_by(CHANGE as usize).take(b.len() + 1).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(CHANGE * (u32::try_from(i).ok()? + 1));
        for (j, &to) in b.iter().enumerate() {
            let cell = |row: &[u32], at: usize| row.get(at).copied().unwrap_or(u32::MAX / 2);
            let mut least = cell(&last, j) + cost(from, to);
            least = least.min(cell(&last, j + 1) + CHANGE).min(cell(&row, j) + CHANGE);
            let is_swapped = i > 0 && j > 0 && from != to && a.get(i - 1) == Some(&to) && b.get(j - 1) == Some(&from);
            if is_swapped {
                least = least.min(cell(&before, j - 1) + CHANGE);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|unlike| *unlike <= MOST_UNLIKE)
}

fn cost(from: u8, to: u8) -> u32 {
    if from == to {
        return 0;
    }
    let alike = TAKEN_FOR_EACH_OTHER
        .iter()
        .any(|group| group.bytes().any(|sign| sign == from) && group.bytes().any(|s| s == to));
    if alike { LOOK_ALIKE } else { CHANGE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vietnamese_plates_are_shown_as_people_write_them() {
        for (written, key, shown) in [
            // Cars: five digits, four digits, police and government, trailers.
            ("29A-123.45", "29A12345", "29A-123.45"),
            ("51F 970.22", "51F97022", "51F-970.22"),
            ("30K-567.89", "30K56789", "30K-567.89"),
            ("80A-031.15", "80A03115", "80A-031.15"),
            ("99A-999.99", "99A99999", "99A-999.99"),
            ("51R-012.34", "51R01234", "51R-012.34"),
            ("29A-1234", "29A1234", "29A-1234"),
            ("52N-9388", "52N9388", "52N-9388"),
            // Cars with a series of two letters.
            ("29LD-123.45", "29LD12345", "29LD-123.45"),
            ("51LD-1234", "51LD1234", "51LD-1234"),
            ("30KT-012.34", "30KT01234", "30KT-012.34"),
            ("29DA-012.34", "29DA01234", "29DA-012.34"),
            ("60RM-001.02", "60RM00102", "60RM-001.02"),
            ("29TĐ-012.34", "29TD01234", "29TĐ-012.34"),
            ("15CD-000.12", "15CD00012", "15CD-000.12"),
            // Motorbikes.
            ("29-B1 123.45", "29B112345", "29B1-123.45"),
            ("59X3-456.78", "59X345678", "59X3-456.78"),
            ("43-D1\u{20}123.45", "43D112345", "43D1-123.45"),
            ("29-AA 123.45", "29AA12345", "29AA-123.45"),
            ("59-AB 012.34", "59AB01234", "59AB-012.34"),
            // Electric motorbikes.
            ("29MĐ1-123.45", "29MD112345", "29MĐ1-123.45"),
            ("29-mđ6 123.45", "29MD612345", "29MĐ6-123.45"),
            ("59-MĐ 123.45", "59MD12345", "59MĐ-123.45"),
            // Diplomats and foreigners.
            ("80-011-NG-01", "80011NG01", "80-011-NG-01"),
            ("41-291-NN-12", "41291NN12", "41-291-NN-12"),
            ("80-555-QT-01", "80555QT01", "80-555-QT-01"),
            // Army.
            ("TM-12-34", "TM1234", "TM-12-34"),
            ("TD 12-34", "TD1234", "TD-12-34"),
            ("QA-56-78", "QA5678", "QA-56-78"),
        ] {
            let plate = PlateId::parse(written).unwrap();
            assert_eq!(plate.as_str(), key, "{written}");
            assert_eq!(view(&plate), shown, "{written}");
            assert!(plate.is_written(written), "{written}");
        }
    }

    #[test]
    fn plates_of_another_shape_are_shown_as_their_key() {
        for key in ["WAW12345", "ABCDEF", "123456", "10A12345", "01A12345", "80011XX01", "29AB123456", "AB12CDE"] {
            assert_eq!(view(&PlateId::parse(key).unwrap()), key);
        }
    }

    #[test]
    fn texts_that_are_no_plates_are_refused() {
        for (text, error) in [
            ("", PlateError::Length(0)),
            ("29A12", PlateError::Length(5)),
            (" - . ", PlateError::Length(0)),
            ("29A1234567890", PlateError::Length(13)),
            ("30A1234*", PlateError::Character('*')),
            ("29A1234?", PlateError::Character('?')),
            ("29A12#45", PlateError::Character('#')),
            ("29Ă12345", PlateError::Character('Ă')),
            ("29Â12345", PlateError::Character('Â')),
            ("京A12345", PlateError::Character('京')),
            ("1กข 1234", PlateError::Character('ก')),
            ("29A1234\u{fffd}", PlateError::Character('\u{fffd}')),
        ] {
            assert_eq!(PlateId::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn every_separator_is_dropped_and_look_alikes_are_the_usual_letters() {
        for (written, key) in [
            ("59-X3\n456.78", "59X345678"),
            ("59-X3\r\n456.78", "59X345678"),
            ("59-X3/456.79", "59X345679"),
            ("59-X3·456.80", "59X345680"),
            ("59-X3•456.80", "59X345680"),
            ("59-X3|456.81", "59X345681"),
            ("59-X3\\456.81", "59X345681"),
            ("51F_970.22", "51F97022"),
            ("51F\u{a0}970.23", "51F97023"),
            ("\t51F97024\r\n", "51F97024"),
            ("51F–970.25", "51F97025"),
            ("51F—970.25", "51F97025"),
            ("51F−970.25", "51F97025"),
            ("51F\u{200b}97025\u{feff}", "51F97025"),
            ("51F,970,25", "51F97025"),
            ("[51F] 970:25;", "51F97025"),
            ("'51F97025\"", "51F97025"),
            ("２９Ａ－１２３．４５", "29A12345"),
            ("29А-123.45", "29A12345"),
            ("29а-123.45", "29A12345"),
            ("30Κ-567.89", "30K56789"),
            ("43С1-123.45", "43C112345"),
            ("59х3-456.78", "59X345678"),
            ("29MÐ1-123.45", "29MD112345"),
        ] {
            assert_eq!(PlateId::told(written).as_ref().map(PlateId::as_str), Ok(key), "{written}");
        }
    }

    #[test]
    fn a_word_for_no_plate_names_no_car() {
        for text in [
            "UNKNOWN",
            "unknown",
            "NOPLATE",
            "NO_PLATE",
            "NO PLATE",
            "No-Plate",
            "KHONG BIEN",
            "KHÔNG BIỂN",
            "Không đọc được",
            "N/A",
            "0000000",
            "000000",
            "00-000.00",
            "AAAAAAA",
            "1111111",
            "XXXXXX",
            "??????",
            "-------",
            "***",
            "",
            " ",
            "null",
            "None",
            "NaN",
            "undefined",
            "UNREAD",
            "NOREAD",
            "not read",
            "Unrecognized",
            "_无_",
            "无牌",
            "无车牌",
            "UNKNOWN1",
            "UNKNOWN_123",
            "NOPLATE-0042",
            "BLURRED",
            "00A00000",
            "plate_0001",
            "test123",
            "XXXXXXX1",
            "XXXX1234",
            "29A-XXX.XX",
            "UNK0001",
            "UNKOWN1",
            "Not Detected 1",
            "not detected 0.12",
            "DEFAULT1",
            "STRING1",
            "AAA1111",
        ] {
            assert_eq!(PlateId::told(text), Err(PlateError::None), "{text:?}");
        }
        for plate in ["29A-000.01", "NA1234X", "AB-12-34", "CAR12A", "80A00001", "AAB1111", "AAA1112", "AA-11-11"] {
            assert!(PlateId::told(plate).is_ok(), "{plate}");
        }
        for scored in ["51F97022 0.95", "51F-970.22 (0,9512)", "51F 97022\t1.0", "51F97022 95%", "51F97022 [95.5%]"] {
            assert_eq!(PlateId::told(scored).unwrap().as_str(), "51F97022", "{scored}");
        }
        for beside in [
            "51F97022|0.95",
            "51F97022;0.95",
            "51F-970.22,0.95",
            "51F97022_0.95",
            "51F97022 95",
            "51F97022 [95]",
            "51F-970.22 (VN)",
            "51F-970.22/VN",
            "51F-970.22 VN",
            "VN 51F-970.22",
            "VN: 51F 970.22",
            "Biển số: 51F-970.22",
            "xe 51F-970.22 (trắng)",
            "white 51F 970.22",
            "#1 51F97022",
        ] {
            let plate = PlateId::told(beside).unwrap();
            assert_eq!(plate.as_str(), "51F97022", "{beside}");
            assert_eq!(plate.has_beside(beside), !plate.is_written(beside), "{beside}");
            assert!(matches!(PlateId::alone(beside), Err(PlateError::Beside(_))), "{beside}");
        }
        for line_end in
            ["51F\\n970.22", "51F\\r\\n970.22", "51F<br>970.22", "51F<br/>970.22", "51F+970.22", "51F’970.22"]
        {
            assert_eq!(PlateId::told(line_end).unwrap().as_str(), "51F97022", "{line_end}");
            assert!(!PlateId::told(line_end).unwrap().has_beside(line_end), "{line_end}");
        }
        for (several, read) in [
            ("51F-970.22;51F-970.23", None),
            ("51F 1234 ?", None),
            ("51F-970.2 *", None),
            ("51F 1234 #", None),
            ("51F-970.22;51F-970.22", Some("51F97022")),
            // Of another country, as a whole.
            ("KA 51 AB 1234", Some("KA51AB1234")),
            ("WAW 12345", Some("WAW12345")),
            ("WAW12345 95%", Some("WAW12345")),
            ("TM-12-34 0.95", Some("TM1234")),
        ] {
            assert_eq!(PlateId::told(several).ok().as_ref().map(PlateId::as_str), read, "{several}");
        }
        for (parts, key) in [
            ("29-B1 123.45", "29B112345"),
            ("10A000\n0.12", "10A000012"),
            ("51F 0.123", "51F0123"),
            ("51F 000 0.12", "51F000012"),
        ] {
            assert_eq!(PlateId::told(parts).unwrap().as_str(), key, "what is no score is of the plate: {parts}");
        }
        assert!(PlateId::parse("UNKNOWN").is_ok(), "what an old event says stays readable");
    }

    #[test]
    fn a_form_given_by_an_edge_is_trimmed_and_bounded() {
        assert_eq!(check_view("  29A-123.45 "), Ok(Some("29A-123.45")));
        assert_eq!(check_view(" \t"), Ok(None));
        assert_eq!(check_view(&"Đ".repeat(20)), Ok(Some("Đ".repeat(20).as_str())));
        assert_eq!(check_view(&"A".repeat(21)), Err(PlateError::View));
        assert_eq!(check_view("29A\u{7}123"), Err(PlateError::View));
    }

    proptest! {
        #[test]
        fn a_shown_plate_is_read_back_as_itself(key in "[0-9A-Z]{6,12}|[1-9][0-9][A-Z]{1,2}[0-9]{4,6}") {
            let plate = PlateId::parse(&key).unwrap();
            prop_assert_eq!(plate.as_str(), &key);
            let shown = view(&plate);
            prop_assert!(check_view(&shown) == Ok(Some(shown.as_str())));
            prop_assert_eq!(PlateId::parse(&shown), Ok(plate));
        }

        #[test]
        fn any_spelling_of_a_plate_is_that_plate(
            key in "[1-9][0-9][A-Z]{1,2}[0-9]{3,5}[1-9]",
            separators in proptest::collection::vec(prop_oneof![
                Just(""), Just(" "), Just("-"), Just("."), Just("\n"), Just("/"), Just("|"), Just("·"), Just("\u{a0}"), Just("_"), Just(" - "),
            ], 10),
            spelling in 0..4,
        ) {
            let latin = |c: char| match spelling {
                1 => c.to_ascii_lowercase(),
                2 => char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c),
                3 => LOOK_ALIKES.iter().find(|(_, latin)| *latin == c).and_then(|(forms, _)| forms.chars().next()).unwrap_or(c),
                _ => c,
            };
            let spelled: String = key.chars().zip(&separators).flat_map(|(c, mark)| mark.chars().chain([latin(c)])).collect();
            let plate = PlateId::parse(&key).unwrap();
            // Beside a whole plate something else can stand: with it, it is no plate there is.
            prop_assume!(plate.is_of_a_form());
            prop_assert!(!plate.is_of_a_province() || !says_none(&spelled), "{}", spelled);
            prop_assert_eq!(PlateId::told(&spelled), Ok(plate), "{}", spelled);
        }

        #[test]
        fn no_text_is_read_as_a_plate_of_another_shape(text in any::<String>()) {
            if let Ok(plate) = PlateId::parse(&text) {
                prop_assert!(!plate.is_of_a_province() || !says_none(&text));
                prop_assert!((MIN_PLATE_CHARS..=MAX_PLATE_CHARS).contains(&plate.as_str().len()));
                prop_assert!(plate.as_str().bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
                prop_assert!(plate.is_written(&text));
            }
        }
    }

    fn plate(text: &str) -> PlateId {
        PlateId::parse(text).unwrap()
    }

    #[test]
    fn what_is_read_wrongly_is_near_and_what_is_another_plate_is_not() {
        for (a, b, wanted) in [
            ("29A-123.45", "29A12345", Some(0)),
            ("29A12345", "29A12346", Some(2)),
            // Taken for each other.
            ("30G88888", "30G8888B", Some(1)),
            ("51D00123", "51O00123", Some(1)),
            ("29A12345", "29412345", Some(1)),
            // Swapped, left out, added.
            ("29A12345", "29A21345", Some(2)),
            ("29A12345", "29A1235", Some(2)),
            ("29A12345", "29A123455", Some(2)),
            ("29A12345", "29A12399", Some(4)),
            ("29A12345", "29A12999", None),
            ("29A12345", "51F97022", None),
            ("29A12345", "A12345", Some(4)),
        ] {
            assert_eq!(unlikeness(&plate(a), &plate(b)), wanted, "{a} and {b}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_both_ways_and_one_wrong_sign_is_always_near(
            text in "[0-9A-Z]{6,12}", at in 0_usize..12, sign in "[0-9A-Z]", other in "[0-9A-Z]{6,12}",
        ) {
            let (a, b) = (plate(&text), plate(&other));
            prop_assert_eq!(unlikeness(&a, &b), unlikeness(&b, &a));
            let at = at % text.len();
            let misread = format!("{}{sign}{}", &text[..at], &text[at + 1..]);
            let unlike = unlikeness(&a, &plate(&misread));
            prop_assert!(unlike.is_some_and(|unlike| unlike <= CHANGE));
            prop_assert_eq!(unlike == Some(0), misread == text);
        }
    }
}
