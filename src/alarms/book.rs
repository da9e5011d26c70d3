//! When an alarm begins, is repeated and ends, and what was told of it: all that has to survive a power cut.
//!
//! - An alarm *begins* once it has lasted for its patience, and is told then, once. It *ends* once it has been well for [`CALM_MS`];
//!   what comes back before is the same alarm.
//! - Who told the beginning tells the end. One that begins [`MOST_PER_HOUR`] times within an hour is held back, and the next message
//!   says how often.
//! - Messages go into the outbox in the same step as the book notes that they did; both are written to the disk as one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::attention::{Attention, Situation};
use super::message::{Message, MessageKind, Voice, dong};
use super::outbox::Outbox;

/// How long something has to be well before it is told so.
pub const CALM_MS: i64 = 60_000;
/// How long something has to last that is nobody's silence: a commit that failed and the next that did not are no alarm.
const PATIENCE_MS: i64 = 10_000;
/// What is the site's is told by one central; in the first minute it is not known yet by which.
const SETTLED_MS: i64 = 60_000;
/// Beginnings of one alarm that are told within an hour.
const MOST_PER_HOUR: usize = 3;
const HOUR_MS: i64 = 60 * 60_000;
/// Something that is not known to be over is forgotten then: a camera that was taken down.
const FORGOTTEN_MS: i64 = 24 * HOUR_MS;
/// How long another central is waited for that has the first right to tell something.
const YIELD_MS: i64 = 5 * 60_000;
/// Oddities that are remembered as told.
const MAX_ODD: usize = 500;
const MAX_OPEN: usize = 300;
/// When an edge was heard is written down this coarsely.
const HEARD_STEP_MS: i64 = 10 * 60_000;
const MAX_EDGES: usize = 1_000;

/// How the settings want it.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The names of all that are told.
    pub channels: Vec<String>,
    /// A central or a camera is silent for so long before it is told.
    pub silence_ms: i64,
    /// What lasts is told again after so long; 0: never.
    pub repeat_ms: i64,
    /// What nobody wants to hear of.
    pub without: Vec<String>,
}

/// Something that happened once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// The same at every central.
    pub id: String,
    pub vietnamese: String,
    pub english: String,
}

/// The figures of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// The id of the site: somebody may be told of several.
    pub site_id: String,
    pub day: String,
    pub entries: i64,
    pub exits: i64,
    /// VND.
    pub revenue: i64,
    /// By way of payment: its name, VND.
    pub ways: Vec<(String, i64)>,
    pub inside: usize,
    /// Centrals whose figures may be missing.
    pub missing: Vec<String>,
}

/// Something that is, or was a moment ago, wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Episode {
    /// The same in all that is told of it.
    alarm: String,
    code: String,
    member: String,
    text: String,
    since_ms: i64,
    seen_ms: i64,
    well_ms: Option<i64>,
    /// When it was told last; `None`: not yet.
    told_ms: Option<i64>,
    #[serde(default)]
    repeats: u32,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    open: BTreeMap<String, Episode>,
    /// When alarms of a name were told to begin within the last hour, and how many were held back.
    begun: BTreeMap<String, (VecDeque<i64>, u32)>,
    pub outbox: Outbox,
    /// The last entry of the audit that was looked at.
    pub audit_seen: Option<i64>,
    /// Oddities by id: when they were seen first, and whether they are told or another's.
    odd: BTreeMap<String, (i64, bool)>,
    odd_begun: bool,
    /// When the last report was due that was told, or was another's.
    reported_ms: Option<i64>,
    /// When each edge said last that it lives: after a restart nobody would know that it had ever been there.
    pub heard: BTreeMap<String, i64>,
    /// Messages that had to go since these were taken.
    #[serde(skip)]
    pub dropped: Vec<String>,
}

