//! What is on its way to whom. Each channel is told in order, at its own pace; what is too much is dropped, the oldest first, and
//! the channel is told how much.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::message::Message;

/// Messages kept: a week of trouble where nobody can be reached.
pub const MAX_LETTERS: usize = 500;

/// A message and the channels that are still to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Letter {
    message: Message,
    to: BTreeSet<String>,
}

/// Messages that not all channels have been told yet, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outbox {
    letters: VecDeque<Letter>,
    /// How many were dropped since a channel was told last.
    lost: BTreeMap<String, u64>,
}

impl Outbox {
    /// To be told to these channels. Gives the ids of messages that had to go for it.
    pub fn put(&mut self, message: Message, channels: &[String]) -> Vec<String> {
        if !channels.is_empty() {
            self.letters.push_back(Letter { message, to: channels.iter().cloned().collect() });
        }
        let mut dropped = Vec::new();
        while self.letters.len() > MAX_LETTERS
            && let Some(letter) = self.letters.pop_front()
        {
            letter.to.into_iter().for_each(|channel| *self.lost.entry(channel).or_default() += 1);
            dropped.push(letter.message.id);
        }
        dropped
    }

    /// What this channel is to be told next, and how many before it were dropped.
    pub fn next(&self, channel: &str) -> Option<(&Message, u64)> {
        let letter = self.letters.iter().find(|letter| letter.to.contains(channel))?;
        Some((&letter.message, self.lost.get(channel).copied().unwrap_or(0)))
    }

    /// The channel was told this message, and of `lost` that were dropped before it.
    pub fn told(&mut self, channel: &str, id: &str, lost: u64) {
        if let Some(count) = self.lost.get_mut(channel) {
            *count = count.saturating_sub(lost);
        }
        self.lost.retain(|_, count| *count > 0);
        self.take(channel, id);
    }

    /// The channel will never take this message.
    pub fn give_up(&mut self, channel: &str, id: &str) {
        if self.take(channel, id) {
            *self.lost.entry(channel.to_owned()).or_default() += 1;
        }
    }

    fn take(&mut self, channel: &str, id: &str) -> bool {
        let letter = self.letters.iter_mut().find(|letter| letter.message.id == id && letter.to.contains(channel));
        let taken = letter.is_some_and(|letter| letter.to.remove(channel));
        self.letters.retain(|letter| !letter.to.is_empty());
        taken
    }

    /// These are the channels from now on. True: something was for others.
    pub fn keep_channels(&mut self, channels: &[String]) -> bool {
        let before = (self.letters.len(), self.lost.len());
        let mut changed = false;
        for letter in &mut self.letters {
            let all = letter.to.len();
            letter.to.retain(|channel| channels.contains(channel));
            changed |= letter.to.len() != all;
        }
        self.letters.retain(|letter| !letter.to.is_empty());
        self.lost.retain(|channel, _| channels.contains(channel));
        changed || before != (self.letters.len(), self.lost.len())
    }

    /// How many messages this channel waits for, and how many were dropped.
    pub fn waiting(&self, channel: &str) -> (usize, u64) {
        let waiting = self.letters.iter().filter(|letter| letter.to.contains(channel)).count();
        (waiting, self.lost.get(channel).copied().unwrap_or(0))
    }

    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alarms::message::{MessageKind, Voice};
    use crate::domain::problem::Language;

    fn message(number: usize) -> Message {
        let voice = Voice { central: "c1", site: "", language: Language::Vi };
        voice.message(MessageKind::Event, "odd", "a", number.to_string(), 0, "x")
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put,
        Told(bool),
        GiveUp(bool),
        /// The process was killed: what is on the disk is what there is.
        Killed,
        /// It was killed after the receiver was told and before that was written.
        ToldAndKilled(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Put),
            3 => any::<bool>().prop_map(Step::Told),
            1 => any::<bool>().prop_map(Step::GiveUp),
            1 => Just(Step::Killed),
            1 => any::<bool>().prop_map(Step::ToldAndKilled),
        ]
    }

    proptest! {
        /// Whatever happens, a channel that dedupes is told each message exactly once and in order, or is told that one was dropped.
        #[test]
        fn each_channel_is_told_each_message_or_how_many_were_dropped(steps in prop::collection::vec(step(), 1..1_500)) {
            let channels = ["a".to_owned(), "b".to_owned()];
            let name = |second: bool| channels[usize::from(second)].as_str();
            let mut outbox = Outbox::default();
            let mut put = 0;
            let mut told: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            let mut lost: BTreeMap<&str, u64> = BTreeMap::new();
            let mut hear = |channel, outbox: &Outbox| {
                let (message, before) = outbox.next(channel)?;
                let heard = told.entry(channel).or_default();
                let number = message.id.parse().unwrap();
                if !heard.contains(&number) {
                    heard.push(number);
                }
                Some((message.id.clone(), before))
            };
            for step in steps {
                match step {
                    Step::Put => {
                        outbox.put(message(put), &channels);
                        put += 1;
                    }
                    Step::Told(second) => if let Some((id, before)) = hear(name(second), &outbox) {
                        *lost.entry(name(second)).or_default() += before;
                        outbox.told(name(second), &id, before);
                    },
                    Step::ToldAndKilled(second) => { hear(name(second), &outbox); }
                    Step::GiveUp(second) => if let Some((message, _)) = outbox.next(name(second)) {
                        let id = message.id.clone();
                        outbox.give_up(name(second), &id);
                    },
                    Step::Killed => {
                        let text = serde_json::to_string(&outbox).unwrap();
                        prop_assert!(text.len() < 1024 * 1024);
                        outbox = serde_json::from_str(&text).unwrap();
                    }
                }
            }
            for channel in ["a", "b"] {
                // All that still waits arrives in the end; the last one says what was dropped since.
                outbox.put(message(put), &channels);
                put += 1;
                while let Some((id, before)) = hear(channel, &outbox) {
                    *lost.entry(channel).or_default() += before;
                    outbox.told(channel, &id, before);
                }
            }
            for channel in ["a", "b"] {
                let heard = &told[channel];
                prop_assert!(heard.is_sorted());
                let all = if channel == "a" { put - 1 } else { put };
                prop_assert!(heard.len() as u64 + lost.get(channel).copied().unwrap_or(0) >= all as u64, "{channel}");
            }
            prop_assert!(outbox.letters.len() <= MAX_LETTERS);
        }
    }

    #[test]
    fn what_is_too_much_is_dropped_and_told() {
        let mut outbox = Outbox::default();
        let dropped: Vec<_> = (0..MAX_LETTERS + 3).flat_map(|n| outbox.put(message(n), &["a".to_owned()])).collect();
        assert_eq!(dropped, ["0", "1", "2"]);
        let (first, lost) = outbox.next("a").map(|(message, lost)| (message.id.clone(), lost)).unwrap();
        assert_eq!((first.as_str(), lost), ("3", 3));
        outbox.told("a", "3", 3);
        assert_eq!(outbox.next("a").map(|(message, lost)| (message.id.as_str(), lost)), Some(("4", 0)));
        assert!(!outbox.keep_channels(&["a".to_owned()]) && outbox.keep_channels(&[]) && outbox.is_empty());
    }
}
