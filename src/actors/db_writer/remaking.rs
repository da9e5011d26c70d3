//! What is made from the events and cannot be read any more, on a disk that changed a byte: it is made anew from them, by the writer
//! itself, while gates wait.
//!
//! Who met it decides when. Where a gate did, no gate of that car would open again, so it is at once. Where a page did, it is so too as
//! long as gates wait no more than a moment for it; else gates go on, and the next start does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::error;

use super::DbWriter;
use crate::actors::db_reader::Unreadable;
use crate::ledger::Ledger;
use crate::ledger::storage::{Lookup, Storage};
use crate::maintenance::rebuild::Remade;
use crate::store::error::{told_put_off, told_remade};

/// What cannot be read although it was made anew just now is not helped by that.
const REMAKE_PERIOD: Duration = Duration::from_secs(60 * 60);
/// Of so many events all is made anew within a second or two.
const QUICK_EVENTS: u64 = 100_000;
/// One that failed, as on a full disk, is tried again so soon.
const RETRY_PERIOD: Duration = Duration::from_secs(10);
/// So many times gates meet what was put off before it is done at once, without what cannot be read.
const SHUT_OUT: u32 = 3;
/// How often it is shown how far it is.
const SHOW_PERIOD: Duration = Duration::from_millis(500);

/// Makes the history anew; of the time, Unix ms, whether without the events that cannot be read, and who is told how many events of how many are done. What came of it, or why that
/// cannot be now: then nothing has changed.
pub type Remake<S> = Box<
    dyn FnMut(
            &mut Ledger<S>,
            i64,
            bool,
            &mut dyn FnMut(u64, u64),
        ) -> Result<Result<Remade, String>, <S as Lookup>::Error>
        + Send,
>;

pub(super) struct Remaking<S: Storage> {
    /// `None`: nothing can be made anew here.
    remake: Option<Remake<S>>,
    /// What readers could not read.
    unreadable: Unreadable,
    /// When it was begun last because of a gate, and because of a page: the one keeps the other from nothing.
    begun_for_gate: Option<Instant>,
    begun_for_page: Option<Instant>,
    /// Why the last try failed: what is there is half a history, and nothing is decided by it.
    half_made: Option<String>,
    /// The next start makes it anew.
    is_put_off: bool,
    /// How often gates met it all the same since it was put off.
    shut_out: u32,
    /// This process ends: whatever is met from now on is for the next start.
    is_ending: bool,
    /// What became of it, for people.
    told: Option<String>,
}

impl<S: Storage> Default for Remaking<S> {
    fn default() -> Self {
        Self {
            remake: None,
            unreadable: Unreadable::default(),
            begun_for_gate: None,
            begun_for_page: None,
            half_made: None,
            is_put_off: false,
            shut_out: 0,
            is_ending: false,
            told: None,
        }
    }
}

/// Who met what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetBy {
    Gate,
    Page,
}

impl<S: Storage> Remaking<S> {
    pub fn half_made(&self) -> Option<&str> {
        self.half_made.as_deref()
    }

    /// What people are told of the database, besides what it says itself.
    pub fn told(&self, of_storage: Option<String>) -> Option<String> {
        // What cannot be made anew is worse.
        of_storage.or_else(|| self.told.clone())
    }

    pub(super) fn begun(&mut self, met_by: MetBy) -> &mut Option<Instant> {
        match met_by {
            MetBy::Gate => &mut self.begun_for_gate,
            MetBy::Page => &mut self.begun_for_page,
        }
    }

    /// Gates stay shut, and what is put off would only be done by a restart with what can be read.
    fn is_shut_out(&mut self) -> bool {
        self.shut_out += u32::from(self.is_put_off);
        self.shut_out >= SHUT_OUT && std::mem::take(&mut self.shut_out) > 0
    }

    pub(super) fn may_begin(&mut self, met_by: MetBy) -> bool {
        let period = if self.half_made.is_some() { RETRY_PERIOD } else { REMAKE_PERIOD };
        self.begun(met_by).is_none_or(|begun| begun.elapsed() >= period)
    }
}

