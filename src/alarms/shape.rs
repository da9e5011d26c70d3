//! A message as each kind of receiver takes it, and what its answer means.

use serde_json::{Value, json};

use super::message::Message;

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
    #[must_use]
    pub fn usual_url(self, token: &str) -> Option<String> {
        match self {
            Self::Webhook | Self::Slack => None,
            Self::Telegram => Some(format!("https://api.telegram.org/bot{token}/sendMessage")),
            Self::Zalo => Some("https://openapi.zalo.me/v3.0/oa/message/cs".to_owned()),
        }
    }

    /// The header that carries the token.
    #[must_use]
    pub fn token_header(self, token: &str) -> Option<(&'static str, String)> {
        match self {
            Self::Webhook => Some(("authorization", format!("Bearer {token}"))),
            Self::Zalo => Some(("access_token", token.to_owned())),
            Self::Slack | Self::Telegram => None,
        }
    }

    /// The body of the POST. `to`: who of those the receiver serves; `lost`: messages before it that had to be dropped.
    #[must_use]
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
            Self::Slack => json!({ "text": text }),
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
    use crate::alarms::message::{Kind, Language, Voice};

    #[test]
    fn each_receiver_gets_what_its_documents_ask_for() {
        let voice = Voice { central: "c1", site: "Bãi A", language: Language::Vi };
        let message = voice.message(Kind::End, "peer", "c1/peer:c2/5", "c1/peer:c2/5#end".into(), 7, "x");
        let body = |shape: Shape| shape.body(&message, "a text", "42", 3);
        assert_eq!(
            body(Shape::Webhook),
            json!({"id": "c1/peer:c2/5#end", "alarm": "c1/peer:c2/5", "kind": "end", "code": "peer", "central": "c1",
                   "site": "Bãi A", "at_ms": 7, "text": "a text", "lost": 3})
        );
        assert_eq!(body(Shape::Slack), json!({"text": "a text"}));
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
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503] {
            assert!(yet(Shape::Webhook, status, ""), "{status}");
        }
        assert_eq!(Shape::Webhook.heard(400, " bad "), Err(NotTold::Ever("400: bad".into())));
    }
}