impl Book {
    /// Takes in what is so now. True: something changed that is to be written down.
    pub fn look(&mut self, seen: &Situation, rules: &Rules, voice: &Voice<'_>) -> bool {
        let now_ms = seen.now_ms;
        let mut changed = self.bring_back(now_ms);
        changed |= self.hear_edges(seen);
        changed |= self.outbox.keep_channels(&rules.channels);
        let needs: BTreeMap<String, Attention> = seen
            .needs()
            .into_iter()
            .filter(|need| !rules.without.iter().any(|code| code == need.code))
            .map(|need| (need.key(), need))
            .collect();
        for (key, need) in &needs {
            changed |= self.lasts(key, need, seen, rules, voice);
        }
        let over: Vec<String> = self.open.keys().filter(|key| !needs.contains_key(*key)).cloned().collect();
        for key in over {
            changed |= self.rests(&key, seen, rules, voice);
        }
        self.begun.retain(|_, (times, held_back)| {
            times.retain(|at_ms| now_ms - at_ms < HOUR_MS);
            !times.is_empty() || *held_back > 0
        });
        changed
    }

    /// What was noted while the clock was ahead is of now: else it would be neither over nor due again until that date comes.
    fn bring_back(&mut self, now_ms: i64) -> bool {
        let mut noted: Vec<&mut i64> = self.reported_ms.iter_mut().chain(self.heard.values_mut()).collect();
        noted.extend(self.begun.values_mut().flat_map(|(times, _)| times));
        noted.extend(self.odd.values_mut().map(|(first_ms, _)| first_ms));
        for episode in self.open.values_mut() {
            noted.extend([&mut episode.since_ms, &mut episode.seen_ms]);
            noted.extend(episode.well_ms.iter_mut().chain(&mut episode.told_ms));
        }
        noted.retain(|noted_ms| **noted_ms > now_ms);
        let is_any = !noted.is_empty();
        noted.into_iter().for_each(|noted_ms| *noted_ms = now_ms);
        is_any
    }

    fn lasts(&mut self, key: &str, need: &Attention, seen: &Situation, rules: &Rules, voice: &Voice<'_>) -> bool {
        let now_ms = seen.now_ms;
        let mut changed = false;
        if !self.open.contains_key(key) {
            if self.open.len() >= MAX_OPEN {
                return false;
            }
            // A clock that was set makes nothing last longer than it was seen to, but silence.
            let since_ms = need.since_ms.unwrap_or(now_ms).min(now_ms);
            let episode = Episode {
                alarm: format!("{}/{key}/{now_ms}", voice.central),
                code: need.code.to_owned(),
                member: need.member.clone(),
                text: String::new(),
                since_ms,
                seen_ms: now_ms,
                well_ms: None,
                told_ms: None,
                repeats: 0,
            };
            self.open.insert(key.to_owned(), episode);
            changed = true;
        }
        let Some(episode) = self.open.get_mut(key) else { return changed };
        changed |= episode.well_ms.take().is_some();
        episode.text = voice.what(need);
        episode.seen_ms = now_ms;
        let is_silence = matches!(need.code, "peer" | "camera");
        let lasts_ms = now_ms.saturating_sub(episode.since_ms);
        let patience_ms = if is_silence { rules.silence_ms } else { PATIENCE_MS };
        let is_settled = need.seen_by.is_none() || now_ms.saturating_sub(seen.started_ms) >= SETTLED_MS;
        // Who wants to know of a certificate shown an hour ago was told when it was shown.
        let lasts_ms = if need.since_ms.is_some() && !is_silence { i64::MAX } else { lasts_ms };
        match episode.told_ms {
            None if lasts_ms >= patience_ms && is_settled && need.is_told_by(voice.central) => {
                self.begin(key, need, now_ms, rules, voice) || changed
            }
            Some(told_ms) if rules.repeat_ms > 0 && now_ms.saturating_sub(told_ms) >= rules.repeat_ms => {
                episode.told_ms = Some(now_ms);
                episode.repeats += 1;
                let span = voice.duration(now_ms - episode.since_ms);
                let text = voice.say(
                    format!("vẫn chưa xong ({span}): {}", voice.whole(need)),
                    format!("still so ({span}): {}", voice.whole(need)),
                );
                let id = format!("{}#still{}", episode.alarm, episode.repeats);
                let mut message = voice.message(MessageKind::Still, need.code, &episode.alarm, id, now_ms, &text);
                message.since_ms = Some(episode.since_ms);
                self.put(message, rules);
                true
            }
            _ => changed,
        }
    }

