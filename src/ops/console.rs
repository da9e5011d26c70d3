//! The notice on the machine's own console while nobody administers this central.
//!
//! A PC without a keyboard's owner shows its console to whoever stands before it, and to nobody else. The login prompt
//! prints `/etc/issue.d/*.issue`; the Debian package links one of them to [`NOTICE`] in the service's runtime directory.

use std::io;
use std::path::PathBuf;

use log::warn;

const NOTICE: &str = "console.issue";

/// Shows a text above the login prompt until [`take_down`]. Does nothing where no service manager made a runtime directory.
pub fn show(text: &str) {
    tell(place().map_or(Ok(()), |file| std::fs::write(file, text)));
}

/// Takes the notice down, if there is one.
pub fn take_down() {
    let removed = place().map_or(Ok(()), std::fs::remove_file);
    tell(removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }));
}

/// `RUNTIME_DIRECTORY` is set by systemd for a unit with `RuntimeDirectory=`, which alone may read it.
fn place() -> Option<PathBuf> {
    let directory = std::env::var_os("RUNTIME_DIRECTORY").filter(|directory| !directory.is_empty())?;
    Some(PathBuf::from(directory).join(NOTICE))
}

fn tell(done: io::Result<()>) {
    if let Err(error) = done {
        warn!(event = "console_notice_failed", error = error.to_string(); "the notice on the console could not be changed");
    }
}
