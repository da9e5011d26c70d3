//! How every central of a demo stands: asked, shown as a table with one line for each, and compared at the end, once all have
//! everything.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use super::DemoError;
use crate::lab::client::{Address, Caller, ClientError};
use crate::lab::compare::{Snapshot, difference};

/// How long a central may take to answer before its line says that it does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches one central.
#[derive(Debug)]
struct Watched {
    id: String,
    address: Address,
    caller: Caller,
    /// The events it held when it was asked last.
    before: Option<(Instant, i64)>,
}

/// Watches all of them.
#[derive(Debug)]
pub struct Watch(Vec<Watched>);

/// What must be equal between centrals at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: String,
    /// Events held.
    pub events: i64,
    /// The digest of the history; empty if the central gives none.
    pub digest: String,
    /// Every peer is linked.
    pub linked: bool,
}

impl Watch {
    pub fn new(centrals: impl IntoIterator<Item = (String, Address)>) -> Self {
        let watched = |(id, address): (String, Address)| Watched {
            id,
            caller: Caller::new(address.clone(), PATIENCE),
            address,
            before: None,
        };
        Self(centrals.into_iter().map(watched).collect())
    }

    /// The lines of the table.
    pub async fn lines(&mut self) -> Vec<Line> {
        join_all(self.0.iter_mut().map(Watched::line)).await
    }

    /// How all stand; an error if one of them does not answer.
    pub async fn standings(&mut self) -> Result<Vec<Standing>, ClientError> {
        join_all(self.0.iter_mut().map(Watched::standing)).await.into_iter().collect()
    }
}

impl Watched {
    async fn line(&mut self) -> Line {
        let figures = self.figures().await.ok();
        if figures.is_none() {
            self.before = None;
        }
        Line { id: self.id.clone(), url: format!("http://{}", self.address.authority), figures }
    }

    #[expect(clippy::cast_precision_loss, reason = "events of one second are far below 2^52")]
    async fn figures(&mut self) -> Result<Figures, ClientError> {
        let stats = self.caller.get("/api/stats").await?;
        let status = self.caller.get("/api/p2p/status").await?;
        let (now, events) = (Instant::now(), status.number("events"));
        let events_per_s = self.before.map_or(0.0, |(then, before)| {
            events.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
        });
        self.before = Some((now, events));
        let peers = status.body.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Figures {
            inside: stats.number("vehicles_in_parking"),
            events_per_s,
            revenue_today_vnd: stats.number("revenue_today"),
            linked: status.number("connected_peers"),
            peers: status.number("total_peers"),
            lag: peers.iter().map(lag_of).collect(),
        })
    }

    async fn standing(&mut self) -> Result<Standing, ClientError> {
        let status = self.caller.get("/api/p2p/status").await?;
        Ok(Standing {
            id: self.id.clone(),
            events: status.number("events"),
            digest: status.text("digest").to_owned(),
            linked: status.number("connected_peers") == status.number("total_peers"),
        })
    }
}

fn lag_of(peer: &Value) -> (String, Option<i64>) {
    let id = peer.get("peer_id").and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |field: &str| peer.get(field).and_then(Value::as_i64);
    let connected = peer.get("connected").and_then(Value::as_bool).unwrap_or_default();
    let lag = number("we_lack_events").max(number("it_lacks_events"));
    (id, lag.filter(|_| connected))
}

/// What a line shows of one central.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    pub id: String,
    /// Its page.
    pub url: String,
    /// `None`: it did not answer.
    pub figures: Option<Figures>,
}

/// What a central says about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub inside: i64,
    /// Events committed here in a real second, its own and those of others.
    pub events_per_s: f64,
    pub revenue_today_vnd: i64,
    pub linked: i64,
    pub peers: i64,
    /// Events a peer has and this central lacks, or the other way round, whichever is more: `(peer, events)`; `None`:
    /// no link, or not known yet.
    pub lag: Vec<(String, Option<i64>)>,
}

