//! Syncs that take longer, by `strace`.

use std::process::{Child, Command, Stdio};

/// What is traced, and what is done to it: each sync ends so many µs later.
fn arguments(us: u32) -> [String; 7] {
    let delay = format!("inject=fdatasync,fsync:delay_exit={us}");
    ["-f", "-qq", "-e", "trace=fdatasync,fsync", "-e", &delay, "-o/dev/null"].map(str::to_owned)
}

/// `strace` beside a process that runs, whose other calls it slows too; it lets go when dropped.
pub struct SlowSyncs(Child);

impl SlowSyncs {
    pub fn of(process: u32, us: u32) -> Result<Self, String> {
        is_there()?;
        let mut strace = Command::new("strace");
        strace.args(arguments(us)).arg("-p").arg(process.to_string()).stderr(Stdio::null());
        strace.spawn().map(Self).map_err(|error| error.to_string())
    }
}

impl Drop for SlowSyncs {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn is_there() -> Result<(), String> {
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    asked.map(drop).map_err(|error| format!("strace: {error}"))
}
