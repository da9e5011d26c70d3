//! One message: in words, in the language of who is told; as each kind of receiver takes it; and what its answer means.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attention::Attention;
use crate::domain::money::Vnd;
use crate::domain::problem::Language;

/// The texts of the pages, of which these are some: what is said of a thing is said everywhere in the same words.
static TEXTS: LazyLock<[BTreeMap<String, String>; 2]> = LazyLock::new(|| {
    let read = |text| serde_json::from_str(text).unwrap_or_default();
    [read(include_str!("../../static/i18n/vi/common.json")), read(include_str!("../../static/i18n/en/common.json"))]
});

/// A text of the pages in Vietnamese, by its name among those of all pages.
pub fn vietnamese(key: &str) -> Option<&'static str> {
    TEXTS.first()?.get(&format!("common.{key}")).map(String::as_str)
}

/// The longest text of a message, in characters: every receiver takes as much.
const MAX_TEXT_CHARS: usize = 900;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Something is wrong from now on.
    Begin,
    /// It is still so.
    Still,
    /// It is over.
    End,
    /// Something happened once.
    Event,
    /// The figures of a day.
    Report,
    /// Somebody tries whether messages arrive.
    Test,
}

/// One message. Its id is its own: who has seen it knows the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    /// What beginning, repetitions and end of one alarm have in common.
    pub alarm: String,
    pub kind: MessageKind,
    /// What it is about, as `attention` names it; or `forced`, `odd`, `report`, `test`.
    pub code: String,
    /// Who tells it.
    pub central: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
    /// When it was made, Unix ms.
    pub at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    pub text: String,
}

/// Who tells, in which language.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'v> {
    pub central: &'v str,
    pub site: &'v str,
    pub language: Language,
}

