//! Passwords as argon2id hashes (RFC 9106) in PHC format: the parameters stand in each hash, so that they can grow later.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// Memory that one hash takes, in KiB, and passes over it. Somewhat more than OWASP's least (19 MiB, 2 passes): who stole the
/// file guesses slowly, and a person does not feel it: about 50 ms on a core of 2026.
const MEMORY_KIB: u32 = 32 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Verified where there is no such person, so that the time tells nobody which names there are.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password").ok());

/// The system gives no random numbers or no memory.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct HashError(String);

/// The hash to keep. Takes long: never on a thread that serves.
///
/// # Errors
/// [`HashError`].
pub fn hash(password: &str) -> Result<String, HashError> {
    let hashed = hasher()?.hash_password(password.as_bytes()).map_err(|error| HashError(error.to_string()))?;
    Ok(hashed.to_string())
}

/// Whether this is the password of that hash. Takes as long where there is no hash: `None` is nobody's.
#[must_use]
pub fn is_right(password: &str, hash: Option<&str>) -> bool {
    let verify = |text: &str| {
        let Ok(parsed) = PasswordHash::new(text) else { return false };
        hasher().is_ok_and(|hasher| hasher.verify_password(password.as_bytes(), &parsed).is_ok())
    };
    let is_somebodys = hash.is_some();
    let matches = hash.or(NOBODYS.as_deref()).is_some_and(verify);
    matches && is_somebodys
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_two_hashes_are_alike() {
        let (one, other) = (hash("ba con voi").unwrap(), hash("ba con voi").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=32768,t=2,p=1$"), "{one}");
        assert_ne!(one, other, "each has a salt of its own");
        assert!(is_right("ba con voi", Some(&one)));
        for wrong in ["ba con vo", "Ba con voi", "ba con voi ", ""] {
            assert!(!is_right(wrong, Some(&one)), "{wrong:?}");
        }
        assert!(!is_right("nobody has this password", None));
        assert!(!is_right("x", Some("no hash")));
    }

    #[test]
    fn parameters_of_an_older_hash_are_its_own() {
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old = weaker.hash_password(b"ba con voi").unwrap().to_string();
        assert!(is_right("ba con voi", Some(&old)));
    }
}
