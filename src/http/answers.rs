//! Answers under way: how much of what is read for pages and programs one address may have at a time, and all together.
//!
//! - **In turn**: each address has one question answered at a time, and a few have one at once. Who asks over forty connections waits for
//!   himself.
//! - **Bytes**: what an answer holds in memory is counted from when it was made until the asker has taken it. An address that has not taken
//!   so much waits for its next one; while all hold too much it is answered 503. Short answers are not counted.
//! - **In pieces**: a long answer is handed to the connection as that takes it, so that it lies in memory once.
//!
//! What gates call has none of this: [`crate::access::right::Need::Gate`] is answered at once. Who takes nothing, or a few bytes now and then,
//! loses the connection ([`super::listen`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::error::Error;
use actix_web::http::StatusCode;
use bytes::Bytes;
use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::room::KnownAddresses;
use crate::access::throttle::{is_this_machine, source_of};
use crate::actors::db_reader::{ReadError, Readers};
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// Of answers that one address has not taken: with this many it waits. The longest page of the history has some 10 MB.
const BYTES_OF_ONE: usize = 16 << 20;
/// And of all; the last quarter is for addresses that are known.
const BYTES_OF_ALL: usize = 64 << 20;
/// An answer of so many bytes is not counted: the connection has as much.
const UNCOUNTED: u64 = 16 * 1024;
/// How much of a long answer a connection is given at a time.
const PIECE: usize = 32 * 1024;
/// Addresses that are answered at once: more than there are readers, so that those need not wait.
const AT_ONCE: usize = 4;
/// Workbooks that are made at once: each takes some tens of MB.
const WORKBOOKS_AT_ONCE: usize = 1;
/// Who has not had his turn after this is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// All answers of a central that are under way.
#[derive(Debug)]
pub struct Answers {
    /// Bytes of all.
    held: AtomicUsize,
    askers: Mutex<HashMap<String, Weak<Asker>>>,
    known: Arc<KnownAddresses>,
    pages: Arc<Semaphore>,
    workbooks: Arc<Semaphore>,
}

/// One address, as long as it asks or has something.
#[derive(Debug, Default)]
struct Asker {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Bytes it has not taken.
    held: AtomicUsize,
    freed: Notify,
}

/// Whose turn it is, until this is dropped.
#[derive(Debug)]
pub struct AnswerTurn {
    _of_one: (Arc<Asker>, Option<OwnedMutexGuard<()>>),
    _of_all: OwnedSemaphorePermit,
}

impl Answers {
    pub fn new(known: Arc<KnownAddresses>) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            askers: Mutex::default(),
            known,
            pages: Arc::new(Semaphore::new(AT_ONCE)),
            workbooks: Arc::new(Semaphore::new(WORKBOOKS_AT_ONCE)),
        })
    }

    fn asker(&self, from: IpAddr) -> Arc<Asker> {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let source = source_of(from);
        if let Some(asker) = askers.get(&source).and_then(Weak::upgrade) {
            return asker;
        }
        askers.retain(|_, asker| asker.strong_count() > 0);
        let asker = Arc::new(Asker::default());
        askers.insert(source, Arc::downgrade(&asker));
        asker
    }

    /// How many bytes this address may have now before it waits; `None`: there is no room for any.
    fn most_of(&self, from: IpAddr) -> Option<usize> {
        let is_here = is_this_machine(from);
        let is_known = is_here || self.known.is(from, Instant::now());
        let open = if is_known { BYTES_OF_ALL } else { BYTES_OF_ALL / 4 * 3 };
        let left = open.saturating_sub(self.held.load(Ordering::Relaxed));
        // 127.0.0.1 and ::1 have no bound of their own: a proxy there speaks for many.
        (left > 0).then_some(if is_here { usize::MAX } else { BYTES_OF_ONE.min(left.div_ceil(2)) })
    }

    /// Waits for the turn of this address.
    ///
    /// # Errors
    /// Others have all there is, or it took too long.
    async fn turn(&self, from: IpAddr, is_workbook: bool) -> Result<AnswerTurn, ReadError> {
        let asker = self.asker(from);
        let wait = async {
            let of_one = if is_this_machine(from) { None } else { Some(asker.turn.clone().lock_owned().await) };
            // Nobody else of this address waits here meanwhile.
            while asker.held.load(Ordering::Relaxed) >= self.most_of(from)? {
                asker.freed.notified().await;
            }
            let among = if is_workbook { &self.workbooks } else { &self.pages };
            let of_all = among.clone().acquire_owned().await.ok()?;
            self.most_of(from)?;
            Some(AnswerTurn { _of_one: (asker.clone(), of_one), _of_all: of_all })
        };
        tokio::time::timeout(LONGEST_WAIT, wait).await.ok().flatten().ok_or(ReadError::Busy)
    }

    /// Counts what was made until it is taken; `None`: there is no room for it.
    fn hold(self: &Arc<Self>, from: IpAddr, bytes: Bytes) -> Option<Bytes> {
        let asker = self.asker(from);
        (asker.held.load(Ordering::Relaxed) < self.most_of(from)?).then(|| {
            let untaken = Untaken { bytes, by: asker, of: self.clone() };
            untaken.by.held.fetch_add(untaken.bytes.len(), Ordering::Relaxed);
            self.held.fetch_add(untaken.bytes.len(), Ordering::Relaxed);
            Bytes::from_owner(untaken)
        })
    }
}

