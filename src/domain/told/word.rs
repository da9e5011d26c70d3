//! Words as they are compared: without case, accents, spaces and signs.

/// Vietnamese vowels by the letter they are written with in a hurry.
const ACCENTED: [(char, &str); 6] = [
    ('a', "àáảãạăằắẳẵặâầấẩẫậ"),
    ('e', "èéẻẽẹêềếểễệ"),
    ('i', "ìíỉĩị"),
    ('o', "òóỏõọôồốổỗộơờớởỡợ"),
    ('u', "ùúủũụưừứửữự"),
    ('y', "ỳýỷỹỵ"),
];

/// The word in `a-z0-9` where it has such letters; letters of other scripts stay, all else is dropped: `Xe máy` is `xemay`,
/// composed or not.
pub fn folded(text: &str) -> String {
    let mut word = Vec::new();
    fold_into(&mut word, text);
    String::from_utf8(word).unwrap_or_default()
}

/// Makes `word` that word, in UTF-8: see [`folded`]. Every key of every call goes through here.
pub fn fold_into(word: &mut Vec<u8>, text: &str) {
    word.clear();
    if text.is_ascii() {
        word.extend_from_slice(text.as_bytes());
        word.make_ascii_lowercase();
        word.retain(u8::is_ascii_alphanumeric);
        return;
    }
    let lower = text.chars().map(plain).flat_map(char::to_lowercase);
    for letter in lower.filter(|c| c.is_alphanumeric() && !is_mark(*c)) {
        word.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A letter without its accent, in its own case, and a full-width character as the usual one.
pub fn plain(character: char) -> char {
    if character.is_ascii() {
        return character;
    }
    let usual = narrow(character);
    let mut lower = usual.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(low), None) if without_accent(low) != low => {
            let bare = without_accent(low);
            if low == usual { bare } else { bare.to_ascii_uppercase() }
        }
        _ => usual,
    }
}

/// A full-width character as the usual one.
pub fn narrow(character: char) -> char {
    let wide = u32::from(character);
    let usual = if (0xFF01..=0xFF5E).contains(&wide) { char::from_u32(wide - 0xFEE0) } else { None };
    usual.unwrap_or(character)
}

/// An accent that stands by itself, after the letter it belongs to.
pub fn is_mark(character: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&character)
}

fn without_accent(letter: char) -> char {
    if letter == 'đ' {
        return 'd';
    }
    ACCENTED.iter().find(|(_, forms)| forms.contains(letter)).map_or(letter, |(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_accents_and_signs() {
        for (written, word) in [
            ("Xe máy", "xemay"),
            ("XE MÁY", "xemay"),
            ("xe ma\u{301}y", "xemay"),
            (" xe-may_", "xemay"),
            ("Ô tô", "oto"),
            ("ＣＡＲ", "car"),
            ("Xe đạp điện", "xedapdien"),
            ("KHÔNG BIỂN", "khongbien"),
            ("N/A", "na"),
            ("无牌", "无牌"),
            ("?!", ""),
        ] {
            assert_eq!(folded(written), word, "{written}");
        }
    }
}
