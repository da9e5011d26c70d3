//! Gathering what hangs together: the facts that can matter to each other, their rows, and what they are beside.
//!
//! Two facts hang together if they share a [`Link`] other than a plate: a stay id, a request, a void of one of them. On a plate
//! they matter to each other only where a stay of one is open when the other begins. So of a plate no more is gathered than
//! what is open when one of the facts acts, and what began while one of their stays was open. The next stay on the plate is a
//! [`Neighbour`]: as long as it begins as it did, nothing after it can differ.
//!
//! So what a fact costs depends on what it touches, and not on how often its car came before or since. What is gathered has the
//! same rows alone as among all facts; `tests/ledger_properties.rs` holds it against [`resolve`](crate::domain::stay::resolve)
//! of everything there is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::domain::anomaly::Anomaly;
use crate::domain::event::{Body, Event};
use crate::domain::hash::HashSet;
use crate::domain::ids::{FactId, Hlc};
use crate::domain::money::Vnd;
use crate::domain::plate::PlateId;
use crate::domain::row::{StayRow, StayStatus};
use crate::domain::stay::{
    Fact, Folded, Link, Neighbour, PASSAGE_WINDOW_MS, Prepared, REQUEST_WINDOW_MS, links, same_request,
};

use super::storage::{EventRef, Lookup, StoredStay};

/// All clocks.
pub const EVER: RangeInclusive<Hlc> = Hlc::MIN..=Hlc::MAX;
/// Rows of a plate looked at, at once, for the first that is not gathered.
const ROWS_AT_ONCE: usize = 4;
/// Rows of a plate gathered at once where one is known to matter: twice as many each time, up to this.
const MOST_ROWS_AT_ONCE: usize = 1024;

/// The key loose facts are found by under a link, if the link has one. Requests are found without.
pub fn loose_key(link: &Link) -> Option<String> {
    match link {
        Link::Stay(stay_id) => Some(format!("s:{stay_id}")),
        Link::Plate(plate) => Some(format!("p:{plate}")),
        Link::Fact(id) => Some(format!("f:{id}")),
        Link::Exit { second, fee } => Some(format!("x:{second}/{}", fee.0)),
        Link::Request(_) => None,
    }
}

/// The key of facts that were skipped at their place on a plate: no row says where that is.
pub fn skipped_key(plate: &PlateId) -> String {
    format!("q:{plate}")
}

/// The key of exits that found no stay to end at their place on a plate.
pub fn stray_key(plate: &PlateId) -> String {
    format!("d:{plate}")
}

/// Facts and rows that hang together.
#[derive(Debug, Default)]
pub struct Component {
    pub facts: BTreeMap<FactId, Fact>,
    /// By stay id.
    pub rows: BTreeMap<String, StoredStay>,
    /// Those of the facts that no row leads to.
    pub loose: BTreeSet<FactId>,
    /// What comes next on the plates.
    pub neighbours: Vec<Neighbour>,
    /// Their rows, in the same order.
    beside: Vec<StoredStay>,
    /// Facts that count as not held.
    without: HashSet<FactId>,
    followed: HashSet<Link>,
    /// Skipped facts of these plates are among the facts.
    plates: HashSet<PlateId>,
    /// The stays that ended in these seconds with these fees are among the rows.
    ends: HashSet<(i64, Vnd)>,
    /// Rows to gather at once.
    reach: usize,
}

/// What still has to be followed.
#[derive(Default)]
struct Leads {
    links: Vec<Link>,
    requests: Vec<Arc<Event>>,
}

impl Leads {
    fn of(facts: &[Fact]) -> Self {
        let links = facts.iter().flat_map(links).collect();
        Self { links, requests: facts.iter().map(|fact| fact.event.clone()).collect() }
    }
}

/// Where facts act on a plate.
type Places<'f> = BTreeMap<Hlc, Acting<'f>>;

