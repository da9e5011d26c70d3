//! Says what a start waits for, while nothing moves.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use log::warn;

use super::process;

/// How often a start that does not move says so.
const SAY_PERIOD: Duration = Duration::from_secs(10);

/// A start under way; dropped, it is over.
#[derive(Debug)]
pub struct StartWatch(Sender<String>);

impl StartWatch {
    /// Without a thread to be had the start goes on unwatched.
    #[must_use]
    pub fn begin(step: &str) -> Self {
        let (steps, told) = channel::<String>();
        let mut step = step.to_owned();
        let watch = move || {
            let mut since = Instant::now();
            loop {
                match told.recv_timeout(SAY_PERIOD) {
                    Ok(next) => (step, since) = (next, Instant::now()),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => say(&step, since.elapsed()),
                }
            }
        };
        drop(std::thread::Builder::new().name("start-watch".into()).spawn(watch));
        Self(steps)
    }

    /// What is done next, or how far it is.
    pub fn step(&self, step: impl Into<String>) {
        drop(self.0.send(step.into()));
    }
}

fn say(step: &str, waited: Duration) {
    let waited_s = waited.as_secs();
    warn!(event = "start_waits", step, waited_s; "the start waits for this");
    process::say_status(&format!("starting, {waited_s} s at: {step}"));
}
