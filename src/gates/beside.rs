//! What gates tell beside a passage: how it was paid, a card, pictures. Read the same wherever it is told; whoever asked for
//! a barrier is refused what cannot be read, and whoever tells what has happened is told that it is not used.

use serde_json::Value;

use crate::domain::event::{Image, MAX_CARD_ID_CHARS, MAX_IMAGES};
use crate::domain::money::Vnd;
use crate::domain::problem::is_plain_text;
use crate::domain::told::payment::{self, NoPayment, ToldPaid};
use crate::domain::told::{self, Note};
use crate::ledger::job::Beside;

/// The fields as sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent<'v> {
    pub paid: Option<&'v Value>,
    pub card_id: Option<&'v Value>,
    pub images: Option<&'v Value>,
    pub lost_card: Option<&'v Value>,
    /// Somebody who calls says who does it, which is not his to say.
    pub by: Option<&'v Value>,
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub field: &'static str,
    pub message_vi: &'static str,
    pub message: String,
}

impl Sent<'_> {
    /// All that can be read, what is not used, and what cannot be read.
    #[must_use]
    pub fn read(self) -> (Beside, Option<Note>, Vec<Unread>) {
        let (mut beside, mut unread) = (Beside::default(), Vec::new());
        let paid = payment::read(self.paid).and_then(|paid| match &paid {
            Some(ToldPaid { amount: Some(amount), .. }) if *amount > Vnd::MAX_TOLD => Err(NoPayment::Amount),
            _ => Ok(paid),
        });
        match paid {
            Ok(paid) => beside.paid = paid,
            Err(error) => unread.push(Unread {
                field: error.field(),
                message_vi: "không đọc được cách thanh toán: cash, qr, card, transfer, account hoặc free, kèm số tiền và mã tham chiếu",
                message: error.to_string(),
            }),
        }
        match told::text(self.card_id)
            .ok()
            .filter(|id| id.as_deref().is_none_or(|id| is_plain_text(id.trim(), MAX_CARD_ID_CHARS)))
        {
            Some(id) => beside.card_id = id.map(|id| id.trim().to_owned()),
            None => unread.push(Unread {
                field: "card_id",
                message_vi: "mã thẻ tối đa 64 ký tự, không có ký tự điều khiển",
                message: format!("a text of at most {MAX_CARD_ID_CHARS} characters, in one line, is expected"),
            }),
        }
        match images(self.images) {
            Some(images) => beside.images = images,
            None => unread.push(Unread {
                field: "images",
                message_vi: "tối đa 8 ảnh, mỗi ảnh {sha256, kind}",
                message: format!(
                    "at most {MAX_IMAGES} of {{\"sha256\": 64 hex digits, \"kind\": a word}} are expected"
                ),
            }),
        }
        match self.lost_card.filter(|lost| !lost.is_null()) {
            None => {}
            told => match told::flag(told) {
                Some(lost) => beside.lost_card = lost,
                None => unread.push(Unread {
                    field: "lost_card",
                    message_vi: "true hoặc false",
                    message: "true or false".to_owned(),
                }),
            },
        }
        let note = self.by.filter(|by| !by.is_null()).map(|_| from_login("by"));
        (beside, note, unread)
    }
}

/// Said to whoever names who does it.
#[must_use]
pub fn from_login(field: &str) -> Note {
    Note::new(
        field,
        "from_login",
        "người thực hiện được lấy từ đăng nhập hoặc khóa của cổng, không lấy từ yêu cầu",
        "who does it is taken from the login, the token or the key, never from the request",
    )
}

fn images(sent: Option<&Value>) -> Option<Vec<Image>> {
    let list = match sent {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_IMAGES => list,
        Some(_) => return None,
    };
    let image = |sent: &Value| {
        let sha256 = sent.get("sha256")?.as_str()?.to_ascii_lowercase();
        let kind = told::text(sent.get("kind")).ok()?.unwrap_or_default();
        Some(Image { sha256, kind }).filter(Image::is_sound)
    };
    list.iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(sent: &Value) -> (Beside, Vec<&'static str>) {
        let sent = Sent {
            paid: sent.get("paid"),
            card_id: sent.get("card_id"),
            images: sent.get("images"),
            lost_card: sent.get("lost_card"),
            by: sent.get("by"),
        };
        let (beside, _, unread) = sent.read();
        (beside, unread.into_iter().map(|unread| unread.field).collect())
    }

    #[test]
    fn what_is_told_beside_a_passage_is_kept_or_named() {
        let hash = "AB".repeat(32);
        let told = json!({"paid": {"method": "cash"}, "card_id": 7_788, "images": [{"sha256": hash, "kind": "plate"}]});
        let (beside, unread) = read(&told);
        assert!(unread.is_empty());
        assert_eq!(beside.card_id.as_deref(), Some("7788"));
        assert_eq!(beside.images, [Image { sha256: "ab".repeat(32), kind: "plate".into() }]);
        for (told, field) in [
            (json!({"paid": {"method": "gold"}}), "paid.method"),
            (json!({"paid": 5}), "paid"),
            (json!({"paid": {"method": "cash", "amount": 1_000_000_001}}), "paid.amount"),
            (json!({"card_id": "x".repeat(65)}), "card_id"),
            (json!({"card_id": "a\u{0}b"}), "card_id"),
            (json!({"card_id": {}}), "card_id"),
            (json!({"lost_card": "perhaps"}), "lost_card"),
            (json!({"images": "x"}), "images"),
            (json!({"images": [{"sha256": "ab", "kind": "plate"}]}), "images"),
            (json!({"images": [{"sha256": "zz".repeat(32), "kind": "plate"}]}), "images"),
            (json!({"images": [{"sha256": "ab".repeat(32), "kind": "x".repeat(33)}]}), "images"),
            (json!({"images": vec![json!({"sha256": "ab".repeat(32)}); 9]}), "images"),
        ] {
            assert_eq!(read(&told).1, [field], "{told}");
        }
        let nothing = json!({"paid": null, "card_id": "", "images": null, "by": null});
        assert_eq!(read(&nothing), (Beside::default(), Vec::new()));
    }

    proptest! {
        #[test]
        fn who_does_it_is_never_read(by in "\\PC*") {
            let by = json!(by);
            let read = Sent { by: Some(&by), ..Sent::default() }.read();
            prop_assert_eq!(read, (Beside::default(), Some(from_login("by")), Vec::new()));
        }
    }
}