    fn begin(&mut self, key: &str, need: &Attention, now_ms: i64, rules: &Rules, voice: &Voice<'_>) -> bool {
        let Some(episode) = self.open.get_mut(key) else { return false };
        let (times, held_back) = self.begun.entry(key.to_owned()).or_default();
        if times.len() >= MOST_PER_HOUR {
            return false;
        }
        times.push_back(now_ms);
        let before = std::mem::take(held_back);
        episode.told_ms = Some(now_ms);
        let mut text = voice.whole(need);
        if before > 0 {
            text +=
                &voice.say(format!(" [{before} lần trước đó chưa báo]"), format!(" [{before} times before, not told]"));
        }
        let id = format!("{}#begin", episode.alarm);
        let mut message = voice.message(MessageKind::Begin, need.code, &episode.alarm, id, now_ms, &text);
        message.since_ms = Some(episode.since_ms);
        self.put(message, rules);
        true
    }

    /// It is not so now.
    fn rests(&mut self, key: &str, seen: &Situation, rules: &Rules, voice: &Voice<'_>) -> bool {
        let now_ms = seen.now_ms;
        let Some(episode) = self.open.get_mut(key) else { return false };
        let is_unwanted = rules.without.contains(&episode.code);
        if !is_unwanted && !seen.knows(&episode.code, &episode.member) {
            let is_forgotten = now_ms.saturating_sub(episode.seen_ms) > FORGOTTEN_MS;
            return is_forgotten && self.open.remove(key).is_some();
        }
        let well_ms = *episode.well_ms.get_or_insert(now_ms);
        if is_unwanted || episode.told_ms.is_none() || now_ms.saturating_sub(well_ms) >= CALM_MS {
            let held_back = self.begun.get(key).is_some_and(|(times, _)| times.len() >= MOST_PER_HOUR);
            let Some(episode) = self.open.remove(key) else { return false };
            if is_unwanted {
                return true;
            }
            if episode.told_ms.is_none() {
                if held_back && let Some((_, count)) = self.begun.get_mut(key) {
                    *count += 1;
                }
                return true;
            }
            let span = voice.duration(well_ms - episode.since_ms);
            let text = voice.say(
                format!("đã ổn sau {span}: {}", episode.text),
                format!("again well after {span}: {}", episode.text),
            );
            let id = format!("{}#end", episode.alarm);
            let mut message = voice.message(MessageKind::End, &episode.code, &episode.alarm, id, now_ms, &text);
            message.since_ms = Some(episode.since_ms);
            self.put(message, rules);
            return true;
        }
        well_ms == now_ms
    }

    /// Something happened at this central: told at once.
    pub fn happened(&mut self, code: &str, id: &str, at_ms: i64, text: &str, rules: &Rules, voice: &Voice<'_>) {
        if rules.without.iter().any(|unwanted| unwanted == code) {
            return;
        }
        let alarm = format!("{}/{code}/{id}", voice.central);
        self.put(voice.message(MessageKind::Event, code, &alarm, alarm.clone(), at_ms, text), rules);
    }

