//! Random secrets and passwords, and the hashes that are kept of them. A secret of 128 bits and more needs no slow hash: nobody tries
//! them all. A password does: argon2id, never on a thread that serves.

use std::sync::OnceLock;

use argon2::password_hash::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use sha2::{Digest, Sha256};

use crate::domain::ids::hex;

/// Bits of a token, a key and a session: 160.
const SECRET_BYTES: usize = 20;
/// Characters of a one-time code, 5 bits each: typed by a person, tried slowly.
const CODE_CHARS: usize = 12;
const CODE_GROUP_CHARS: usize = 4;
/// Crockford's base 32: no I, L, O, U, so that nobody takes one for another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What a secret is for, as it begins: who finds one lying about sees what it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A bearer token of a program.
    Token,
    /// The key of an edge.
    EdgeKey,
    /// The cookie of a session.
    Session,
}

impl SecretKind {
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Token => "pmtoken_",
            Self::EdgeKey => "pmedge_",
            Self::Session => "pmsession_",
        }
    }
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A new secret, to be shown once.
///
/// # Errors
/// [`NoRandomness`].
pub fn make(kind: SecretKind) -> Result<String, NoRandomness> {
    Ok(format!("{}{}", kind.prefix(), letters::<SECRET_BYTES>(usize::MAX)?.to_lowercase()))
}

/// A new one-time code: `7K3M-9QXZ-04TB`.
///
/// # Errors
/// [`NoRandomness`].
pub fn make_code() -> Result<String, NoRandomness> {
    let code = letters::<SECRET_BYTES>(CODE_CHARS)?;
    let groups: Vec<String> =
        code.as_bytes().chunks(CODE_GROUP_CHARS).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    Ok(groups.join("-"))
}

/// The hash of a secret.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// The hash of a secret as text: `sha256:` and 64 hex digits.
pub fn digest_text(secret: &str) -> String {
    format!("sha256:{}", hex(&digest(secret)))
}

/// The hash of a code, however a person typed it: blanks, dashes and letter case do not matter, nor O for 0 and I or L for 1.
pub fn code_digest(typed: &str) -> [u8; 32] {
    let read = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let code: String = typed.chars().filter(char::is_ascii_alphanumeric).map(read).collect();
    digest(&code)
}

/// At most so many random letters, of `BYTES` bytes.
fn letters<const BYTES: usize>(most: usize) -> Result<String, NoRandomness> {
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes)?;
    let (mut bits, mut held) = (0u32, 0u32);
    let mut text = String::new();
    for byte in bytes {
        bits = (bits << 8) | u32::from(byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            let index = (bits >> held) & 31;
            text.push(
                usize::try_from(index).ok().and_then(|at| ALPHABET.get(at)).map_or('0', |byte| char::from(*byte)),
            );
        }
        bits &= (1 << held) - 1;
    }
    text.truncate(most);
    Ok(text)
}

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
pub fn hash_password(password: &str) -> Result<String, HashError> {
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

/// Whether a password can be checked against that, and at no more than twice what ours cost: also what another central gives.
pub fn is_usable_hash(hash: &str) -> bool {
    let parsed = PasswordHash::new(hash).ok().filter(|parsed| Algorithm::try_from(parsed.algorithm.as_str()).is_ok());
    let params = parsed.as_ref().and_then(|parsed| Params::try_from(parsed).ok());
    parsed.is_some_and(|parsed| parsed.hash.is_some())
        && params.is_some_and(|params| {
            params.m_cost() <= 2 * MEMORY_KIB && params.t_cost() <= 2 * PASSES && params.p_cost() <= 2 * LANES
        })
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
    let made = hash_password("nobody has this password")?;
    Ok(NOBODYS.get_or_init(|| made))
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn secrets_differ_and_say_what_they_are_for() {
        let secrets: HashSet<String> = (0..1_000).map(|_| make(SecretKind::Token).unwrap()).collect();
        assert_eq!(secrets.len(), 1_000);
        let one = secrets.iter().next().unwrap();
        assert!(one.starts_with("pmtoken_") && one.len() == "pmtoken_".len() + SECRET_BYTES * 8 / 5, "{one}");
        // Every letter comes up: all 5 bits count.
        let used: HashSet<char> = secrets.iter().flat_map(|secret| secret["pmtoken_".len()..].chars()).collect();
        assert_eq!(used.len(), 32);
    }

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let code = make_code().unwrap();
        assert_eq!(code.len(), 14, "{code}");
        let plain = code.replace('-', "");
        for typed in
            [plain.to_lowercase(), format!(" {plain} "), plain.replace('0', "o").replace('1', "l"), code.clone()]
        {
            assert_eq!(code_digest(&typed), digest(&plain), "{typed}");
        }
        assert_ne!(code_digest(&make_code().unwrap()), digest(&plain));
    }

    #[test]
    fn a_hash_as_text_is_the_hash() {
        assert_eq!(digest_text("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_costs_more_than_ours_or_is_no_hash_is_not_checked_against() {
        let own = hash_password("ba con voi").unwrap();
        assert!(is_usable_hash(&own));
        for (part, other) in [("m=32768", "m=4194304"), ("t=2", "t=1000"), ("p=1", "p=255"), ("argon2id", "scrypt")] {
            assert!(own.contains(part), "{own}");
            assert!(!is_usable_hash(&own.replace(part, other)), "{other}");
        }
        let (without_hash, _) = own.rsplit_once('$').unwrap();
        for none in ["", "x", without_hash] {
            assert!(!is_usable_hash(none), "{none}");
        }
    }

    #[test]
    fn a_password_is_known_by_its_hash_and_no_two_hashes_are_alike() {
        let (one, other) = (hash_password("ba con voi").unwrap(), hash_password("ba con voi").unwrap());
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
        let greedy = hash_password("x").unwrap().replace("m=32768", "m=4294967295");
        assert!(is_right("x", Some(&greedy)).is_err());
    }

    #[test]
    fn parameters_of_an_older_hash_are_its_own() {
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old = weaker.hash_password(b"ba con voi").unwrap().to_string();
        assert!(is_right("ba con voi", Some(&old)).unwrap());
    }
}
