//! What happened here is told to a predecessor, read from the logs a little at a time.

use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};

use super::LegacyLink;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{CentralId, LogId};
use crate::domain::plate::PlateId;
use crate::domain::row::StayStatus;
use crate::domain::time::SiteZone;
use crate::legacy::dialect::{Dialect, tell};
use crate::legacy::peer::{Change, Telling};
use crate::store::StoreError;
use crate::store::reader::Reader;

/// Most bytes of events read at once.
const READ_BYTES: usize = 32 * 1024;
/// By its clock it may have written the row of an entry so long before the entry, in ms.
const WRITTEN_BEFORE_MS: i64 = 24 * 60 * 60 * 1_000;

impl LegacyLink {
    /// Reads the next events it does not know, and tells them.
    pub(super) fn tell_more(&mut self, context: &mut Context<Self>) {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.reading) else { return };
        let Some((log, after, most)) = peer.next_read(&self.around.have.borrow()) else { return };
        self.reading = true;
        let readers = self.around.readers.clone();
        let to = Listener { name: self.name().clone(), dialect: peer.dialect(), zone: self.around.zone.clone() };
        let wanted = log.clone();
        let reading = async move { readers.ask(move |reader| tellings(reader, &wanted, after, most, &to)).await };
        context.spawn(wrap_future::<_, Self>(reading).map(move |read, link, context| {
            link.reading = false;
            let now = (link.now_ms(), link.wall_ms());
            // What cannot be read now is read at the next look.
            if let (Ok(events), Some(peer)) = (read, &mut link.peer) {
                let outputs = peer.events_read(&log, after, events, now);
                link.perform(outputs, context);
            }
        }));
    }
}

/// Whom it is told to.
struct Listener {
    name: CentralId,
    dialect: Dialect,
    zone: SiteZone,
}

/// The next events of a log, as they are told.
fn tellings(
    reader: &mut Reader,
    log: &LogId,
    after: u64,
    most: usize,
    to: &Listener,
) -> Result<Vec<Telling>, StoreError> {
    let Some(run) = reader.run(log, after, READ_BYTES)? else { return Ok(Vec::new()) };
    run.events.iter().take(most).map(|bytes| telling(reader, bytes, to)).collect()
}

fn telling(reader: &mut Reader, bytes: &str, to: &Listener) -> Result<Telling, StoreError> {
    // What a predecessor said they tell each other.
    let Some(event) = Event::parse(bytes).ok().filter(|event| event.heard_from.is_none()) else {
        return Ok(Telling::Nothing);
    };
    let is_v2 = to.dialect == Dialect::V2;
    match &event.body {
        Body::Correction(_) | Body::Void(_) if is_v2 => {
            Ok(change(reader, &event, to)?.map_or(Telling::Nothing, Telling::Change))
        }
        _ if is_v2 && lets_out_another(reader, &event)? => Ok(Telling::Nothing),
        _ => Ok(tell::event(&event, to.dialect, &to.zone).map_or(Telling::Nothing, Telling::Frame)),
    }
}

/// What a correction or void made of the stay it names. `None`: nothing it has to be told.
fn change(reader: &mut Reader, event: &Event, to: &Listener) -> Result<Option<Change>, StoreError> {
    let by = match &event.body {
        Body::Correction(correction) => correction.by.as_deref(),
        Body::Void(void) => void.by.as_deref(),
        _ => None,
    };
    // It was changed there.
    if by == Some(to.name.as_str()) {
        return Ok(None);
    }
    let Some(row) = event.event_id.as_deref().map(|id| reader.stay(id)).transpose()?.flatten() else { return Ok(None) };
    let corrected = if row.status == StayStatus::Void.name() {
        None
    } else {
        let Ok(plate) = PlateId::parse(&row.plate_id) else { return Ok(None) };
        Some((plate, row.plate_view))
    };
    let utc = SiteZone::named("UTC").ok();
    let written_after = utc.map(|utc| utc.local_text(row.entry_ms.saturating_sub(WRITTEN_BEFORE_MS)));
    Ok(Some(Change { stay_id: row.event_id, corrected, written_after }))
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
