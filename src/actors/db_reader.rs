//! Reading the database beside the writer: two threads with a read-only connection each. Pages and links have their own, so that a
//! peer that catches up waits behind no page.
//!
//! Their queue knows no bound, so one stands in front ([`Readers`]). A read that fails or panics costs its caller an
//! error and the thread its connection: the actor is built anew with a fresh one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use actix::{Actor, ActorContext, Addr, Handler, Message, SyncArbiter, SyncContext};
use log::warn;

use super::supervise::{Restarts, Surroundings, guard};
use crate::background;
use crate::ops::in_flight::{InFlight, Permit};
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// One thread may walk a long page while the other answers short questions.
const THREADS: usize = 2;
/// Questions waiting or being answered; more would only wait for each other.
const MAX_WAITING: usize = 256;

/// Pages give way to gates where cores are few: their threads have a tenth of the weight of others.
const PAGES_NICENESS: i32 = 10;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// People and programs that look: anybody, as often as he likes.
    Pages,
    /// Peers and predecessors that catch up.
    Links,
}

/// Why there is no answer. The cause is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("too many questions at once")]
    Busy,
    #[error("the database could not be read")]
    Failed,
    /// What is asked for is being made anew; of so many events so many are done.
    #[error("the history is being made anew: {done} of {total} events")]
    Remaking { done: u64, total: u64 },
}

/// What a reader could not read of what is made from the events, for the writer, which looks for it; and whether that is being made anew, for
/// readers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Unreadable {
    why: Arc<Mutex<Option<String>>>,
    remaking: Arc<Mutex<HalfMade>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct HalfMade {
    /// How often that was begun, and was over, on a new file perhaps.
    times: u64,
    /// While it goes on: how many events are done, and how many there are.
    how_far: Option<(u64, u64)>,
}

impl HalfMade {
    fn refuse(self) -> Result<(), ReadError> {
        self.how_far.map_or(Ok(()), |(done, total)| Err(ReadError::Remaking { done, total }))
    }
}

impl Unreadable {
    /// All is being made anew: until that is over pages are told how far it is instead of half of what there is.
    pub fn begin_remaking(&self) {
        let mut remaking = self.remaking();
        *remaking = HalfMade { times: remaking.times + 1, how_far: Some((0, 0)) };
    }

    pub fn show_remaking(&self, done: u64, total: u64) {
        self.remaking().how_far = Some((done, total));
    }

    /// It is whole. Readers open what has the name now.
    pub fn end_remaking(&self) {
        let mut remaking = self.remaking();
        // Also who opened one in between.
        *remaking = HalfMade { times: remaking.times + 1, how_far: None };
    }

    fn remaking(&self) -> MutexGuard<'_, HalfMade> {
        self.remaking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the writer look for it.
    pub fn note(&self, why: &StoreError) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_string());
    }

    /// What was met first since this was asked last.
    #[must_use]
    pub fn take(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

type Question<T> = Box<dyn FnOnce(&mut Reader) -> Result<T, StoreError> + Send>;

struct Ask<T> {
    question: Question<T>,
    /// Gone with who waits for the answer.
    waits: Weak<()>,
    /// Given back with the answer.
    _permit: Permit,
}

impl<T: Send + 'static> Message for Ask<T> {
    type Result = Result<T, ReadError>;
}

/// The way to the readers. Cheap to clone.
#[derive(Clone)]
pub struct Readers {
    pool: Addr<DbReader>,
    waiting: Arc<InFlight>,
}

impl Readers {
    /// Starts the threads. They open the database of `data_dir` at their first question.
    pub fn start(serves: Serves, data_dir: PathBuf, around: &Surroundings, unreadable: &Unreadable) -> Self {
        let waiting = InFlight::new(MAX_WAITING, around.metrics.reader_queue.clone());
        let (around, unreadable) = (around.clone(), unreadable.clone());
        let restarts = Arc::new(Mutex::new(Restarts::default()));
        let pool = SyncArbiter::start(THREADS, move || DbReader {
            serves,
            data_dir: data_dir.clone(),
            reader: None,
            opened_after: unreadable.remaking().times,
            around: around.clone(),
            unreadable: unreadable.clone(),
            restarts: restarts.clone(),
        });
        Self { pool, waiting }
    }

    /// Puts one question to a reader. It runs on the reader's thread, so it may as well write the answer's JSON there. Where this is dropped
    /// before, it is not answered.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.waiting.enter().ok_or(ReadError::Busy)?;
        let waits = Arc::new(());
        let ask = Ask { question: Box::new(question), waits: Arc::downgrade(&waits), _permit: permit };
        let answer = self.pool.send(ask).await;
        drop(waits);
        answer.map_err(|_| ReadError::Failed)?
    }
}

pub struct DbReader {
    serves: Serves,
    data_dir: PathBuf,
    reader: Option<Reader>,
    /// How often all had been made anew when it was opened.
    opened_after: u64,
    around: Surroundings,
    unreadable: Unreadable,
    /// Of all threads together.
    restarts: Arc<Mutex<Restarts>>,
}