impl<S: Storage> DbWriter<S> {
    /// With somebody who makes the history anew, and what readers could not read of it.
    #[must_use]
    pub fn remaking(mut self, remake: Remake<S>, unreadable: Unreadable) -> Self {
        self.remaking = Remaking { remake: Some(remake), unreadable, ..Remaking::default() };
        self
    }

    /// Once a second: a try that failed is repeated, and what a page could not show is made anew, now or at the next start.
    pub(super) fn look_after_history(&mut self) {
        if let Some(reason) = self.remaking.half_made.clone() {
            return self.make_history_anew(&reason, MetBy::Gate);
        }
        let (Some(reason), Some(ledger)) = (self.remaking.unreadable.take(), &self.ledger) else { return };
        if ledger.events() <= QUICK_EVENTS && self.remaking.may_begin(MetBy::Page) {
            return self.make_history_anew(&reason, MetBy::Page);
        }
        self.put_history_off(&reason);
    }

    /// What cannot be read, and was noted since the last look or is met from now on, is made anew by the next start.
    pub(super) fn leave_history_to_next_start(&mut self) {
        self.remaking.is_ending = true;
        if let Some(reason) = self.remaking.unreadable.take() {
            self.put_history_off(&reason);
        }
    }

    /// Gates go on with what can be read, and the next start makes all of it anew.
    fn put_history_off(&mut self, reason: &str) {
        let Some(ledger) = self.ledger.as_mut().filter(|_| !self.remaking.is_put_off) else { return };
        error!(event = "history_unreadable", reason; "a value that is made from the events cannot be read: the next start makes all of it anew");
        if let Err(error) = ledger.storage_mut().make_anew_at_next_start() {
            return self.failed(&error.to_string());
        }
        self.remaking.is_put_off = true;
        self.remaking.told = Some(told_put_off(reason));
    }

    pub(super) fn make_history_anew(&mut self, reason: &str, met_by: MetBy) {
        if self.remaking.is_ending {
            return self.put_history_off(reason);
        }
        let may_begin = self.remaking.may_begin(met_by);
        let with_losses = !may_begin && met_by == MetBy::Gate && self.remaking.is_shut_out();
        if !may_begin && !with_losses {
            return;
        }
        *self.remaking.begun(met_by) = Some(Instant::now());
        let unreadable = self.remaking.unreadable.clone();
        let (Some(ledger), Some(remake)) = (&mut self.ledger, &mut self.remaking.remake) else { return };
        unreadable.begin_remaking();
        error!(event = "history_unreadable", reason; "a value that is made from the events cannot be read: all of it is made anew, and gates wait so long");
        let view = &self.view;
        let mut shown: Option<Instant> = None;
        let mut show = |done: u64, total: u64| {
            if shown.is_none_or(|shown| shown.elapsed() >= SHOW_PERIOD) {
                shown = Some(Instant::now());
                unreadable.show_remaking(done, total);
                let text = format!("the history is being made anew: {done} of {total} events");
                view.send_modify(|held| Arc::make_mut(held).failure = Some(text.as_str().into()));
            }
        };
        show(0, ledger.events());
        match remake(ledger, self.clock.now_ms(), with_losses, &mut show) {
            Ok(Err(why)) => {
                unreadable.end_remaking();
                self.show_failure(None);
                self.put_history_off(&format!("{reason}; {why}"));
            }
            Err(error) => {
                let reason = format!("the history could not be made anew, which is tried again: {error}");
                self.failed(&reason);
                self.remaking.half_made = Some(reason);
            }
            Ok(Ok(Remade { events, on_new_file })) => {
                unreadable.end_remaking();
                // What pages met meanwhile is over as well.
                drop(unreadable.take());
                let reason = on_new_file.as_deref().unwrap_or(reason);
                (self.remaking.half_made, self.remaking.is_put_off) = (None, false);
                let (_, tariff) = ledger.settings().tariff_at(self.clock.now_ms());
                self.remaking.told = Some(told_remade(reason, events, tariff.as_deref()));
                self.succeeded();
                self.show_failure(None);
                self.publish();
                // Nothing was written down, but figures have changed.
                self.announce(Arc::new([]));
            }
        }
    }
}