/// What acts at one place.
#[derive(Default)]
struct Acting<'f> {
    facts: BTreeSet<&'f FactId>,
    /// An exit that a program told is among it, which may tell the passage before it again.
    told: bool,
}

/// What is beside the facts and may matter.
#[derive(Default)]
struct Neighbours {
    /// What has to be gathered.
    missing: Vec<StoredStay>,
    replacing: Vec<Replacing>,
    /// The exits that found no stay to end where one of ours may be open.
    strays: Vec<EventRef>,
}

/// A row that replaced one outside, which stays as it is only as long as this one begins as it did.
struct Replacing {
    entry: FactId,
    plate: PlateId,
    left: StoredStay,
}

impl Component {
    /// All that hangs together with some facts which are not held yet, and how those and these fold. `without` are the facts
    /// that count as not held; `with` gives the facts there are afterwards.
    ///
    /// # Errors
    /// Those of what is looked up.
    pub fn of_new<H: Lookup>(
        held: &mut H,
        new: &[Fact],
        without: HashSet<FactId>,
        with: impl Fn(&Self) -> Vec<Fact>,
    ) -> Result<(Self, Folded, Folded), H::Error> {
        let mut component = Self { without, reach: 1, ..Self::default() };
        component.follow(held, Leads::of(new))?;
        let (before, after) = component.close(held, with)?;
        debug_assert!(before.disturbed.is_empty(), "settled neighbours begin as they did");
        Ok((component, before, after))
    }

    /// All that hangs together with a row, with the stays it replaced and was replaced by.
    ///
    /// # Errors
    /// Those of what is looked up.
    pub fn around<H: Lookup>(held: &mut H, row: &StayRow) -> Result<Self, H::Error> {
        let mut component = Self { reach: 1, ..Self::default() };
        let entry = fact_of(held, &row.entry_fact)?;
        component.follow(held, Leads::of(entry.as_slice()))?;
        let was_left = |row: &StayRow| row.anomalies.contains(&Anomaly::LeftUnseen);
        let mut others = held.last_begun(&row.plate_id, row.entry_hlc)?;
        others.retain(|before| was_left(&before.row));
        if was_left(row) {
            let next = held.begun_since(&row.plate_id, row.entry_hlc, ROWS_AT_ONCE)?.into_iter();
            let mut next = next.filter(|next| next.row.entry_fact != row.entry_fact);
            others.extend(next.find(|next| next.row.status != StayStatus::Superseded));
        }
        component.take(held, others)?;
        component.close(held, Self::held_facts)?;
        Ok(component)
    }

    /// The facts about a stay id that has no row.
    ///
    /// # Errors
    /// Those of what is looked up.
    pub fn naming<H: Lookup>(held: &mut H, stay: Link) -> Result<Self, H::Error> {
        let mut component = Self { reach: 1, ..Self::default() };
        component.follow(held, Leads { links: vec![stay], requests: Vec::new() })?;
        component.close(held, Self::held_facts)?;
        Ok(component)
    }

    /// The facts that were gathered.
    pub fn held_facts(&self) -> Vec<Fact> {
        self.facts.values().cloned().collect()
    }

