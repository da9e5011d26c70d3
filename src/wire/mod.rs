//! The frames centrals exchange. Pure: text in, values out, and back.
//!
//! One frame is one JSON text in the documented envelope,
//! `{"type","source_central","timestamp","event_id":null,"data":{…}}`. Events travel inside as their authors' exact bytes.

pub mod announcement;
pub mod compressed;
pub mod frame;
#[cfg(test)]
mod tests;

/// The WebSocket subprotocol two of ours agree on; its absence in the answer means something else answered.
pub const SUBPROTOCOL: &str = "parkmesh.1";

/// Largest frame between ours, in bytes: a run is at most 256 KiB, so 1 MiB leaves room to grow. Larger ones are refused.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Largest HAVE frame, in bytes, so that a long list never delays an event behind it.
pub const MAX_HAVE_BYTES: usize = 32 * 1024;

/// Largest `events` of one SYNC_RESPONSE, in bytes.
pub const MAX_RUN_BYTES: usize = 256 * 1024;
