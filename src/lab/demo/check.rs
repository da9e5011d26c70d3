//! The end of a demo: wait until all centrals have everything, then compare their histories row by row.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::DemoError;
use super::watch::{Standing, Watch};
use crate::lab::caller::Caller;
use crate::lab::client::Address;
use crate::lab::compare::{Snapshot, difference};

/// How long the centrals may take to agree once all is healed.
const AGREE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long one page may take.
const PATIENCE: Duration = Duration::from_secs(10);
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
    let mut caller = Caller::new(address.clone(), PATIENCE);
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
