//! The fingerprint of a central's certificate: its name among peers, in a form that two people can compare by reading it out.
//!
//! SHA-256 of the certificate's DER, as base32 with a check letter after every 13: eight groups of seven. A letter misread
//! is noticed when it is typed in, before anyone wonders why two centrals do not trust each other.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::ids::{as_text, of_hex};

/// RFC 4648: no 0, 1, 8 and 9, which look like letters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// 256 bits are 51.2 letters of 5 bits.
const LETTERS: usize = 52;
/// So many letters, then their check letter.
const CHECKED: usize = 13;
/// With the check letters, and how many of them stand together.
const SHOWN_LETTERS: usize = LETTERS + LETTERS / CHECKED;
const GROUP: usize = 7;
const HEX_DIGITS: usize = 64;

/// Which certificate. Equal fingerprints mean the same certificate and so the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFingerprint {
    #[error("a fingerprint is 56 letters in eight groups, or 64 hex digits")]
    Shape,
    #[error("a letter of this fingerprint is wrong: its check letters do not fit; compare it group by group")]
    Check,
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Of the values of the letters, check letters taken out; `None`: the last one has bits beyond the 256.
    fn of_values(values: &[u8]) -> Option<Self> {
        let mut bytes = Vec::with_capacity(32);
        let (mut held, mut bits) = (0_u16, 0);
        for value in values {
            held = (held << 5 | u16::from(*value)) & 0x1fff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            }
        }
        let nothing_left = held & ((1 << bits) - 1) == 0;
        bytes.try_into().ok().filter(|_| nothing_left).map(Self)
    }

    fn values(&self) -> Vec<u8> {
        let bit = |index: usize| self.0.get(index / 8).map_or(0, |byte| byte >> (7 - index % 8) & 1);
        (0..LETTERS).map(|letter| (0..5).fold(0, |value, offset| value << 1 | bit(5 * letter + offset))).collect()
    }
}

/// The check value of some letters: Luhn's sum modulo 32, which sees any one letter changed and most neighbours swapped.
fn check(values: &[u8]) -> u8 {
    let sum: u32 = values
        .iter()
        .rev()
        .enumerate()
        .map(|(place, value)| {
            let weighed = u32::from(*value) * if place % 2 == 0 { 2 } else { 1 };
            weighed / 32 + weighed % 32
        })
        .sum();
    u8::try_from((32 - sum % 32) % 32).unwrap_or_default()
}

/// The value of a letter as people write it: small ones count, and the digits that stand for letters.
fn value_of(letter: char) -> Option<u8> {
    let meant = match letter.to_ascii_uppercase() {
        '0' => 'O',
        '1' => 'I',
        '8' => 'B',
        other => other,
    };
    ALPHABET.iter().position(|known| char::from(*known) == meant).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values();
        let checked = values.chunks(CHECKED).flat_map(|part| part.iter().copied().chain([check(part)]));
        for (index, value) in checked.enumerate() {
            if index > 0 && index % GROUP == 0 {
                f.write_str("-")?;
            }
            let letter = ALPHABET.get(usize::from(value)).copied().unwrap_or(b'?');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

as_text!(Fingerprint);

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    /// Small or capital letters, with or without blanks, `-` and `:`; also the 64 hex digits other programs show.
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let letters: String =
            text.chars().filter(|letter| !matches!(letter, '-' | ':' | ' ' | '\n' | '\r' | '\t')).collect();
        if letters.len() == HEX_DIGITS && letters.is_ascii() {
            return of_hex(&letters).map(Self).ok_or(BadFingerprint::Shape);
        }
        let values: Option<Vec<u8>> = letters.chars().map(value_of).collect();
        let values = values.filter(|values| values.len() == SHOWN_LETTERS).ok_or(BadFingerprint::Shape)?;
        let mut unchecked = Vec::with_capacity(LETTERS);
        for part in values.chunks(CHECKED + 1) {
            let Some((said, letters)) = part.split_last() else { return Err(BadFingerprint::Shape) };
            if check(letters) != *said {
                return Err(BadFingerprint::Check);
            }
            unchecked.extend_from_slice(letters);
        }
        Self::of_values(&unchecked).ok_or(BadFingerprint::Check)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_sha_256_of_the_certificate_in_groups() {
        // printf '' | sha256sum
        let hex = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
        let fingerprint = Fingerprint::of_certificate(b"");
        assert_eq!(hex.parse(), Ok(fingerprint));
        let shown = fingerprint.to_string();
        assert_eq!(shown.split('-').map(str::len).collect::<Vec<_>>(), [GROUP; 8]);
        // printf '' | sha256sum | xxd -r -p | base32, without the check letters.
        let unchecked: Vec<String> = shown
            .replace('-', "")
            .as_bytes()
            .chunks(14)
            .map(|part| String::from_utf8_lossy(&part[..13]).into())
            .collect();
        assert_eq!(unchecked.concat(), "4OYMIQUY7QOBJGX36TEJS35ZEQT24QPEMSNZGTFESWMRW6CSXBKQ");
    }

    #[test]
    fn what_is_no_fingerprint_is_told_from_what_was_mistyped() {
        let shown = Fingerprint::of_certificate(b"x").to_string();
        for text in ["", "ff", "not a fingerprint", &shown[1..], &format!("{shown}A"), &"g".repeat(64), &"é".repeat(32)]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(BadFingerprint::Shape), "{text}");
        }
        // Bits beyond the 256th, with a check letter that fits.
        let mut values = vec![0; CHECKED];
        values[CHECKED - 1] = 1;
        let last: String =
            values.iter().chain([&check(&values)]).map(|value| char::from(ALPHABET[usize::from(*value)])).collect();
        assert_eq!(format!("{}{last}", "A".repeat(42)).parse::<Fingerprint>(), Err(BadFingerprint::Check));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_however_it_is_typed(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            let shown = fingerprint.to_string();
            let typed = shown.to_lowercase().replace('-', " ").replace('o', "0").replace('i', "1").replace('b', "8");
            prop_assert_eq!(shown.parse(), Ok(fingerprint));
            prop_assert_eq!(typed.parse(), Ok(fingerprint));
            let json = serde_json::to_string(&fingerprint).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
        }

        #[test]
        fn one_wrong_letter_is_noticed(bytes: [u8; 32], place in 0..SHOWN_LETTERS, other in 1_u8..32) {
            let mut letters: Vec<char> = Fingerprint(bytes).to_string().replace('-', "").chars().collect();
            let value = value_of(letters[place]).unwrap();
            letters[place] = char::from(ALPHABET[usize::from((value + other) % 32)]);
            let text: String = letters.into_iter().collect();
            prop_assert_eq!(text.parse::<Fingerprint>(), Err(BadFingerprint::Check));
        }
    }
}