impl Voice<'_> {
    /// A text of the pages with its blanks filled; `None`: there is none.
    pub fn text(&self, key: &str, values: &BTreeMap<&'static str, String>) -> Option<String> {
        let [vietnamese, english] = &*TEXTS;
        let texts = if self.language == Language::Vi { vietnamese } else { english };
        let text = texts.get(&format!("common.{key}"))?.clone();
        Some(values.iter().fold(text, |text, (blank, value)| text.replace(&format!("{{{blank}}}"), value)))
    }

    /// In this voice's language.
    pub fn say(&self, vietnamese: impl Into<String>, english: impl Into<String>) -> String {
        if self.language == Language::Vi { vietnamese.into() } else { english.into() }
    }

    /// What is wrong, in one sentence.
    pub fn what(&self, need: &Attention) -> String {
        self.text(&format!("notice_{}", need.code), &need.values).unwrap_or_else(|| need.code.to_owned())
    }

    /// The sentence, why, and what to do.
    pub fn whole(&self, need: &Attention) -> String {
        let parts = [
            Some(self.what(need)),
            self.why(need).map(|reason| format!("({reason})")),
            self.text(&format!("todo_{}", need.code), &BTreeMap::new()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Why it is so; in Vietnamese what nobody foresaw is marked as what it is.
    fn why(&self, need: &Attention) -> Option<String> {
        match (self.language, need.reason.clone()?) {
            (Language::En, reason) => Some(reason),
            (Language::Vi, reason) => {
                need.reason_vi.clone().or_else(|| self.text("technical", &BTreeMap::from([("text", reason)])))
            }
        }
    }

    /// A way of payment as people call it.
    pub fn way(&self, name: &str) -> String {
        let key = format!("paid_{}", if name.is_empty() { "unsaid" } else { name });
        self.text(&key, &BTreeMap::new()).unwrap_or_else(|| name.to_owned())
    }

    /// Who did it, of the name the audit gives: `an`, `token:backup`, `edge:edge-1`; empty: nobody logged in.
    pub fn person(&self, who: &str) -> String {
        if who.is_empty() {
            return self.text("by_nobody", &BTreeMap::new()).unwrap_or_default().to_lowercase();
        }
        let told = who
            .split_once(':')
            .and_then(|(kind, name)| self.text(&format!("by_{kind}"), &BTreeMap::from([("name", name.to_owned())])));
        told.unwrap_or_else(|| who.to_owned())
    }

    /// A day, `2026-11-30`, as people write it.
    pub fn day(&self, day: &str) -> String {
        let parts: Vec<&str> = day.split('-').collect();
        match (self.language, parts.as_slice()) {
            (Language::Vi, [year, month, day]) => format!("{day}/{month}/{year}"),
            _ => day.to_owned(),
        }
    }

    /// How long, as people say it.
    pub fn duration(&self, ms: i64) -> String {
        let minutes = ms.max(0) / 60_000;
        let (hours, rest) = (minutes / 60, minutes % 60);
        match (hours, minutes) {
            (0, 0) => self.say("chưa đầy 1 phút", "less than 1 min"),
            (0, _) => self.say(format!("{minutes} phút"), format!("{minutes} min")),
            (1..48, _) if rest == 0 => self.say(format!("{hours} giờ"), format!("{hours} h")),
            (1..48, _) => self.say(format!("{hours} giờ {rest} phút"), format!("{hours} h {rest} min")),
            _ => self.say(format!("{} ngày", hours / 24), format!("{} days", hours / 24)),
        }
    }

    /// A message of this central. `text` without who says it: that is put before it.
    pub fn message(&self, kind: MessageKind, code: &str, alarm: &str, id: String, at_ms: i64, text: &str) -> Message {
        let mark = match kind {
            MessageKind::Begin | MessageKind::Still => "⚠ ",
            MessageKind::End => "✅ ",
            MessageKind::Event | MessageKind::Report | MessageKind::Test => "",
        };
        let place = if self.site.is_empty() { String::new() } else { format!("{} · ", self.site) };
        let text: String = format!("{mark}{place}{}: {text}", self.central).chars().take(MAX_TEXT_CHARS).collect();
        Message {
            id,
            alarm: alarm.to_owned(),
            kind,
            code: code.to_owned(),
            central: self.central.to_owned(),
            site: self.site.to_owned(),
            at_ms,
            since_ms: None,
            text,
        }
    }
}

/// Đồng as people write them: `1.250.000 đ`.
pub fn dong(amount: i64) -> String {
    format!("{} đ", Vnd(amount).vi())
}

/// What a receiver takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A program of the site's own: all fields, as JSON.
    Webhook,
    /// An incoming webhook of Slack; others take the same.
    Slack,
    /// A bot of Telegram.
    Telegram,
    /// An official account of Zalo.
    Zalo,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    /// Later it may be: the receiver is away, busy, or wants another secret.
    #[error("{0}")]
    Yet(String),
    /// This very message is nothing it takes.
    #[error("{0}")]
    Ever(String),
}

impl Shape {
    /// Where it is sent, if the settings name no address.
    pub fn usual_url(self, token: &str) -> Option<String> {
        match self {
            Self::Webhook | Self::Slack => None,
            Self::Telegram => Some(format!("https://api.telegram.org/bot{token}/sendMessage")),
            Self::Zalo => Some("https://openapi.zalo.me/v3.0/oa/message/cs".to_owned()),
        }
    }

    /// The header that carries the token.
    pub fn token_header(self, token: &str) -> Option<(&'static str, String)> {
        match self {
            Self::Webhook => Some(("authorization", format!("Bearer {token}"))),
            Self::Zalo => Some(("access_token", token.to_owned())),
            Self::Slack | Self::Telegram => None,
        }
    }

    /// The body of the POST. `to`: who of those the receiver serves; `lost`: messages before it that had to be dropped.
    pub fn body(self, message: &Message, text: &str, to: &str, lost: u64) -> Value {
        match self {
            Self::Webhook => {
                let mut body = json!(message);
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("text".into(), text.into());
                    fields.insert("lost".into(), lost.into());
                }
                body
            }
            // Its own marks: what a person typed names no channel and makes no link.
            Self::Slack => json!({"text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")}),
            Self::Telegram => json!({"chat_id": to, "text": text, "disable_web_page_preview": true}),
            Self::Zalo => json!({"recipient": {"user_id": to}, "message": {"text": text}}),
        }
    }

    /// What an answer means.
    ///
    /// # Errors
    /// [`NotTold`], with what the receiver said.
    pub fn heard(self, status: u16, answer: &str) -> Result<(), NotTold> {
        let said = if answer.trim().is_empty() { format!("{status}") } else { format!("{status}: {}", answer.trim()) };
        match status {
            200..=299 => {}
            // A text that it takes always: the chat is not there, or is another one now.
            400 if self == Self::Telegram => return Err(NotTold::Yet(said)),
            // Of these the message is the reason; of all others the address, the secret, or the day.
            400 | 413 | 415 | 422 => return Err(NotTold::Ever(said)),
            _ => return Err(NotTold::Yet(said)),
        }
        let fields: Value = serde_json::from_str(answer).unwrap_or_default();
        // Zalo answers 200 whatever it thinks of it.
        let refused = match self {
            Self::Telegram => fields.get("ok").is_some_and(|ok| *ok == Value::Bool(false)),
            Self::Zalo => fields.get("error").and_then(Value::as_i64).is_some_and(|error| error != 0),
            Self::Webhook | Self::Slack => false,
        };
        if refused { Err(NotTold::Yet(said)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::attention::{PeerSeen, Situation};
    use crate::alarms::message::{MessageKind, Voice};
    use crate::domain::explain::Text;
    use crate::domain::problem::Language;

    const VOICE: Voice<'_> = Voice { central: "central-1", site: "Bãi A", language: Language::Vi };

    #[test]
    fn it_says_what_the_pages_say() {
        let peer = PeerSeen { id: "central-2".into(), ..PeerSeen::default() };
        let seen = Situation { can_commit: true, now_ms: 100_000, peers: vec![peer], ..Situation::default() };
        let need = &seen.needs()[0];
        assert_eq!(VOICE.what(need), "central-2 mất kết nối");
        assert!(VOICE.whole(need).starts_with("central-2 mất kết nối Kiểm tra máy"), "{}", VOICE.whole(need));
        let english = Voice { language: Language::En, ..VOICE };
        assert_eq!(english.what(need), "central-2 is not linked");
    }

    /// A new kind of thing that needs a hand has its words, in both languages.
    #[test]
    fn each_thing_that_needs_a_hand_has_its_words_in_both_languages() {
        let peer = PeerSeen {
            id: "c2".into(),
            clock_offset_ms: Some(100_000),
            differs: vec!["tariff", "time_zone"],
            certificate_refused_ms: Some(1),
            ..PeerSeen::default()
        };
        let log = |waits: &str| super::super::attention::LogSeen {
            log: "c2/1".into(),
            waits_for: waits.into(),
            ..Default::default()
        };
        let seen = Situation {
            now_ms: 100_000,
            little_disk: Some(1),
            clock_behind: true,
            broken_config: Some(Text { vi: "x".into(), en: "x".into() }),
            listen_error: Some("x".into()),
            edges: vec![super::super::attention::EdgeSeen { id: "e".into(), ..Default::default() }],
            peers: vec![peer],
            logs: vec![log("forked"), log("too_much")],
            pending: vec![("c9".into(), "AB".into(), 1)],
            notices: ["accounts", "backup", "connections", "database", "files", "identity", "leftover", "log_grows"]
                .map(|code| (code, "x".to_owned()))
                .to_vec(),
            ..Situation::default()
        };
        let needs = seen.needs();
        let codes: std::collections::BTreeSet<_> = needs.iter().map(|need| need.code).collect();
        assert_eq!(codes.len(), 22, "{codes:?}");
        for need in &needs {
            for language in [Language::Vi, Language::En] {
                let voice = Voice { language, ..VOICE };
                let text = voice.what(need);
                assert!(text != need.code && !text.contains('{'), "{}: {text}", need.code);
                assert!(voice.text(&format!("todo_{}", need.code), &BTreeMap::new()).is_some(), "{}", need.code);
            }
        }
    }

    #[test]
    fn spans_and_sums_are_written_as_people_say_them() {
        let cases = [
            (0, "chưa đầy 1 phút"),
            (720_000, "12 phút"),
            (3_600_000, "1 giờ"),
            (4_000_000, "1 giờ 6 phút"),
            (200_000_000, "2 ngày"),
        ];
        for (ms, text) in cases {
            assert_eq!(VOICE.duration(ms), text);
        }
        for (amount, text) in [(0, "0 đ"), (999, "999 đ"), (1_250_000, "1.250.000 đ"), (-5_000, "-5.000 đ")] {
            assert_eq!(dong(amount), text);
        }
        let message = VOICE.message(MessageKind::End, "peer", "a", "a#end".into(), 5, &"x".repeat(2_000));
        assert!(
            message.text.starts_with("✅ Bãi A · central-1: xxx") && message.text.chars().count() == MAX_TEXT_CHARS
        );
    }

    #[test]
    fn each_receiver_gets_what_its_documents_ask_for() {
        let voice = Voice { central: "c1", site: "Bãi A", language: Language::Vi };
        let message = voice.message(MessageKind::End, "peer", "c1/peer:c2/5", "c1/peer:c2/5#end".into(), 7, "x");
        let body = |shape: Shape| shape.body(&message, "a text", "42", 3);
        assert_eq!(
            body(Shape::Webhook),
            json!({"id": "c1/peer:c2/5#end", "alarm": "c1/peer:c2/5", "kind": "end", "code": "peer", "central": "c1",
                   "site": "Bãi A", "at_ms": 7, "text": "a text", "lost": 3})
        );
        assert_eq!(body(Shape::Slack), json!({"text": "a text"}));
        let typed = Shape::Slack.body(&message, "<!channel> A&B", "", 0);
        assert_eq!(typed, json!({"text": "&lt;!channel&gt; A&amp;B"}), "a reason that somebody typed calls nobody");
        assert_eq!(body(Shape::Telegram)["chat_id"], "42");
        assert_eq!(body(Shape::Zalo), json!({"recipient": {"user_id": "42"}, "message": {"text": "a text"}}));
        assert_eq!(Shape::Telegram.usual_url("1:a").unwrap(), "https://api.telegram.org/bot1:a/sendMessage");
        assert_eq!(Shape::Zalo.token_header("t"), Some(("access_token", "t".to_owned())));
        assert_eq!(Shape::Slack.usual_url("t"), None);
    }

    #[test]
    fn an_answer_says_whether_to_come_again() {
        let yet = |shape: Shape, status, answer| matches!(shape.heard(status, answer), Err(NotTold::Yet(_)));
        assert_eq!(Shape::Slack.heard(200, "ok"), Ok(()));
        assert_eq!(Shape::Telegram.heard(200, r#"{"ok":true,"result":{}}"#), Ok(()));
        assert_eq!(Shape::Zalo.heard(200, r#"{"error":0,"message":"Success"}"#), Ok(()));
        assert!(yet(Shape::Zalo, 200, r#"{"error":-216,"message":"Access token is invalid"}"#));
        let gone = r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#;
        assert!(yet(Shape::Telegram, 400, gone), "it waits until the chat is corrected");
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503] {
            assert!(yet(Shape::Webhook, status, ""), "{status}");
        }
        assert_eq!(Shape::Webhook.heard(400, " bad "), Err(NotTold::Ever("400: bad".into())));
    }
}
