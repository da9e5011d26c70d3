//! Which start of a database this is.

use super::*;
use crate::replication::handshake::{Instance, SeenStart, Start};

#[test]
fn each_start_is_numbered_and_knows_those_before_it() {
    let mut disk = Disk::new();
    let most = u64::try_from(crate::replication::handshake::MOST_TOLD).unwrap();
    for number in 1..=most + 9 {
        let earlier: Vec<Instance> = (1..number).rev().take(32).map(|before| Instance(u64::MAX - before)).collect();
        let start = disk.reopen().note_start(Instance(u64::MAX - number)).unwrap();
        assert_eq!(start, Start { number, earlier });
    }
    assert_eq!(disk.sql("SELECT count(*) FROM start"), [(most + 1).to_string()], "no more than are told are kept");
}

#[test]
fn what_was_seen_of_others_is_remembered() {
    let mut disk = Disk::new();
    let seen = |number, instance| SeenStart { number, instance: Instance(instance) };
    for (key, number, instance) in [("", 1, 7), ("KEY", u64::MAX, u64::MAX)] {
        let noted = ("c2".parse().unwrap(), key.to_owned(), seen(number, instance));
        disk.writer().note_seen(&noted).unwrap();
        assert_eq!(disk.reopen().seen_starts().unwrap(), [noted]);
    }
}