/// An answer, or a part of one, that is counted as long as any of it is there.
#[derive(Debug)]
struct Untaken {
    bytes: Bytes,
    by: Arc<Asker>,
    of: Arc<Answers>,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.by.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.by.freed.notify_one();
    }
}

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub struct Questioner {
    answers: Arc<Answers>,
    from: IpAddr,
    is_workbook: bool,
}

tokio::task_local! {
    /// What is being answered on this task, with its turn once the database was asked.
    static ASKED: (Questioner, RefCell<Option<Arc<AnswerTurn>>>);
}

impl Questioner {
    pub fn new(answers: &Arc<Answers>, from: IpAddr, path: &str) -> Self {
        Self { answers: answers.clone(), from, is_workbook: path.ends_with(".xlsx") }
    }

    /// What is being answered here, for a part of it that is made later; `None`: nobody has to wait for his turn.
    pub fn current() -> Option<Self> {
        ASKED.try_with(|(asking, _)| asking.clone()).ok()
    }

    /// Makes the answer; its turn is over when that is done.
    pub async fn answered<F: Future>(self, answer: F) -> F::Output {
        ASKED.scope((self, RefCell::default()), answer).await
    }

    /// [`Self::answered`], of a whole response, which is held as long as it is not taken.
    ///
    /// # Errors
    /// Those of the answer.
    pub async fn responded(
        self,
        answer: impl Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let asking = self.clone();
        let held = async move {
            let (request, response) = answer.await?.into_parts();
            Ok(ServiceResponse::new(request, asking.hold(response)))
        };
        self.answered(held).await
    }

    fn hold(&self, response: HttpResponse<BoxBody>) -> HttpResponse<BoxBody> {
        // A socket has its own bounds.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let size = response.body().size();
        if matches!(size, BodySize::None) || matches!(size, BodySize::Sized(bytes) if bytes <= UNCOUNTED) {
            return response;
        }
        let (head, body) = response.into_parts();
        let in_pieces = match body.try_into_bytes() {
            Ok(long) => match self.answers.hold(self.from, long) {
                Some(held) => InPieces { rest: held, body: BoxBody::new(()), size },
                None => return HttpResponse::from_error(ApiError::busy()),
            },
            Err(body) => InPieces { rest: Bytes::new(), body, size },
        };
        head.set_body(BoxBody::new(in_pieces))
    }
}

/// A part of a streamed answer, counted until it is taken.
///
/// # Errors
/// There is no room for it.
pub fn hold_part(text: String) -> Result<Bytes, ReadError> {
    let bytes = Bytes::from(text);
    match Questioner::current() {
        Some(asking) => asking.answers.hold(asking.from, bytes).ok_or(ReadError::Busy),
        None => Ok(bytes),
    }
}

/// The turn of what is being answered here, for work that goes on elsewhere, also when nobody waits for it any more.
pub fn turn() -> Option<Arc<AnswerTurn>> {
    ASKED.try_with(|(_, turn)| turn.borrow().clone()).ok().flatten()
}

/// A body that is given to the connection piece by piece.
struct InPieces {
    rest: Bytes,
    body: BoxBody,
    size: BodySize,
}

impl MessageBody for InPieces {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(part)) => this.rest = part,
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(this.rest.split_to(PIECE.min(this.rest.len())))))
    }
}

/// The readers of the database, asked in turn.
pub struct AskedInTurn(pub Readers);