impl DbReader {
    fn answer<T>(&mut self, question: Question<T>) -> Result<T, String> {
        guard(|| {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                empty => empty.insert(Reader::open(&self.data_dir)?),
            };
            question(reader)
        })?
        .map_err(|error: StoreError| {
            if error.is_of_derived() || error.is_broken_page() {
                self.unreadable.note(&error);
            }
            error.to_string()
        })
    }

    /// As [`Self::answer`], of a history that is whole from the beginning of the question to its end.
    fn answer_of_whole<T>(&mut self, question: Question<T>) -> Result<Result<T, String>, ReadError> {
        let before = *self.unreadable.remaking();
        if self.serves == Serves::Pages {
            before.refuse()?;
        }
        if std::mem::replace(&mut self.opened_after, before.times) != before.times {
            self.reader = None;
        }
        let answer = self.answer(question);
        let after = *self.unreadable.remaking();
        if self.serves == Serves::Pages && after.times != before.times {
            after.refuse()?;
            // It was begun meanwhile and is over.
            return Err(ReadError::Busy);
        }
        Ok(answer)
    }

    /// Gives up this actor; the arbiter builds a new one in its place.
    fn restart(&self, reason: &str, context: &mut SyncContext<Self>) {
        let allowed = self.restarts.lock().unwrap_or_else(PoisonError::into_inner).allow(Instant::now());
        match allowed {
            Some(_) => {
                self.around.metrics.restarted("db_reader");
                warn!(event = "actor_restarted", actor = "db_reader", reason = reason; "actor failed and is built anew");
            }
            // A reader may fail as long as it likes: gates do not need it.
            None => warn!(event = "read_failed", reason = reason; "the database cannot be read"),
        }
        context.stop();
    }
}

impl Actor for DbReader {
    type Context = SyncContext<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.serves == Serves::Pages {
            background::stand_behind(PAGES_NICENESS);
        }
        // Opened at once, it can be asked whatever becomes of the file's name. If it cannot be now, it is tried at each question.
        self.reader = Reader::open(&self.data_dir).ok();
    }
}

impl<T: Send + 'static> Handler<Ask<T>> for DbReader {
    type Result = Result<T, ReadError>;

    fn handle(&mut self, ask: Ask<T>, context: &mut Self::Context) -> Self::Result {
        if ask.waits.strong_count() == 0 {
            return Err(ReadError::Busy);
        }
        self.answer_of_whole(ask.question)?.map_err(|reason| {
            self.restart(&reason, context);
            ReadError::Failed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::SiteZone;
    use crate::ops::metrics::Metrics;
    use crate::store::{DataDir, Writer};

    #[actix::test]
    async fn while_all_is_made_anew_pages_are_told_how_far_it_is_and_links_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = Writer::open(&DataDir::open(directory.path()).unwrap(), SiteZone::default()).unwrap();
        let (fatal, _fatals) = tokio::sync::mpsc::unbounded_channel();
        let around = Surroundings { metrics: Metrics::new(), fatal, faults: None };
        let unreadable = Unreadable::default();
        let start = |serves| Readers::start(serves, directory.path().to_owned(), &around, &unreadable);
        let (pages, links) = (start(Serves::Pages), start(Serves::Links));
        let heads = |reader: &mut Reader| reader.heads().map(|heads| heads.len());
        assert_eq!(pages.ask(heads).await, Ok(0));
        unreadable.begin_remaking();
        unreadable.show_remaking(3, 7);
        assert_eq!(pages.ask(heads).await, Err(ReadError::Remaking { done: 3, total: 7 }));
        assert_eq!(links.ask(heads).await, Ok(0));
        unreadable.end_remaking();
        assert_eq!(pages.ask(heads).await, Ok(0));
        // What began before it and ended within it may have seen both.
        let begins = unreadable.clone();
        let asked = pages.ask(move |reader| {
            begins.begin_remaking();
            reader.heads().map(|heads| heads.len())
        });
        assert!(matches!(asked.await, Err(ReadError::Remaking { .. })));
    }

    #[actix::test]
    async fn a_question_whose_asker_has_gone_is_not_answered() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = Writer::open(&DataDir::open(directory.path()).unwrap(), SiteZone::default()).unwrap();
        let (fatal, _fatals) = tokio::sync::mpsc::unbounded_channel();
        let around = Surroundings { metrics: Metrics::new(), fatal, faults: None };
        let readers = Readers::start(Serves::Pages, directory.path().to_owned(), &around, &Unreadable::default());
        let answered = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        // Every reader is at work.
        let busy: Vec<_> = (0..THREADS)
            .map(|_| {
                let (readers, wait) = (readers.clone(), wait.clone());
                let work = move |_: &mut Reader| {
                    wait.lock().unwrap().recv().unwrap();
                    Ok(())
                };
                actix::spawn(async move { readers.ask(work).await })
            })
            .collect();
        let count = || {
            let answered = answered.clone();
            move |_: &mut Reader| {
                answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            }
        };
        for _ in 0..10 {
            let gone = readers.ask(count());
            assert!(futures_util::FutureExt::now_or_never(gone).is_none(), "it waits, and then it is given up");
        }
        (0..THREADS).for_each(|_| go.send(()).unwrap());
        for one in busy {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(readers.ask(count()).await, Ok(()));
        assert_eq!(answered.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
