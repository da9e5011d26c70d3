//! Frames as zstd, for what is long: a central that was away gets its events in far fewer bytes.
//!
//! A compressed frame travels as a binary message, the others as text; the receiver reads both alike. Sent only to who names
//! [`CAPABILITY`] in its HELLO.

use super::MAX_FRAME_BYTES;
use super::frame::FrameError;

/// Its name among the capabilities of a HELLO.
pub const CAPABILITY: &str = "zstd";

/// Shorter frames are not worth it, in bytes.
pub const MIN_BYTES: usize = 8 * 1024;

/// Fastest: on events, higher levels hardly get smaller.
const LEVEL: i32 = 1;

/// The frame's text as one zstd frame. `None`: it cannot be made smaller; send the text.
pub fn compress(text: &str) -> Option<Vec<u8>> {
    zstd::bulk::compress(text.as_bytes(), LEVEL).ok().filter(|compressed| compressed.len() < text.len())
}

/// The text again, never more than [`MAX_FRAME_BYTES`] however small what came.
///
/// # Errors
/// [`FrameError::UnreadableRun`], for only runs come so: it is not zstd, or becomes larger than a frame may be.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    zstd::bulk::decompress(bytes, MAX_FRAME_BYTES)
        .map_err(|error| FrameError::UnreadableRun(format!("a compressed frame: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_is_read_back_and_smaller() {
        let event = r#"{"type":"VEHICLE_ENTRY_PENDING","source_central":"central-1","plate_id":"29A12345"}"#;
        let text = event.repeat(3_000);
        let compressed = compress(&text).unwrap();
        assert!(compressed.len() < text.len() / 10);
        assert_eq!(decompress(&compressed).unwrap(), text.as_bytes());
        assert_eq!(compress("x"), None, "nothing is gained");
    }

    #[test]
    fn a_bomb_is_refused_and_noise_too() {
        let bomb = zstd::bulk::compress(&vec![b' '; MAX_FRAME_BYTES + 1], LEVEL).unwrap();
        assert!(bomb.len() < 1_000);
        assert!(decompress(&bomb).is_err());
        let largest = zstd::bulk::compress(&vec![b' '; MAX_FRAME_BYTES], LEVEL).unwrap();
        assert_eq!(decompress(&largest).unwrap().len(), MAX_FRAME_BYTES);
        assert!(decompress(b"noise").is_err());
    }
}