    /// Gathers until nothing outside can matter, and folds what is held and what is there afterwards.
    fn close<H: Lookup>(
        &mut self,
        held: &mut H,
        with: impl Fn(&Self) -> Vec<Fact>,
    ) -> Result<(Folded, Folded), H::Error> {
        loop {
            let (held_facts, facts) = (self.held_facts(), with(self));
            let (before, after) = (Prepared::of(&held_facts), Prepared::of(&facts));
            let given = before.given_ids().filter(|id| !self.rows.contains_key(*id)).map(ToOwned::to_owned);
            let given: Vec<String> = given.collect();
            if self.take_stays(held, &given)? {
                continue;
            }
            if self.take_ended(held, before.exits_by_plate().chain(after.exits_by_plate()))? {
                continue;
            }
            let mut places: BTreeMap<&PlateId, Places<'_>> = BTreeMap::new();
            for (plate, fact) in before.places().chain(after.places()) {
                let acting = places.entry(plate).or_default().entry(fact.event.hlc).or_default();
                acting.facts.insert(&fact.id);
                acting.told |= matches!(&fact.event.body, Body::Exit(exit) if exit.told);
            }
            if self.take_skipped(held, places.keys().copied())? {
                continue;
            }
            let Neighbours { missing, replacing, strays } = self.look_beside(held, &places)?;
            if !missing.is_empty() {
                self.take(held, missing)?;
                continue;
            }
            if self.take_strays(held, &strays)? {
                continue;
            }
            let (before, after) = (before.fold(&self.neighbours), after.fold(&self.neighbours));
            let mut missing = Vec::new();
            let disturbed: HashSet<&FactId> = before.disturbed.iter().chain(&after.disturbed).collect();
            for stored in self.beside.iter().filter(|stored| disturbed.contains(&stored.row.entry_fact)) {
                missing.push(stored.clone());
                missing.extend(held.begun_since(&stored.row.plate_id, stored.row.entry_hlc, self.reach)?);
            }
            missing.extend(replacing.into_iter().filter(|r| !begins(&after, r)).map(|replacing| replacing.left));
            for stray in before.strays.iter().chain(&after.strays) {
                // What began at the same clock came before or after it.
                for at in [stray.at, Hlc::next(0, Some(stray.at))] {
                    missing.extend(self.open_at(held, &stray.plate, at, Some(stray.clock))?);
                }
            }
            if missing.is_empty() {
                return Ok((before, after));
            }
            self.take(held, missing)?;
        }
    }

