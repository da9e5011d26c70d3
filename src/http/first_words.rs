//! What arrives on a peer's socket: until it is let in, no more than a HELLO takes. So a stranger has little of our memory, whatever
//! length its first frame claims to have.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

/// How many bytes may still come before somebody is let in; `None`: he is.
#[derive(Debug, Clone)]
pub struct Patience(Rc<Cell<Option<usize>>>);

impl Patience {
    /// So many.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self(Rc::new(Cell::new(Some(max_bytes))))
    }

    /// From now on frames have bounds of their own.
    pub fn let_in(&self) {
        self.0.set(None);
    }
}

/// The bytes of a socket, as long as there is patience.
#[derive(Debug)]
pub struct FirstWords<S> {
    of: S,
    patience: Patience,
}

impl<S> FirstWords<S> {
    pub fn of(of: S, patience: Patience) -> Self {
        Self { of, patience }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for FirstWords<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.of).poll_next(context));
        if let (Some(Ok(bytes)), Some(left)) = (&next, self.patience.0.get()) {
            match left.checked_sub(bytes.len()) {
                Some(left) => self.patience.0.set(Some(left)),
                None => return Poll::Ready(Some(Err(PayloadError::Overflow))),
            }
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream::iter;

    use super::*;

    #[actix_web::test]
    async fn a_stranger_says_little_and_who_is_let_in_as_much_as_he_likes() {
        let patience = Patience::new(10);
        let parts = [4, 6, 1, 100].map(|length| Ok(Bytes::from(vec![0; length])));
        let mut words = FirstWords::of(iter(parts), patience.clone());
        assert!(words.next().await.unwrap().is_ok());
        assert!(words.next().await.unwrap().is_ok());
        assert!(matches!(words.next().await, Some(Err(PayloadError::Overflow))));
        patience.let_in();
        assert_eq!(words.next().await.unwrap().unwrap().len(), 100);
    }
}
