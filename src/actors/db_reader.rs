//! Reading the database beside the writer: two threads with a read-only connection each. Pages and links have their own, so that a
//! peer that catches up waits behind no page.
//!
//! Their queue knows no bound, so one stands in front ([`Readers`]). A read that fails or panics costs its caller an
//! error and the thread its connection: the actor is built anew with a fresh one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix::{Actor, ActorContext, Addr, Handler, Message, SyncArbiter, SyncContext};
use log::warn;

use super::supervise::{Restarts, Surroundings, guard};
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
}

/// What a reader could not read of what is made from the events: the writer looks for it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Unreadable {
    why: Arc<Mutex<Option<String>>>,
    /// How often all was made anew, on a new file perhaps.
    made_anew: Arc<AtomicU64>,
}

impl Unreadable {
    /// All was made anew: readers open what has the name now.
    pub fn open_anew(&self) {
        self.made_anew.fetch_add(1, Ordering::AcqRel);
    }

    fn made_anew(&self) -> u64 {
        self.made_anew.load(Ordering::Acquire)
    }

    fn note(&self, why: &StoreError) {
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
            opened_after: unreadable.made_anew(),
            around: around.clone(),
            unreadable: unreadable.clone(),
            restarts: restarts.clone(),
        });
        Self { pool, waiting }
    }

    /// Puts one question to a reader. It runs on the reader's thread, so it may as well write the answer's JSON there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.waiting.enter().ok_or(ReadError::Busy)?;
        let ask = Ask { question: Box::new(question), _permit: permit };
        self.pool.send(ask).await.map_err(|_| ReadError::Failed)?
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
        let made_anew = self.unreadable.made_anew();
        if std::mem::replace(&mut self.opened_after, made_anew) != made_anew {
            self.reader = None;
        }
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
            // Of this thread alone. Where it is refused, pages only compete with gates for the cores.
            let _refused = rustix::process::setpriority_process(None, PAGES_NICENESS);
        }
        // Opened at once, it can be asked whatever becomes of the file's name. If it cannot be now, it is tried at each question.
        self.reader = Reader::open(&self.data_dir).ok();
    }
}

impl<T: Send + 'static> Handler<Ask<T>> for DbReader {
    type Result = Result<T, ReadError>;

    fn handle(&mut self, ask: Ask<T>, context: &mut Self::Context) -> Self::Result {
        self.answer(ask.question).map_err(|reason| {
            self.restart(&reason, context);
            ReadError::Failed
        })
    }
}