    /// Finds the neighbours of what acts at some places, and what has to be gathered too: what is open there, and what was
    /// superseded by what began there.
    fn look_beside<H: Lookup>(
        &mut self,
        held: &mut H,
        places: &BTreeMap<&PlateId, Places<'_>>,
    ) -> Result<Neighbours, H::Error> {
        let Neighbours { mut missing, mut replacing, mut strays } = Neighbours::default();
        self.neighbours.clear();
        self.beside.clear();
        for (plate, clocks) in places {
            let mut from = clocks.first_key_value();
            while let Some((&clock, acting)) = from {
                let mut next = self.next_beside(held, plate, clock)?;
                let at = next.first().map(|next| next.row.entry_hlc);
                let until = at.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                strays.extend(held.loose_facts(&stray_key(plate), clock..=at.unwrap_or(Hlc::MAX))?);
                let mut until_next = clocks.range((std::ops::Bound::Included(clock), until));
                let told = until_next.find(|(_, acting)| acting.told).map(|(told, _)| *told);
                // What comes next may be an exit that tells again what ended before ours, as soon as none of ours is in between.
                let told = told.or(at.filter(|_| next.iter().any(|next| next.row.is_exit_alone())));
                for open in self.open_at(held, plate, clock, told)? {
                    // What else acts at the same clock may concern the stay before it is replaced.
                    match self.replacing(plate, clock, &open).filter(|_| acting.facts.len() == 1) {
                        Some(entry) => {
                            replacing.push(Replacing { entry, plate: (*plate).clone(), left: open });
                        }
                        None => missing.push(open),
                    }
                }
                let Some(at) = at else { break };
                let matters = |next: &StoredStay| next.row.status == StayStatus::Superseded;
                if clocks.contains_key(&at) || next.len() > 1 || next.iter().any(matters) {
                    missing.append(&mut next);
                    missing.extend(held.begun_since(plate, at, self.reach)?);
                }
                for stored in next {
                    if let Some(fact) = fact_of(held, &stored.row.entry_fact)? {
                        self.neighbours.push(Neighbour { fact, plate: (*plate).clone() });
                        self.beside.push(stored);
                    }
                }
                from = clocks.range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded)).next();
            }
        }
        Ok(Neighbours { missing, replacing, strays })
    }

    /// The stay outside that is open on a plate when something of ours begins there, or whose passage out may be told again behind it;
    /// `told`: when ours first tells one.
    fn open_at<H: Lookup>(
        &mut self,
        held: &mut H,
        plate: &PlateId,
        clock: Hlc,
        told: Option<Hlc>,
    ) -> Result<Vec<StoredStay>, H::Error> {
        let mut open = Vec::new();
        let mut last = held.last_begun(plate, clock)?;
        // One of ours that began a moment before may come to be void: then what ended before it ended last.
        let is_ours = |last: &StoredStay| self.rows.contains_key(&last.row.stay_id);
        while let Some(begun) = last.first().filter(|_| last.iter().all(is_ours)).map(|last| last.row.entry_hlc)
            && begun.ms() >= clock.ms() - PASSAGE_WINDOW_MS
        {
            last = held.last_begun(plate, begun)?;
        }
        for last in last {
            let row = &last.row;
            let is_near = row.last_hlc.ms() >= clock.ms() - PASSAGE_WINDOW_MS;
            let stands = match row.exit.as_ref().filter(|_| is_near) {
                Some(exit) => fact_of(held, &exit.fact)?.is_some_and(|fact| is_in_place_of_told(&fact)),
                None => false,
            };
            let told_again = (stands || row.anomalies.contains(&Anomaly::DoubleExit)).then_some(clock).or(told);
            let since =
                |end: Hlc| end >= clock || told_again.is_some_and(|again| end.ms() >= again.ms() - PASSAGE_WINDOW_MS);
            let is_open = match &row.exit {
                _ if self.rows.contains_key(&row.stay_id) => false,
                _ if row.is_exit_alone() && told_again.is_none() => false,
                // Until the next stay began, and that did not before.
                _ if row.anomalies.contains(&Anomaly::LeftUnseen) => true,
                None => true,
                Some(_) if !since(row.last_hlc) => false,
                // Of one that names another stay the place is where that allows it, see `FoldKey`.
                Some(exit) => fact_of(held, &exit.fact)?.is_none_or(|exit| {
                    since(exit.event.hlc) || exit.event.exit_stay().is_some_and(|named| named != row.stay_id)
                }),
            };
            if is_open {
                open.push(last);
            }
        }
        Ok(open)
    }

    /// The entry of the row of ours that begins here, if it ended `left` by beginning.
    fn replacing(&self, plate: &PlateId, clock: Hlc, left: &StoredStay) -> Option<FactId> {
        if !left.row.anomalies.contains(&Anomaly::LeftUnseen) {
            return None;
        }
        let begun = |row: &StayRow| row.plate_id == *plate && row.entry_hlc == clock && is_opened(row);
        self.rows.values().map(|stored| &stored.row).find(|row| begun(row)).map(|row| row.entry_fact.clone())
    }

    /// The first row of a plate from a clock on that is not gathered: more than one if they have the same clock.
    fn next_beside<H: Lookup>(
        &mut self,
        held: &mut H,
        plate: &PlateId,
        clock: Hlc,
    ) -> Result<Vec<StoredStay>, H::Error> {
        let mut most = ROWS_AT_ONCE;
        loop {
            let mut rows = held.begun_since(plate, clock, most)?;
            let (found, last) = (rows.len(), rows.last().map(|last| last.row.entry_hlc));
            rows.retain(|next| !self.rows.contains_key(&next.row.stay_id));
            let first = rows.first().map(|next| next.row.entry_hlc);
            if found < most || (first.is_some() && first != last) {
                rows.retain(|next| Some(next.row.entry_hlc) == first);
                return Ok(rows);
            }
            most *= 4;
        }
    }

    /// Gathers rows, and all that is linked to them.
    fn take<H: Lookup>(&mut self, held: &mut H, rows: Vec<StoredStay>) -> Result<(), H::Error> {
        self.reach = (self.reach * 2).min(MOST_ROWS_AT_ONCE);
        let mut leads = Leads::default();
        for row in rows {
            self.add_row(held, row, &mut leads)?;
        }
        self.follow(held, leads)
    }

    /// Gathers the rows of some stays; whether there was one.
    fn take_stays<H: Lookup>(&mut self, held: &mut H, stay_ids: &[String]) -> Result<bool, H::Error> {
        let mut leads = Leads::default();
        let mut found = false;
        for stay_id in stay_ids {
            if let Some(stored) = held.stay(stay_id)? {
                found = true;
                self.add_row(held, stored, &mut leads)?;
            }
        }
        self.follow(held, leads)?;
        Ok(found)
    }

    /// Gathers the stays whose exits some others, told by plate, may tell again; whether there was one.
    fn take_ended<'f, H: Lookup>(
        &mut self,
        held: &mut H,
        exits: impl Iterator<Item = &'f Fact>,
    ) -> Result<bool, H::Error> {
        let mut ended = Vec::new();
        for link in exits.flat_map(links) {
            if let Link::Exit { second, fee } = link
                && self.ends.insert((second, fee))
            {
                ended.extend(held.ended_in(second, fee)?);
            }
        }
        ended.retain(|stored| !self.rows.contains_key(&stored.row.stay_id));
        let found = !ended.is_empty();
        self.take(held, ended)?;
        Ok(found)
    }

    /// Gathers what was skipped on plates; whether there was anything.
    fn take_skipped<'p, H: Lookup>(
        &mut self,
        held: &mut H,
        plates: impl Iterator<Item = &'p PlateId>,
    ) -> Result<bool, H::Error> {
        let mut leads = Leads::default();
        let before = self.facts.len();
        for plate in plates {
            if self.plates.insert(plate.clone()) {
                let places = held.loose_facts(&skipped_key(plate), EVER)?;
                self.add_loose(facts_at(held, &places)?, &mut leads);
            }
        }
        self.follow(held, leads)?;
        Ok(self.facts.len() > before)
    }

    /// Gathers exits that found no stay to end; whether one was not gathered yet.
    fn take_strays<H: Lookup>(&mut self, held: &mut H, strays: &[EventRef]) -> Result<bool, H::Error> {
        let mut leads = Leads::default();
        let before = self.facts.len();
        self.add_loose(facts_at(held, strays)?, &mut leads);
        self.follow(held, leads)?;
        Ok(self.facts.len() > before)
    }

    fn add_row<H: Lookup>(&mut self, held: &mut H, stored: StoredStay, leads: &mut Leads) -> Result<(), H::Error> {
        let mut rows = vec![stored];
        while let Some(stored) = rows.pop() {
            if self.rows.contains_key(&stored.row.stay_id) {
                continue;
            }
            for id in slots(&stored.row) {
                if !self.facts.contains_key(id)
                    && let Some(fact) = fact_of(held, id)?
                {
                    self.add_fact(fact, leads);
                }
            }
            if let Some(by) = &stored.row.superseded_by {
                rows.extend(held.stay(by)?);
            }
            self.rows.insert(stored.row.stay_id.clone(), stored);
        }
        Ok(())
    }

    fn add_loose(&mut self, facts: Vec<Fact>, leads: &mut Leads) {
        for fact in facts {
            if !self.without.contains(&fact.id) {
                self.loose.insert(fact.id.clone());
                self.add_fact(fact, leads);
            }
        }
    }

    fn add_fact(&mut self, fact: Fact, leads: &mut Leads) {
        if !self.without.contains(&fact.id) && !self.facts.contains_key(&fact.id) {
            leads.links.extend(links(&fact));
            leads.requests.push(fact.event.clone());
            self.facts.insert(fact.id.clone(), fact);
        }
    }

    fn follow<H: Lookup>(&mut self, held: &mut H, mut leads: Leads) -> Result<(), H::Error> {
        loop {
            if let Some(event) = leads.requests.pop() {
                for fact in repeats_of(held, &event)? {
                    self.add_fact(fact, &mut leads);
                }
                continue;
            }
            let Some(link) = leads.links.pop() else { return Ok(()) };
            if matches!(link, Link::Plate(_) | Link::Request(_)) || !self.followed.insert(link.clone()) {
                continue;
            }
            if let Link::Stay(stay_id) = &link
                && let Some(stored) = held.stay(stay_id)?
            {
                self.add_row(held, stored, &mut leads)?;
            }
            self.add_loose(loose_under(held, &link)?, &mut leads);
            // A void names it. It may be of no stay, or stored and not yet applied, so that it is not taken from here: if it was
            // applied, what it concerns leads to it.
            if let Link::Fact(id) = &link
                && !self.facts.contains_key(id)
                && !self.without.contains(id)
                && let Some(fact) = fact_of(held, id)?
            {
                leads.links.extend(links(&fact));
                leads.requests.push(fact.event);
            }
        }
    }
}

