//! `have`: the map from a log to how far it is held, which is a central's whole replication state.
//!
//! Two centrals compare it by 256 digests, one per value of the first two hex digits of an epoch, and then exchange only
//! the buckets that differ: a reconnect costs by what changed, not by the age of the site.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::log::Head;
use crate::domain::ids::{CentralId, Epoch, LogId};
use crate::wire::frame::{Bucket, BucketDigest};

/// How far each log is held. A log without events is not in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Have {
    heads: BTreeMap<LogId, Head>,
}

impl Have {
    pub fn head(&self, log: &LogId) -> Option<Head> {
        self.heads.get(log).copied()
    }

    /// The head of a log, of an empty one if nothing of it is held.
    pub fn head_or_empty(&self, log: &LogId) -> Head {
        self.head(log).unwrap_or_else(|| Head::empty(log))
    }

    /// The number of events held of a log.
    pub fn to(&self, log: &LogId) -> u64 {
        self.heads.get(log).map_or(0, |head| head.to)
    }

    /// Sets how far a log is held.
    pub fn set(&mut self, log: &LogId, head: Head) {
        if head.to == 0 {
            self.heads.remove(log);
        } else if let Some(held) = self.heads.get_mut(log) {
            *held = head;
        } else {
            self.heads.insert(log.clone(), head);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&LogId, Head)> {
        self.heads.iter().map(|(log, head)| (log, *head))
    }

    /// Of the logs of one central.
    pub fn of<'a>(&'a self, central: &CentralId) -> impl Iterator<Item = (&'a LogId, Head)> {
        let log = |epoch| LogId { central: central.clone(), epoch: Epoch(epoch) };
        self.heads.range(log(0)..=log(u64::MAX)).map(|(log, head)| (log, *head))
    }

    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The digests of the buckets that are not empty. Costs a pass over all logs.
    pub fn digests(&self) -> BTreeMap<Bucket, BucketDigest> {
        let mut hashers: BTreeMap<Bucket, Sha256> = BTreeMap::new();
        for (log, head) in self.iter() {
            let hasher = hashers.entry(bucket_of(log)).or_default();
            hasher.update(log.to_string().as_bytes());
            // No log name has this byte: fields cannot run into each other.
            hasher.update([0]);
            hasher.update(head.to.to_be_bytes());
            hasher.update(head.hash.0);
        }
        hashers.into_iter().map(|(bucket, hasher)| (bucket, first_bytes(hasher))).collect()
    }

    /// The buckets in which what a peer holds differs from what is held here.
    pub fn differing_buckets(&self, theirs: &BTreeMap<Bucket, BucketDigest>) -> BTreeSet<Bucket> {
        let ours = self.digests();
        ours.keys().chain(theirs.keys()).filter(|bucket| ours.get(bucket) != theirs.get(bucket)).copied().collect()
    }

    /// What is held of the logs in these buckets.
    pub fn in_buckets<'a>(&'a self, buckets: &'a BTreeSet<Bucket>) -> impl Iterator<Item = (&'a LogId, Head)> {
        self.iter().filter(|(log, _)| buckets.contains(&bucket_of(log)))
    }
}

impl FromIterator<(LogId, Head)> for Have {
    fn from_iter<I: IntoIterator<Item = (LogId, Head)>>(heads: I) -> Self {
        Self { heads: heads.into_iter().filter(|(_, head)| head.to > 0).collect() }
    }
}

pub fn bucket_of(log: &LogId) -> Bucket {
    Bucket(log.epoch.bucket())
}

fn first_bytes(hasher: Sha256) -> BucketDigest {
    let digest: [u8; 32] = hasher.finalize().into();
    let (first, _) = digest.split_at(8);
    BucketDigest(first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::Epoch;
    use crate::replication::log::ChainHash;

    fn have() -> impl Strategy<Value = Have> {
        let head = (1..4_u64, 0..2_u8).prop_map(|(to, hash)| Head { to, hash: ChainHash([hash; 32]) });
        // Few buckets, so that they are shared.
        let log = (0..3_u64, 0..4_u64)
            .prop_map(|(bucket, low)| LogId { central: "c1".parse().unwrap(), epoch: Epoch(bucket << 56 | low) });
        prop::collection::btree_map(log, head, 0..10).prop_map(|heads| heads.into_iter().collect())
    }

    proptest! {
        #[test]
        fn exactly_the_buckets_that_differ_are_found(a in have(), b in have()) {
            let found = a.differing_buckets(&b.digests());
            prop_assert_eq!(&found, &b.differing_buckets(&a.digests()));
            for bucket in (0..=255).map(Bucket) {
                let only = BTreeSet::from([bucket]);
                let same = a.in_buckets(&only).eq(b.in_buckets(&only));
                prop_assert_eq!(found.contains(&bucket), !same);
            }
        }

        #[test]
        fn what_was_set_is_held(mut have in have(), other in have()) {
            for (log, head) in other.iter() {
                have.set(log, head);
                prop_assert_eq!(have.head(log), Some(head));
            }
            for (log, _) in other.iter() {
                have.set(log, Head::empty(log));
                prop_assert_eq!(have.head(log), None, "a log without events is not held");
                prop_assert_eq!(have.head_or_empty(log), Head::empty(log));
            }
        }
    }
}
