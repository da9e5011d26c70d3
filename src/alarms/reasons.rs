//! What the program says in English of its files and links and of programs it calls, in Vietnamese: by the table that the pages read
//! too, static/i18n/reasons.json.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::message;

/// How what the system says of a connection begins, and the text of the pages for it.
const USUAL: [(&str, &str); 8] = [
    ("Connection refused", "reason_nobody_listens"),
    ("No route to host", "reason_unreachable"),
    ("Host is unreachable", "reason_unreachable"),
    ("Network is unreachable", "reason_unreachable"),
    ("no answer within", "reason_no_answer"),
    ("the dial got no answer", "reason_no_answer"),
    ("Connection timed out", "reason_no_answer"),
    ("nothing heard for", "reason_silent"),
];

static SENTENCES: LazyLock<Sentences> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../static/i18n/reasons.json")).unwrap_or_default());

/// Each sentence with its blanks, and its Vietnamese, in the order of the file: where two fit, the one above is meant.
#[derive(Default)]
struct Sentences(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Sentences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Sentences;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("sentences by what is said")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sentences, A::Error> {
                let mut sentences = Sentences::default();
                while let Some(entry) = map.next_entry()? {
                    sentences.0.push(entry);
                }
                Ok(sentences)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// `said` in Vietnamese; `None`: nobody foresaw it.
pub fn vietnamese(said: &str) -> Option<String> {
    if let Some((_, key)) = USUAL.iter().find(|(begin, _)| said.starts_with(begin)) {
        return message::vietnamese(key).map(str::to_owned);
    }
    // What a program that was called answered: its status, and what it said.
    let (status, _) = said.split_once(": ").unwrap_or((said, ""));
    if status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(message::vietnamese("reason_answered")?.replace("{said}", said));
    }
    SENTENCES.0.iter().find_map(|(template, text)| {
        let mut found = Vec::new();
        fits(template, said, &mut found).then(|| filled(text, &found))
    })
}

fn filled(text: &str, found: &[(&str, &str)]) -> String {
    let mut parts = text.split('{');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or_default();
        let value = found.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let why = if name == "reason" { vietnamese(value) } else { None };
        whole += why.as_deref().unwrap_or(value);
        whole += rest;
    }
    whole
}

/// Whether `said` is `template` with its blanks filled, and with what; a blank that comes again stands for the same.
fn fits<'t, 's>(template: &'t str, said: &'s str, found: &mut Vec<(&'t str, &'s str)>) -> bool {
    let Some((fixed, rest)) = template.split_once('{') else { return template == said };
    let (Some(said), Some((name, rest))) = (said.strip_prefix(fixed), rest.split_once('}')) else { return false };
    if let Some((_, value)) = found.iter().find(|(known, _)| *known == name) {
        return said.strip_prefix(*value).is_some_and(|said| fits(rest, said, found));
    }
    for at in 1..=said.len() {
        let Some((value, after)) = said.split_at_checked(at) else { continue };
        found.push((name, value));
        if fits(rest, after, found) {
            return true;
        }
        found.pop();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_is_said_in_vietnamese_with_what_it_is_about() {
        let cases = [
            ("Address already in use (os error 98)", "chương trình khác đang dùng port này"),
            ("Connection refused (os error 111)", "Ở địa chỉ này không có máy chủ nào đang chạy"),
            (
                "Failed to connect to host: Connection refused (os error 111)",
                "không kết nối được: Ở địa chỉ này không có máy chủ nào đang chạy",
            ),
            ("503: busy", "nơi nhận trả lời 503: busy"),
            (
                "EOF while parsing an object at line 1 column 1; it lies as /a/accounts.json.damaged",
                "sai cú pháp ở dòng 1, cột 1 (EOF while parsing an object); tệp hỏng cất ở /a/accounts.json.damaged",
            ),
            (
                "/a/b.json cannot be read: Permission denied (os error 13); it lies as /a/b.json.broken",
                "không đọc được /a/b.json: không có quyền; tệp hỏng cất ở /a/b.json.broken",
            ),
            (
                "/b.age cannot be read: Input/output error (os error 5); its disk may be failing; use another backup",
                "không đọc được /b.age: ổ đĩa bị lỗi đọc ghi; ổ đĩa có thể sắp hỏng; hãy dùng bản sao lưu khác",
            ),
        ];
        for (said, text) in cases {
            assert_eq!(vietnamese(said).as_deref(), Some(text));
        }
        assert_eq!(vietnamese("something new"), None);
    }
}