fn is_opened(row: &StayRow) -> bool {
    matches!(row.status, StayStatus::In | StayStatus::Out | StayStatus::LeftUnseen) && !row.is_exit_alone()
}

/// Whether an entry opens a stay of the plate.
fn begins(folded: &Folded, replacing: &Replacing) -> bool {
    let is_it = |row: &StayRow| row.entry_fact == replacing.entry && row.plate_id == replacing.plate;
    folded.resolution.rows.iter().any(|row| is_it(row) && is_opened(row))
}

/// The applied facts that answer the same request as an event, which may be among them.
///
/// # Errors
/// Those of what is looked up.
pub fn repeats_of<H: Lookup>(held: &mut H, event: &Event) -> Result<Vec<Fact>, H::Error> {
    let Some((edge_id, request_id)) = event.request() else { return Ok(Vec::new()) };
    let clock_ms = event.hlc.ms();
    let clocks_ms = (clock_ms - REQUEST_WINDOW_MS, clock_ms.saturating_add(REQUEST_WINDOW_MS));
    let places = held.events_of_request(edge_id, request_id, clocks_ms)?;
    let mut facts = facts_at(held, &places)?;
    facts.retain(|fact| same_request(&fact.event, event));
    Ok(facts)
}

/// The loose facts under a link.
///
/// # Errors
/// Those of what is looked up.
pub fn loose_under<H: Lookup>(held: &mut H, link: &Link) -> Result<Vec<Fact>, H::Error> {
    let Some(key) = loose_key(link) else { return Ok(Vec::new()) };
    let places = held.loose_facts(&key, EVER)?;
    facts_at(held, &places)
}

