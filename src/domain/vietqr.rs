//! `VietQR`: the text of a QR code by which any bank's app in Vietnam transfers a fee, made without asking anybody.
//!
//! Source: NAPAS, *`VietQR` format specification*, which is EMVCo's QR code for merchants: fields of two digits, a length of two digits
//! and a value, the last of them a checksum.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::money::Vnd;

/// Digits of the number by which NAPAS knows a bank.
pub const BANK_DIGITS: usize = 6;
/// Most letters and digits of an account's number.
pub const MAX_ACCOUNT_CHARS: usize = 19;

/// The account that fees are transferred to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct TransferAccount {
    /// The bank by its NAPAS number, six digits; empty: fees are not transferred.
    #[schema(pattern = "^([0-9]{6})?$")]
    pub bank: String,
    /// The number of the account, or of the card's alias: letters and digits.
    #[schema(pattern = "^[0-9A-Za-z]{0,19}$")]
    pub account: String,
    /// Whose it is, as the payer's app shows it.
    #[schema(max_length = 100)]
    pub holder: String,
}

impl TransferAccount {
    pub fn is_set(&self) -> bool {
        !self.bank.is_empty()
    }

    /// The text of the code for a fee. `content`: what the transfer says it is for, letters and digits.
    pub fn code(&self, fee: Vnd, content: &str) -> String {
        let beneficiary = field("00", &self.bank) + &field("01", &self.account);
        // To an account, by the service of immediate transfers.
        let merchant = field("00", "A000000727") + &field("01", &beneficiary) + &field("02", "QRIBFTTA");
        let mut text = field("00", "01") + &field("01", "12") + &field("38", &merchant) + &field("53", "704");
        text += &field("54", &fee.0.to_string());
        text += &field("58", "VN");
        if !content.is_empty() {
            text += &field("62", &field("08", content));
        }
        text += "6304";
        let sum = checksum(text.as_bytes());
        let _ = write!(text, "{sum:04X}");
        text
    }
}

/// Letters and digits after `PM`.
const CONTENT_CHARS: usize = 8;
/// Without what is mistaken for something else when it is read aloud.
const LETTERS: [char; 32] = [
    '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q',
    'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
];

/// What a transfer for a stay says it is for: `PM` and eight letters and digits that are the same at every central. Short, because banks
/// cut what is long, and without the plate, which is nobody's business at a bank.
pub fn content_of(stay_id: &str) -> String {
    let digest = Sha256::digest(stay_id.as_bytes());
    let letters = digest.iter().take(CONTENT_CHARS).filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    "PM".chars().chain(letters.copied()).collect()
}

/// What could be a [`content_of`] a stay in what a bank says a transfer was for, each once: banks put words before and behind it, write
/// it in small letters, and break it by spaces or signs.
pub fn contents_in(text: &str) -> Vec<String> {
    let upper = text.to_ascii_uppercase();
    let closed_up: String = upper.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut found = Vec::new();
    for text in [upper.as_str(), closed_up.as_str()] {
        for (at, _) in text.match_indices("PM") {
            let letters = text.get(at..at + 2 + CONTENT_CHARS);
            let content = letters.filter(|content| content.chars().skip(2).all(|letter| LETTERS.contains(&letter)));
            if let Some(content) = content.filter(|content| !found.iter().any(|known| known == content)) {
                found.push(content.to_owned());
            }
        }
    }
    found
}

fn field(id: &str, value: &str) -> String {
    format!("{id}{:02}{value}", value.len())
}

/// CRC-16/CCITT: polynomial 0x1021, begun with 0xFFFF.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, byte| {
        (0..8).fold(
            sum ^ (u16::from(*byte) << 8),
            |sum: u16, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(bank: &str, number: &str) -> TransferAccount {
        TransferAccount { bank: bank.into(), account: number.into(), holder: "CONG TY A".into() }
    }

    #[test]
    fn the_code_is_what_other_programs_make() {
        // The example of https://github.com/subiz/vietqr.
        let made = account("970415", "0011001932418").code(Vnd(120_000), "ung ho lu lut");
        assert_eq!(
            made,
            "00020101021238570010A00000072701270006970415011300110019324180208QRIBFTTA530370454061200005802VN62170813ung ho lu lut6304C15C"
        );
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        // The check value of CRC-16/CCITT-FALSE.
        assert_eq!(checksum(b"123456789"), 0x29B1);
        // NAPAS, VietQR format specification: a code without an amount, and one with it.
        for code in [
            "00020101021138570010A00000072701270006970403011300110123456780208QRIBFTTA53037045802VN63049E6F",
            "00020101021238570010A00000072701270006970403011300110123456780208QRIBFTTA530370454061800005802VN62340107NPS68690819thanh toan don hang63042E2E",
        ] {
            let (text, sum) = code.split_at(code.len() - 4);
            assert_eq!(format!("{:04X}", checksum(text.as_bytes())), sum);
        }
    }

    #[test]
    fn a_transfer_is_found_by_what_it_is_for_and_does_not_tell_the_plate() {
        let content = content_of("central-1_1795325909743_29A12345");
        assert_eq!(content, content_of("central-1_1795325909743_29A12345"));
        assert_ne!(content, content_of("central-1_1795325909743_29A12346"));
        assert!(content.len() == 10 && content.starts_with("PM"), "{content}");
        assert!(content.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{content}");
    }

    #[test]
    fn what_a_transfer_is_for_is_found_wherever_a_bank_puts_it() {
        for (text, expected) in [
            ("PM23456789", vec!["PM23456789"]),
            ("MBVCB.123.PMABCDEFGH.CT tu 0011", vec!["PMABCDEFGH"]),
            ("thanh toan pmabcdefgh gui xe", vec!["PMABCDEFGH"]),
            ("NGUYEN VAN A chuyen tienPM2345 6789", vec!["PM23456789"]),
            ("PM-2345-6789", vec!["PM23456789"]),
            ("PMPM23456789", vec!["PMPM234567", "PM23456789"]),
            ("PM2345678", vec![]),
            ("PM2345678O", vec![]),
            ("PM 10", vec![]),
            ("gửi xe 29A-123.45", vec![]),
            ("", vec![]),
            ("xPMé2345678", vec![]),
        ] {
            assert_eq!(contents_in(text), expected, "{text}");
        }
        for stay in ["central-1_1795325909743_29A12345", "x", ""] {
            let content = content_of(stay);
            assert!(contents_in(&format!("CK {} xe", content.to_lowercase())).contains(&content));
        }
    }
}