    /// Takes in the oddities of the last hours, which are the site's: `others` are the linked centrals that tell them too. True:
    /// something is to be written down.
    pub fn odd(
        &mut self,
        found: &[Oddity],
        others: &[String],
        seen: &Situation,
        rules: &Rules,
        voice: &Voice<'_>,
    ) -> bool {
        let now_ms = seen.now_ms;
        let is_first = !std::mem::replace(&mut self.odd_begun, true);
        let mut changed = is_first;
        let ids: BTreeSet<&str> = found.iter().map(|odd| odd.id.as_str()).collect();
        self.odd.retain(|id, _| ids.contains(id.as_str()));
        let is_mine = others.iter().all(|other| voice.central < other.as_str());
        let is_settled = now_ms.saturating_sub(seen.started_ms) >= SETTLED_MS;
        let mut told = Vec::new();
        for odd in found.iter().take(MAX_ODD) {
            let (first_ms, is_done) = self.odd.entry(odd.id.clone()).or_insert_with(|| {
                changed = true;
                // What was there before anybody was to be told is history.
                (now_ms, is_first)
            });
            if *is_done || !is_settled {
                continue;
            }
            // Another one tells it; if that one is gone it is told by who is then the first.
            *is_done = is_mine || now_ms.saturating_sub(*first_ms) >= YIELD_MS;
            changed |= *is_done;
            if is_mine && !rules.without.iter().any(|unwanted| unwanted == "odd") {
                let text = voice.say(odd.vietnamese.clone(), odd.english.clone());
                let alarm = format!("odd/{}", odd.id);
                told.push(voice.message(MessageKind::Event, "odd", &alarm, alarm.clone(), now_ms, &text));
            }
        }
        told.into_iter().for_each(|message| self.put(message, rules));
        changed
    }

    /// Whether the report that was due at `due_ms` is to be made by this central now. True as second: something is to be written down.
    pub fn report_is_due(
        &mut self,
        due_ms: i64,
        others: &[String],
        seen: &Situation,
        voice: &Voice<'_>,
    ) -> (bool, bool) {
        let Some(reported_ms) = self.reported_ms else {
            self.reported_ms = Some(due_ms);
            return (false, true);
        };
        if reported_ms >= due_ms || seen.now_ms.saturating_sub(seen.started_ms) < SETTLED_MS {
            return (false, false);
        }
        let is_mine = others.iter().all(|other| voice.central < other.as_str());
        if !is_mine && seen.now_ms.saturating_sub(due_ms) >= YIELD_MS {
            self.reported_ms = Some(due_ms);
            return (false, true);
        }
        (is_mine, false)
    }

    /// The report that was due then.
    pub fn report(&mut self, due_ms: i64, now_ms: i64, day: &Day, rules: &Rules, voice: &Voice<'_>) {
        self.reported_ms = Some(due_ms);
        let ways: Vec<String> =
            day.ways.iter().map(|(way, sum)| format!("{} {}", voice.way(way), dong(*sum))).collect();
        let ways = if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) };
        let (Day { entries, exits, inside, .. }, revenue) = (day, dong(day.revenue));
        let date = voice.day(&day.day);
        let mut text = voice.say(
            format!("ngày {date}: {entries} lượt vào, {exits} lượt ra, thu {revenue}{ways}. Trong bãi: {inside} xe."),
            format!("{date}: {entries} came in, {exits} left, {revenue} taken{ways}. Inside: {inside}."),
        );
        if !day.missing.is_empty() {
            let missing = day.missing.join(", ");
            text += &voice.say(
                format!(" Có thể thiếu số của {missing} (mất kết nối)."),
                format!(" Figures of {missing} may be missing (not linked)."),
            );
        }
        let id = format!("report/{}/{}", day.site_id, day.day);
        self.put(voice.message(MessageKind::Report, "report", &id, id.clone(), now_ms, &text), rules);
    }

    /// How many alarms people know of and that are not over.
    pub fn open(&self) -> usize {
        self.open.values().filter(|episode| episode.told_ms.is_some()).count()
    }

    fn put(&mut self, message: Message, rules: &Rules) {
        let dropped = self.outbox.put(message, &rules.channels);
        self.dropped.extend(dropped);
    }

    fn hear_edges(&mut self, seen: &Situation) -> bool {
        let mut changed = false;
        for edge in &seen.edges {
            let known = self.heard.get(&edge.id).copied();
            if known.is_none_or(|known| edge.lived_ms - known >= HEARD_STEP_MS) {
                self.heard.insert(edge.id.clone(), edge.lived_ms);
                changed = true;
            }
        }
        let before = self.heard.len();
        self.heard.retain(|_, lived_ms| seen.now_ms.saturating_sub(*lived_ms) <= FORGOTTEN_MS);
        while self.heard.len() > MAX_EDGES {
            self.heard.pop_first();
        }
        changed || before != self.heard.len()
    }
}

#[cfg(test)]
mod tests;
