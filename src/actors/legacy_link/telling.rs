//! What happened here is told to a predecessor, read from the logs a little at a time.

use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};

use super::LegacyLink;
use crate::domain::event::{Body, Event};
use crate::domain::ids::LogId;
use crate::domain::time::SiteZone;
use crate::store::StoreError;
use crate::store::reader::Reader;
use crate::wire::legacy::{Dialect, tell};

/// Most bytes of events read at once.
const READ_BYTES: usize = 32 * 1024;

impl LegacyLink {
    /// Reads the next events it does not know, and tells them.
    pub(super) fn tell_more(&mut self, context: &mut Context<Self>) {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.reading) else { return };
        let Some((log, after, most)) = peer.next_read(&self.around.have.borrow()) else { return };
        self.reading = true;
        let (dialect, zone, readers) = (peer.dialect(), self.around.zone.clone(), self.around.readers.clone());
        let wanted = log.clone();
        let reading =
            async move { readers.ask(move |reader| frames(reader, &wanted, after, most, dialect, &zone)).await };
        context.spawn(wrap_future::<_, Self>(reading).map(move |read, link, context| {
            link.reading = false;
            let now_ms = link.now_ms();
            // What cannot be read now is read at the next look.
            if let (Ok(frames), Some(peer)) = (read, &mut link.peer) {
                let outputs = peer.events_read(&log, after, frames, now_ms);
                link.perform(outputs, context);
            }
        }));
    }
}

/// The next events of a log as frames; `None` for one it must not hear.
fn frames(
    reader: &mut Reader,
    log: &LogId,
    after: u64,
    most: usize,
    dialect: Dialect,
    zone: &SiteZone,
) -> Result<Vec<Option<String>>, StoreError> {
    let Some(run) = reader.run(log, after, READ_BYTES)? else { return Ok(Vec::new()) };
    let mut frames = Vec::new();
    for bytes in run.events.iter().take(most) {
        let event = Event::parse(bytes).ok().filter(|event| event.heard_from.is_none());
        let frame = match event {
            Some(event) if dialect == Dialect::V2 && lets_out_another(reader, &event)? => None,
            Some(event) => tell::event(&event, dialect, zone),
            None => None,
        };
        frames.push(frame);
    }
    Ok(frames)
}

/// The second revision lets out by the plate whatever is inside, if it does not know the stay: an exit from before the car
/// came in again is not for it.
fn lets_out_another(reader: &mut Reader, event: &Event) -> Result<bool, StoreError> {
    match (&event.body, event.recorded_plate()) {
        (Body::Exit(_), Some(plate)) => {
            Ok(reader.newest_entry_ms(plate)?.is_some_and(|entered| entered > event.timestamp_ms))
        }
        _ => Ok(false),
    }
}
