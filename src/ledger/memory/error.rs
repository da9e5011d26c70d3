//! Why a storage in memory did not do what it was told.

/// What the storage was told to fail with, or a rule broken by its caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    #[error("no space left (injected)")]
    Injected,
    #[error("broken rule: {0}")]
    BrokenRule(&'static str),
}
