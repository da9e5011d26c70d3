//! Passwords as argon2id hashes (RFC 9106) in PHC format: the parameters stand in each hash, so that they can grow later.

use std::sync::OnceLock;

use argon2::password_hash::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// Memory that one hash takes, in KiB, and passes over it. Somewhat more than OWASP's least (19 MiB, 2 passes): who stole the
/// file guesses slowly, and a person does not feel it: about 50 ms on a core of 2026.
const MEMORY_KIB: u32 = 32 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Verified where there is no such person, so that the time tells nobody which names there are.
static NOBODYS: OnceLock<String> = OnceLock::new();

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
///
/// # Errors
/// [`HashError`]: it cannot be found out now.
pub fn is_right(password: &str, hash: Option<&str>) -> Result<bool, HashError> {
    let Some(hash) = hash else { return verify(password, nobodys()?).map(|_| false) };
    verify(password, hash)
}

fn verify(password: &str, hash: &str) -> Result<bool, HashError> {
    // What is no hash is nobody's password.
    let Ok(parsed) = PasswordHash::new(hash) else { return Ok(false) };
    match hasher()?.verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(error @ Error::OutOfMemory) => Err(HashError(error.to_string())),
        Err(_) => Ok(false),
    }
}

fn nobodys() -> Result<&'static str, HashError> {
    if let Some(made) = NOBODYS.get() {
        return Ok(made);
    }
    let made = hash("nobody has this password")?;
    Ok(NOBODYS.get_or_init(|| made))
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
        assert!(is_right("ba con voi", Some(&one)).unwrap());
        for wrong in ["ba con vo", "Ba con voi", "ba con voi ", ""] {
            assert!(!is_right(wrong, Some(&one)).unwrap(), "{wrong:?}");
        }
        assert!(!is_right("nobody has this password", None).unwrap());
        assert!(!is_right("x", Some("no hash")).unwrap());
    }

    #[test]
    fn what_takes_more_memory_than_there_is_is_neither_right_nor_wrong() {
        // As many KiB as the format allows: 4 TiB.
        let greedy = hash("x").unwrap().replace("m=32768", "m=4294967295");
        assert!(is_right("x", Some(&greedy)).is_err());
    }

    #[test]
    fn parameters_of_an_older_hash_are_its_own() {
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old = weaker.hash_password(b"ba con voi").unwrap().to_string();
        assert!(is_right("ba con voi", Some(&old)).unwrap());
    }
}
