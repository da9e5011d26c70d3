//! Where a central keeps which site it belongs to: `DIR/site.json`.

use std::io;
use std::path::Path;

use log::{info, warn};

use crate::trust::site::{SiteId, SiteMark};
use crate::vault::private_file;

pub const SITE_FILE: &str = "site.json";

/// As it was written; else a new one, which gives way to that of the centrals it is linked with.
///
/// # Errors
/// The system gives no random numbers.
pub fn read_or_make(data_dir: &Path) -> Result<SiteMark, getrandom::Error> {
    let read = private_file::read(&data_dir.join(SITE_FILE));
    if let Ok(Some(mark)) = read.map(|bytes| bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())) {
        return Ok(mark);
    }
    let mark = SiteMark { id: SiteId(getrandom::u64()?), firm: false };
    write(data_dir, mark);
    Ok(mark)
}

/// Writes it down. What cannot be written now is agreed on anew after the next start.
pub fn write(data_dir: &Path, mark: SiteMark) {
    let bytes = serde_json::to_vec(&mark).map_err(io::Error::from);
    match bytes.and_then(|bytes| private_file::write(&data_dir.join(SITE_FILE), &bytes)) {
        Ok(()) => {
            info!(event = "site", id = mark.id.to_string().as_str(), firm = mark.firm; "this central belongs to this site")
        }
        Err(error) => {
            warn!(event = "site_not_saved", reason = error.to_string().as_str(); "the site cannot be written down")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_anew_where_it_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let first = read_or_make(directory.path()).unwrap();
        assert!(!first.firm);
        assert_eq!(read_or_make(directory.path()).unwrap(), first);
        write(directory.path(), SiteMark { firm: true, ..first });
        assert_eq!(read_or_make(directory.path()).unwrap(), SiteMark { firm: true, ..first });
        std::fs::write(directory.path().join(SITE_FILE), "x").unwrap();
        assert_ne!(read_or_make(directory.path()).unwrap().id, first.id);
    }
}