/// The whole table: a headline, a line for each central, a last line with what happens to the links.
pub fn table(site_time: &str, elapsed_s: u64, lines: &[Line], weather: &str) -> String {
    let mut text = format!("site time {site_time}   {elapsed_s} s\n");
    let _ = writeln!(
        text,
        "{:<11} {:<22} {:>7} {:>9} {:>7} {:>15}  lag to each peer",
        "central", "page", "inside", "events/s", "links", "revenue today"
    );
    for line in lines {
        let _ = write!(text, "{:<11} {:<22} ", line.id, line.url);
        match &line.figures {
            None => text.push_str("does not answer"),
            Some(figures) => {
                let _ = write!(
                    text,
                    "{:>7} {:>9.1} {:>7} {:>15}  {}",
                    figures.inside,
                    figures.events_per_s,
                    format!("{}/{}", figures.linked, figures.peers),
                    format!("{} đ", thousands(figures.revenue_today_vnd)),
                    lag(&figures.lag),
                );
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "links: {weather}");
    text
}

/// One line for a log file.
pub fn one_line(site_time: &str, elapsed_s: u64, lines: &[Line], weather: &str) -> String {
    let mut text = format!("{elapsed_s} s, site time {site_time}, links: {weather}");
    for line in lines {
        let _ = match &line.figures {
            None => write!(text, "; {} does not answer", line.id),
            Some(figures) => write!(
                text,
                "; {} {} inside {:.0} events/s {}/{} links lag {} {} đ",
                line.id,
                figures.inside,
                figures.events_per_s,
                figures.linked,
                figures.peers,
                lag(&figures.lag),
                thousands(figures.revenue_today_vnd),
            ),
        };
    }
    text
}

/// `2:0 3:-` for peers central-2 and central-3.
fn lag(peers: &[(String, Option<i64>)]) -> String {
    let short = |id: &str| id.strip_prefix("central-").unwrap_or(id).to_owned();
    let shown: Vec<String> = peers
        .iter()
        .map(|(id, events)| format!("{}:{}", short(id), events.map_or_else(|| "-".to_owned(), |n| n.to_string())))
        .collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(" ") }
}

/// `1.800.000`, as amounts are written in Vietnam.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// How long the centrals may take to agree once all is healed.
const AGREE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long one page may take.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// Rows asked for at once.
const PAGE: usize = 1_000;

/// Waits until all centrals are linked, hold the same and show the same rows; gives how many and how long it took.
///
/// # Errors
/// A sentence with what differs, if something still does after a minute.
pub async fn wait_until_equal(
    watch: &mut Watch,
    centrals: &[(String, Address)],
    acknowledged: &[String],
) -> Result<(usize, Duration), String> {
    let start = Instant::now();
    loop {
        let standings = watch.standings().await.map_err(|error| error.to_string());
        let why = match standings.and_then(|standings| apart(&standings).map_or(Ok(()), Err)) {
            Ok(()) => match compare(centrals, acknowledged).await {
                Ok(rows) => return Ok((rows, start.elapsed())),
                Err(why) => why,
            },
            Err(why) => why,
        };
        if start.elapsed() > AGREE_WITHIN {
            return Err(format!("after {} s without traffic and with all links open: {why}", AGREE_WITHIN.as_secs()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Why the centrals do not agree yet.
fn apart(standings: &[Standing]) -> Option<String> {
    if let Some(unlinked) = standings.iter().find(|standing| !standing.linked) {
        return Some(format!("{} is not linked with all its peers", unlinked.id));
    }
    let first = standings.first()?;
    let other = standings.iter().find(|other| (other.events, &other.digest) != (first.events, &first.digest))?;
    let show = |standing: &Standing| {
        format!("{} has {} events and digest {:.8}", standing.id, standing.events, standing.digest)
    };
    Some(format!("{}; {}", show(first), show(other)))
}

/// Reads the whole histories and compares them; gives the number of rows, or names the first differences, or an
/// acknowledged entry that is not there.
async fn compare(centrals: &[(String, Address)], acknowledged: &[String]) -> Result<usize, String> {
    let mut first: Option<(&str, Snapshot)> = None;
    for (id, address) in centrals {
        let history = whole_history(address).await.map_err(|error| format!("history of {id}: {error}"))?;
        if let Some(missing) = acknowledged.iter().find(|event_id| history.row(event_id).is_none()) {
            return Err(format!("{missing} was acknowledged and is not in the history of {id}"));
        }
        match &first {
            None => first = Some((id, history)),
            Some((first_id, first)) => {
                if let Some(words) = difference((first_id, first), (id, &history)) {
                    return Err(words);
                }
            }
        }
    }
    Ok(first.map_or(0, |(_, history)| history.len()))
}

async fn whole_history(address: &Address) -> Result<Snapshot, DemoError> {
    let mut caller = Caller::new(address.clone(), CHECK_PATIENCE);
    let mut history = Snapshot::default();
    let mut offset = 0;
    loop {
        let reply = caller.get(&format!("/api/parking/history?limit={PAGE}&offset={offset}")).await?;
        let Some(rows) = reply.body.get("history").and_then(Value::as_array).filter(|_| reply.is_success()) else {
            return Err(DemoError::Answer(format!("{} {}", reply.status, reply.body)));
        };
        if rows.is_empty() {
            return Ok(history);
        }
        offset += rows.len();
        rows.iter().for_each(|row| history.add(row.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lag_of_a_link_is_the_greater_of_both_ways_and_unknown_without_a_link() {
        let peer = |connected, ours: Value, its: Value| json!({"peer_id": "b", "connected": connected, "we_lack_events": ours, "it_lacks_events": its});
        assert_eq!(lag_of(&peer(true, json!(3), json!(5))), ("b".to_owned(), Some(5)));
        assert_eq!(lag_of(&peer(true, json!(3), Value::Null)).1, Some(3));
        assert_eq!(lag_of(&peer(false, json!(3), json!(5))).1, None);
    }

    #[test]
    fn amounts_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (25_000, "25.000"), (1_800_000, "1.800.000"), (-1_000, "-1.000")]
        {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_central_and_says_who_is_silent() {
        let figures = Figures {
            inside: 12,
            events_per_s: 3.25,
            revenue_today_vnd: 50_000,
            linked: 1,
            peers: 2,
            lag: vec![("central-2".into(), Some(4)), ("central-3".into(), None)],
        };
        let line = |id: &str, figures| Line { id: id.into(), url: "http://127.0.0.1:8101".into(), figures };
        let lines = [line("central-1", Some(figures)), line("central-2", None)];
        let text = table("07:30:00", 9, &lines, "all open");
        assert_eq!(text.lines().count(), 5);
        assert!(text.contains("50.000 đ") && text.contains("1/2") && text.contains("2:4 3:-"), "{text}");
        assert!(text.contains("does not answer") && text.ends_with("links: all open\n"), "{text}");
        let line = one_line("07:30:00", 9, &lines, "all open");
        assert!(!line.contains('\n') && line.contains("central-1 12 inside") && line.contains("central-2 does not"));
    }

    #[test]
    fn centrals_agree_only_when_linked_and_with_equal_digests() {
        let standing =
            |digest: &str, events, linked| Standing { id: "central-1".into(), events, digest: digest.into(), linked };
        assert_eq!(apart(&[standing("a", 1, true), standing("a", 1, true)]), None);
        for other in [standing("b", 1, true), standing("a", 2, true), standing("a", 1, false)] {
            assert!(apart(&[standing("a", 1, true), other]).is_some());
        }
    }
}
