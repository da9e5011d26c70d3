//! The table at the end: each figure, what it is set against, the ratio and its bar.

/// Whether a ratio has to be at least or at most its bar.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// Collects lines and prints them at once.
#[derive(Debug, Default)]
pub struct Table(Vec<String>);

impl Table {
    /// `measured`: in words; `ratio`: what is held against `bar`.
    pub fn line(&mut self, what: &str, measured: &str, ratio: f64, bar: Bar) {
        let (met, bar) = match bar {
            Bar::AtLeast(bar) => (ratio >= bar, format!(">= {bar}")),
            Bar::AtMost(bar) => (ratio <= bar, format!("<= {bar}")),
        };
        let mark = if met { "met" } else { "MISSED" };
        let line = format!("{what:<46} {measured:<44} {ratio:>9.3}  {bar:<9} {mark}");
        println!("{line}");
        self.0.push(line);
    }

    pub fn print(&self) {
        println!("\n{:<46} {:<44} {:>9}  bar", "quantity", "measured", "ratio");
        for line in &self.0 {
            println!("{line}");
        }
    }
}
