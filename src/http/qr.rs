//! Texts as QR codes, for invitations and transfers.

use qrcodegen::{QrCode, QrCodeEcc};

/// The quiet zone around the code, in modules.
const MARGIN: i32 = 4;

/// A text as a QR code, drawn as SVG: one path, black on white, with the margin readers need. `None`: the text is too long for a QR code (some 2,900 bytes).
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * MARGIN;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + MARGIN, y + MARGIN));
        }
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0,0h{side}v{side}h-{side}z"/><path fill="#000" d="{path}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_drawn_and_one_that_is_too_long_is_not() {
        let drawn = svg("parkmesh-invitation:1/central-1").unwrap();
        // The finder pattern of the upper left corner: its first row is seven dark modules.
        for x in 0..7 {
            assert!(drawn.contains(&format!("M{},4h1v1h-1z", x + 4)), "{x}: {drawn}");
        }
        assert!(!drawn.contains("M11,4h"), "then a light one");
        assert_eq!(svg(&"x".repeat(4_000)), None);
    }
}