impl AskedInTurn {
    /// As [`Readers::ask`], when it is the turn of whose request is answered here. It is over when the reader is done, also with a question
    /// whose asker has gone.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = match (turn(), Questioner::current()) {
            (None, Some(asking)) => {
                let taken = Arc::new(asking.answers.turn(asking.from, asking.is_workbook).await?);
                let kept = ASKED.try_with(|(_, turn)| turn.replace(Some(taken.clone())));
                debug_assert!(kept.is_ok_and(|before| before.is_none()), "one question after the other");
                Some(taken)
            }
            (turn, _) => turn,
        };
        let asked = self.0.ask(move |reader| {
            let answer = question(reader);
            drop(turn);
            answer
        });
        asked.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn answers() -> (Arc<Answers>, Arc<KnownAddresses>) {
        let known = Arc::new(KnownAddresses::default());
        (Answers::new(known.clone()), known)
    }

    /// An answer of so many MiB, not taken.
    fn untaken(answers: &Arc<Answers>, from: &str, mib: usize) -> Option<Bytes> {
        answers.hold(address(from), Bytes::from(vec![b' '; mib << 20]))
    }

    #[actix::test]
    async fn each_address_has_one_turn_at_a_time_and_a_few_have_one_at_once() {
        let (answers, _) = answers();
        let try_turn = |from: &str| answers.turn(address(from), false).now_or_never();
        let first = try_turn("10.0.0.1").unwrap().unwrap();
        assert!(try_turn("10.0.0.1").is_none(), "it waits for itself");
        let second = try_turn("10.0.0.2").unwrap().unwrap();
        let here: Vec<_> = (0..2).map(|_| try_turn("127.0.0.1").unwrap().unwrap()).collect();
        assert!(try_turn("10.0.0.3").is_none(), "{AT_ONCE} at once");
        assert!(answers.turn(address("10.0.0.4"), true).now_or_never().is_some(), "workbooks wait for workbooks");
        drop((second, here));
        assert!(try_turn("10.0.0.3").unwrap().is_ok());
        drop(first);
        assert!(try_turn("10.0.0.1").unwrap().is_ok());
        assert!(answers.askers.lock().unwrap().len() <= 5, "who has nothing is forgotten");
    }

    #[actix::test]
    async fn who_has_not_taken_what_he_asked_for_waits_and_others_do_not() {
        let (answers, known) = answers();
        let turn = |from: &str| answers.turn(address(from), false).now_or_never();
        let mut held: Vec<Bytes> = (0..2).map(|_| untaken(&answers, "10.0.0.1", 10).unwrap()).collect();
        assert!(untaken(&answers, "10.0.0.1", 1).is_none() && turn("10.0.0.1").is_none());
        assert!(turn("10.0.0.2").unwrap().is_ok());
        // As long as any of it is there.
        let rest = held.pop().unwrap().split_off(1 << 20);
        assert!(turn("10.0.0.1").is_none());
        drop(rest);
        assert!(turn("10.0.0.1").unwrap().is_ok());
        held.extend((0..9).filter_map(|last| untaken(&answers, &format!("10.0.1.{last}"), 8)));
        assert!(answers.held.load(Ordering::Relaxed) < BYTES_OF_ALL, "and all have so much");
        assert!(matches!(turn("10.0.2.1"), Some(Err(ReadError::Busy))), "told at once");
        known.note(address("10.0.2.2"), Instant::now());
        assert!(turn("10.0.2.2").unwrap().is_ok() && turn("127.0.0.1").unwrap().is_ok());
        held.clear();
        assert_eq!(answers.held.load(Ordering::Relaxed), 0);
        assert!(turn("10.0.2.1").unwrap().is_ok());
    }

    #[actix::test]
    async fn a_long_answer_is_given_in_pieces_and_counted_until_the_last() {
        let (answers, _) = answers();
        let asking = Questioner::new(&answers, address("10.0.0.1"), "/api/parking/history");
        let text: Vec<u8> = (0..100_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let mut body = asking.hold(HttpResponse::Ok().body(text.clone())).into_body();
        assert_eq!(body.size(), BodySize::Sized(100_000));
        let mut came = Vec::new();
        while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            let piece = piece.unwrap();
            assert!((1..=PIECE).contains(&piece.len()));
            assert_eq!(answers.held.load(Ordering::Relaxed), 100_000);
            came.extend_from_slice(&piece);
        }
        drop(body);
        assert_eq!((came == text, answers.held.load(Ordering::Relaxed)), (true, 0));
        let nothing = HttpResponse::NotModified().finish();
        let size = nothing.body().size();
        assert_eq!(asking.hold(nothing).body().size(), size, "as it was");
    }
}
