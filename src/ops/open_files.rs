//! How many files and sockets the process may have open: as many as the system allows, so that sockets held open by somebody
//! do not keep the gates' from being accepted.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to the hardest one. The limit now; `None`: there is none.
pub fn allow_most() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Some systems refuse; then it stays as it was.
    let _unchanged = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_hardest_one() {
        assert_eq!(allow_most(), getrlimit(Resource::Nofile).maximum);
    }
}