/// The facts that lie at some places; those that cannot be read are left out.
///
/// # Errors
/// Those of what is looked up.
pub fn facts_at<H: Lookup>(held: &mut H, places: &[EventRef]) -> Result<Vec<Fact>, H::Error> {
    let mut facts = Vec::with_capacity(places.len());
    for at in places {
        facts.extend(held.fact(at)?);
    }
    Ok(facts)
}

pub(super) fn fact_of<H: Lookup>(held: &mut H, id: &FactId) -> Result<Option<Fact>, H::Error> {
    match id {
        FactId::Authored { log, seq } => held.fact(&EventRef { log: log.clone(), seq: *seq }),
        // Several may have heard it; the lowest is the fact.
        FactId::Heard(digest) => {
            let places = held.events_of_heard(digest)?;
            Ok(facts_at(held, &places)?.into_iter().min_by(|a, b| a.copy_order().cmp(&b.copy_order())))
        }
    }
}

/// The facts a row names.
pub(super) fn slots(row: &StayRow) -> impl Iterator<Item = &FactId> {
    let exit = row.exit.as_ref().map(|exit| &exit.fact);
    [Some(&row.entry_fact), row.confirm_fact.as_ref(), exit].into_iter().flatten()
}

/// Whether a passage was told by two exits, of which this one counts.
pub(super) fn is_in_place_of_told(fact: &Fact) -> bool {
    matches!(&fact.event.body, Body::Exit(exit) if exit.in_place_of_told)
}
