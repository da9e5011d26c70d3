//! Who else has the database open, by the locks the operating system knows of: for people, who have to find that program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::store::files::{FileId, index_of};

/// `sqlite3 (1234), python3 (99)`; or that nobody is known.
pub(super) fn of(database: &Path) -> String {
    let inodes: Vec<u64> = [database.to_owned(), index_of(database)]
        .iter()
        .filter_map(|path| FileId::at(path).ok().flatten().map(|id| id.inode))
        .collect();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let others: Vec<String> =
        holders(&locks, &inodes).into_iter().filter(|pid| *pid != std::process::id()).map(named).collect();
    if others.is_empty() {
        "held by no program that is seen from here".to_owned()
    } else {
        format!("held by {}", others.join(", "))
    }
}

/// The processes with a lock on one of these files, of lines like `1: POSIX  ADVISORY  READ 1234 08:01:5678 128 128`.
fn holders(locks: &str, inodes: &[u64]) -> BTreeSet<u32> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "ADVISORY").skip(2);
        let pid = words.next()?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        inodes.contains(&inode).then_some(pid)
    };
    locks.lines().filter_map(of_line).collect()
}

fn named(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} ({pid})", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_found_by_the_file_they_hold() {
        let locks = "1: POSIX  ADVISORY  READ 1234 08:01:5678 128 128\n\
                     2: FLOCK  ADVISORY  WRITE 7 00:2d:5678 0 EOF\n\
                     3: POSIX  ADVISORY  READ 99 08:01:9 124 124\n\
                     4: -> POSIX  ADVISORY  WRITE 5 08:01:5678 120 120\n\
                     nonsense\n5: POSIX  ADVISORY  READ x 08:01:5678 1 1\n";
        assert_eq!(holders(locks, &[5678]), BTreeSet::from([5, 7, 1234]));
        assert_eq!(holders(locks, &[9, 1]), BTreeSet::from([99]));
        assert!(holders("", &[5678]).is_empty());
    }
}
