//! The table a demo shows: one line for each central. Pure, so that it can be read in a test.

use std::fmt::Write as _;

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
#[must_use]
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
#[must_use]
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
#[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
