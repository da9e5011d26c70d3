//! Maps whose keys are hashed quickly: what a fold looks up most are ids of facts and stays.
//!
//! The hash starts from a random number, which is enough against ids that somebody chose beforehand to meet in a map. The standard
//! library's hash resists stronger attacks, and took a third of the time of a fold.

use foldhash::fast::RandomState;

pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub type HashSet<K> = std::collections::HashSet<K, RandomState>;
