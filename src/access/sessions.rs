//! Who is logged in, and until when. A session is named by the hash of its secret: the secret itself is in one browser only.

use std::collections::HashMap;

use super::throttle::Ms;

/// Unused for so long, a session ends: a shift and the way home.
pub const IDLE_MS: Ms = 12 * 3_600_000;
/// It ends after this time, used or not.
pub const LONGEST_MS: Ms = 7 * 24 * 3_600_000;
/// Sessions at a time; one more ends the one that was unused for longest.
const MAX_SESSIONS: usize = 1_000;

/// The hash of a session's secret.
pub type SessionId = [u8; 32];

#[derive(Debug, Clone)]
struct Session {
    person: String,
    begun_ms: Ms,
    used_ms: Ms,
}

impl Session {
    fn is_over(&self, now_ms: Ms) -> bool {
        now_ms.saturating_sub(self.used_ms) >= IDLE_MS || now_ms.saturating_sub(self.begun_ms) >= LONGEST_MS
    }
}

/// All sessions. They live in memory: a restart of the central ends them.
#[derive(Debug, Default)]
pub struct Sessions(HashMap<SessionId, Session>);

impl Sessions {
    /// A person logged in.
    pub fn begin(&mut self, id: SessionId, person: &str, now_ms: Ms) {
        self.0.retain(|_, session| !session.is_over(now_ms));
        if self.0.len() >= MAX_SESSIONS {
            let unused = self.0.iter().min_by_key(|(_, session)| session.used_ms).map(|(id, _)| *id);
            unused.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, Session { person: person.to_owned(), begun_ms: now_ms, used_ms: now_ms });
    }

    /// Whose session that is, if it goes on; it was used now.
    pub fn use_now(&mut self, id: &SessionId, now_ms: Ms) -> Option<&str> {
        if self.0.get(id)?.is_over(now_ms) {
            self.0.remove(id);
            return None;
        }
        let session = self.0.get_mut(id)?;
        session.used_ms = now_ms;
        Some(&session.person)
    }

    /// Whose session that is, if it goes on. Asking is no use of it.
    pub fn whose(&self, id: &SessionId, now_ms: Ms) -> Option<&str> {
        self.0.get(id).filter(|session| !session.is_over(now_ms)).map(|session| session.person.as_str())
    }

    /// Logged out.
    pub fn end(&mut self, id: &SessionId) {
        self.0.remove(id);
    }

    /// Ends all of a person, but for one: the password was changed, or the person is gone.
    pub fn end_all_of(&mut self, person: &str, but: Option<&SessionId>) {
        self.0.retain(|id, session| session.person != person || Some(id) == but);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_unused_and_after_its_longest_time() {
        let mut sessions = Sessions::default();
        sessions.begin([1; 32], "an", 0);
        assert_eq!(sessions.use_now(&[2; 32], 0), None);
        let mut now_ms = 0;
        while now_ms + IDLE_MS - 1 < LONGEST_MS {
            now_ms += IDLE_MS - 1;
            assert_eq!(sessions.use_now(&[1; 32], now_ms), Some("an"), "{now_ms}");
        }
        assert_eq!(sessions.use_now(&[1; 32], LONGEST_MS), None, "however much it is used");
        sessions.begin([3; 32], "an", LONGEST_MS);
        assert_eq!(sessions.whose(&[3; 32], LONGEST_MS + IDLE_MS - 1), Some("an"), "which is no use of it");
        assert_eq!(sessions.whose(&[3; 32], LONGEST_MS + IDLE_MS), None);
        assert_eq!(sessions.use_now(&[3; 32], LONGEST_MS + IDLE_MS), None);
        assert_eq!(sessions.use_now(&[3; 32], LONGEST_MS + 1), None, "over is over");
    }

    #[test]
    fn one_session_or_all_but_one_of_a_person_can_be_ended() {
        let mut sessions = Sessions::default();
        for (id, person) in [(1, "an"), (2, "an"), (3, "an"), (4, "binh")] {
            sessions.begin([id; 32], person, 0);
        }
        sessions.end(&[3; 32]);
        sessions.end_all_of("an", Some(&[2; 32]));
        let left: Vec<u8> = (1..=4).filter(|id| sessions.use_now(&[*id; 32], 1).is_some()).collect();
        assert_eq!(left, [2, 4]);
        sessions.end_all_of("an", None);
        assert_eq!(sessions.use_now(&[2; 32], 1), None);
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut sessions = Sessions::default();
        for number in 0..MAX_SESSIONS as u64 + 10 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            sessions.begin(id, "an", number);
        }
        assert_eq!(sessions.0.len(), MAX_SESSIONS);
        assert_eq!(sessions.use_now(&[0; 32], 2_000), None, "the one that was unused for longest is gone");
    }
}
