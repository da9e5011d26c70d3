//! A stream that only who knows a passphrase can read: the format of `age`, version 1, with one passphrase
//! (<https://c2sp.org/age>), so that `age --decrypt` and `rage` open it without this program.
//!
//! What it guards against and what not: security.md. The ciphers are ring's; only how they are put together is here.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::{fmt, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};

const VERSION: &str = "age-encryption.org/v1";
const STANZA: &str = "-> scrypt ";
const MAC_MARK: &str = "---";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// Of scrypt, a power of two: 64 MB while a key is made. `age` itself takes four times that, and gates are served by the same process.
const WORK_FACTOR: u8 = 16;
/// A file that wants more is not opened: 1 GB.
const MAX_WORK_FACTOR: u8 = 20;
const KEY_BYTES: usize = 32;
const FILE_KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
/// No line of a header is longer.
const MAX_LINE_BYTES: u64 = 128;
/// A line without an end is cut there.
const MAX_PASSPHRASE_BYTES: u64 = 4_096;
/// Fewer are tried out in no time, by whoever has the file.
const MIN_PASSPHRASE_BYTES: usize = 12;

/// What opens a sealed backup.
#[derive(Clone)]
pub struct Passphrase(String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl Passphrase {
    /// Of a line as a person types it: without its end.
    pub fn of_line(line: &str) -> Self {
        Self(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The first line of what is read.
    ///
    /// # Errors
    /// What the disk says; it is no text.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let mut line = String::new();
        io::BufReader::new(from.take(MAX_PASSPHRASE_BYTES)).read_line(&mut line)?;
        Ok(Self::of_line(&line))
    }

    /// Whether it guards anything against who tries many.
    pub fn is_too_short(&self) -> bool {
        self.0.len() < MIN_PASSPHRASE_BYTES
    }

    /// Whether anybody on the machine may read that file.
    pub fn is_open_to_all(file: &Path) -> bool {
        fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o007 != 0)
    }

    fn key(&self, salt: &[u8], work_factor: u8) -> io::Result<LessSafeKey> {
        let params = scrypt::Params::new(work_factor, 8, 1).map_err(refused)?;
        let mut key = [0; KEY_BYTES];
        let salt = [SALT_LABEL, salt].concat();
        scrypt::scrypt(self.0.as_bytes(), &salt, &params, &mut key).map_err(refused)?;
        cipher(&key)
    }
}

/// Why a sealed stream is not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the passphrase is another one")]
    WrongPassphrase,
    #[error("it is not sealed as age does it with a passphrase")]
    Header,
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn cipher(key: &[u8]) -> io::Result<LessSafeKey> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).map_err(refused)?))
}

fn derived(file_key: &[u8], salt: &[u8], purpose: &[u8]) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    let made = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(file_key);
    made.expand(&[purpose], hkdf::HKDF_SHA256).and_then(|made| made.fill(&mut key)).map_err(refused)?;
    Ok(key)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

fn refused<E>(_: E) -> io::Error {
    io::Error::other("the cipher or the machine's randomness refused")
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a part of what is sealed is not what was written")
}

/// The numbers of the chunks, each used once with the key of a file.
#[derive(Debug, Default)]
struct Chunks {
    begun: u64,
}

impl Chunks {
    fn next(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let (number, last) = nonce.split_at_mut(NONCE_LEN - 1);
        number.iter_mut().rev().zip(self.begun.to_le_bytes()).for_each(|(to, from)| *to = from);
        last.fill(is_last.into());
        self.begun += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Seals what is written into it; whole only after [`Self::finish`].
pub struct SealedWriter<W: Write> {
    to: W,
    key: LessSafeKey,
    chunks: Chunks,
    chunk: Vec<u8>,
}

impl<W: Write> SealedWriter<W> {
    /// # Errors
    /// No randomness; what `to` says.
    pub fn new(to: W, passphrase: &Passphrase) -> io::Result<Self> {
        Self::with_work(to, passphrase, WORK_FACTOR)
    }

    fn with_work(mut to: W, passphrase: &Passphrase, work_factor: u8) -> io::Result<Self> {
        let (file_key, salt, nonce) = (random::<FILE_KEY_BYTES>()?, random::<SALT_BYTES>()?, random::<SALT_BYTES>()?);
        let mut body = file_key.to_vec();
        let key = passphrase.key(&salt, work_factor)?;
        key.seal_in_place_append_tag(Chunks::default().next(false), Aad::empty(), &mut body).map_err(refused)?;
        let (salt, body) = (BASE64.encode(salt), BASE64.encode(body));
        let header = format!("{VERSION}\n{STANZA}{salt} {work_factor}\n{body}\n{MAC_MARK}");
        let mac = hmac::sign(&mac_key(&file_key)?, header.as_bytes());
        writeln!(to, "{header} {}", BASE64.encode(mac))?;
        to.write_all(&nonce)?;
        let key = cipher(&derived(&file_key, &nonce, b"payload")?)?;
        Ok(Self { to, key, chunks: Chunks::default(), chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES) })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.chunks.next(is_last);
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.chunk).map_err(refused)?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Ends it, and gives back what it was written to.
    ///
    /// # Errors
    /// What that says.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only once more comes it is known that a full chunk is not the last.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    /// What fills no chunk yet waits.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn mac_key(file_key: &[u8]) -> io::Result<hmac::Key> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &derived(file_key, &[], b"header")?))
}

/// Reads what was sealed. A chunk that was changed, or an end that is missing, is an error of kind `InvalidData`.
pub struct SealedReader<R: BufRead> {
    from: R,
    key: LessSafeKey,
    chunks: Chunks,
    chunk: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: BufRead> SealedReader<R> {
    /// # Errors
    /// [`SealError`]
    pub fn open(mut from: R, passphrase: &Passphrase) -> Result<Self, SealError> {
        let mut header = String::new();
        let mut line = || -> Result<String, SealError> {
            let begin = header.len();
            (&mut from).take(MAX_LINE_BYTES).read_line(&mut header).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => SealError::Header,
                _ => error.into(),
            })?;
            let line = header.get(begin..).and_then(|line| line.strip_suffix('\n')).ok_or(SealError::Header)?;
            Ok(line.to_owned())
        };
        let (version, stanza, body, mac) = (line()?, line()?, line()?, line()?);
        let rest = stanza.strip_prefix(STANZA).filter(|_| version == VERSION).ok_or(SealError::Header)?;
        let (salt, work_factor) = rest.split_once(' ').ok_or(SealError::Header)?;
        let salt: [u8; SALT_BYTES] = decoded(salt)?;
        let is_number = work_factor.bytes().all(|byte| byte.is_ascii_digit()) && !work_factor.starts_with('0');
        let work_factor = work_factor.parse::<u8>().ok().filter(|factor| is_number && *factor <= MAX_WORK_FACTOR);
        let mut wrapped: [u8; FILE_KEY_BYTES + TAG_BYTES] = decoded(&body)?;
        let mac: [u8; KEY_BYTES] = decoded(mac.strip_prefix("--- ").ok_or(SealError::Header)?)?;
        let key = passphrase.key(&salt, work_factor.ok_or(SealError::Header)?)?;
        let opened = key.open_in_place(Chunks::default().next(false), Aad::empty(), &mut wrapped);
        let file_key = opened.map_err(|_| SealError::WrongPassphrase)?;
        let told = header.rfind(MAC_MARK).and_then(|at| header.get(..at + MAC_MARK.len())).ok_or(SealError::Header)?;
        hmac::verify(&mac_key(file_key)?, told.as_bytes(), &mac).map_err(|_| SealError::Header)?;
        let mut nonce = [0; SALT_BYTES];
        from.read_exact(&mut nonce)?;
        let key = cipher(&derived(file_key, &nonce, b"payload")?)?;
        let chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        Ok(Self { from, key, chunks: Chunks::default(), chunk, given: 0, is_over: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.given = 0;
        let most = u64::try_from(CHUNK_BYTES + TAG_BYTES).unwrap_or(u64::MAX);
        (&mut self.from).take(most).read_to_end(&mut self.chunk)?;
        let is_first = self.chunks.begun == 0;
        self.is_over = self.from.fill_buf()?.is_empty();
        let nonce = self.chunks.next(self.is_over);
        let length = self.key.open_in_place(nonce, Aad::empty(), &mut self.chunk).map_err(|_| damaged())?.len();
        if length == 0 && !is_first {
            return Err(damaged());
        }
        self.chunk.truncate(length);
        Ok(())
    }
}

/// Of the only text that stands for it.
fn decoded<const N: usize>(text: &str) -> Result<[u8; N], SealError> {
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(SealError::Header)
}

impl<R: BufRead> Read for SealedReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() {
            if self.is_over {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let left = self.chunk.get(self.given..).unwrap_or_default();
        let given = left.len().min(to.len());
        to.iter_mut().zip(left).for_each(|(to, from)| *to = *from);
        self.given += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Passphrase {
        Passphrase(text.to_owned())
    }

    fn sealed(contents: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::with_work(Vec::new(), &phrase("password"), 1).unwrap();
        writer.write_all(contents).unwrap();
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, SealError> {
        let mut contents = Vec::new();
        SealedReader::open(sealed, &phrase(passphrase))?.read_to_end(&mut contents)?;
        Ok(contents)
    }

    /// The vectors that all implementations of the format are held against: <https://github.com/C2SP/CCTV>, age/testdata.
    #[test]
    fn it_opens_and_refuses_what_the_format_says() {
        let mut seen = 0;
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/age")).unwrap() {
            let path = entry.unwrap().path();
            let vector = fs::read(&path).unwrap();
            let at = vector.windows(2).position(|pair| pair == b"\n\n").unwrap();
            let (told, file) = (std::str::from_utf8(&vector[..at]).unwrap(), &vector[at + 2..]);
            let value = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let found = opened(file, value("passphrase").unwrap());
            let what = (path.display(), &found);
            match value("expect").unwrap() {
                "success" => {
                    assert_eq!(
                        Some(crate::domain::ids::hex(&sha256(found.as_ref().unwrap())).as_str()),
                        value("payload")
                    );
                }
                "no match" if file.windows(7).any(|word| word == b"-> scry") => {
                    assert!(matches!(found, Err(SealError::WrongPassphrase)), "{what:?}");
                }
                _ => assert!(matches!(found, Err(SealError::Header)), "{what:?}"),
            }
            seen += 1;
        }
        assert_eq!(seen, 25);
    }

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        use sha2::Digest as _;
        sha2::Sha256::digest(bytes).into()
    }

    #[test]
    fn what_was_sealed_comes_out_again_whatever_its_length() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7] {
            let contents: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let file = sealed(&contents);
            assert!(opened(&file, "password").unwrap() == contents, "{length}");
            assert!(matches!(opened(&file, "another"), Err(SealError::WrongPassphrase)), "{length}");
        }
    }

    #[test]
    fn what_was_cut_off_turned_or_moved_is_refused() {
        let file = sealed(&vec![7; 2 * CHUNK_BYTES]);
        let chunk = CHUNK_BYTES + TAG_BYTES;
        let payload = file.len() - 2 * chunk;
        for length in (0..file.len())
            .filter(|length| *length < payload + 2 || length % 1_009 == 0 || (file.len() - length) % chunk < 2)
        {
            assert!(opened(&file[..length], "password").is_err(), "cut off at {length}");
        }
        for at in (0..file.len()).filter(|at| *at < payload + 20 || at % 1_009 == 0 || *at + 20 > file.len()) {
            let mut turned = file.clone();
            turned[at] ^= 1;
            assert!(opened(&turned, "password").is_err(), "turned at {at}");
        }
        let (head, chunks) = file.split_at(payload);
        let moved = [head, &chunks[chunk..], &chunks[..chunk]].concat();
        assert!(opened(&moved, "password").is_err());
        assert!(opened(&[&file, b"x".as_slice()].concat(), "password").is_err());
    }

    #[test]
    fn a_passphrase_is_a_line_and_is_not_shown() {
        assert_eq!(Passphrase::of_line("of the site \r\n").0, "of the site ");
        assert_eq!(format!("{:?}", phrase("secret")), "Passphrase(..)");
        assert!(phrase("elevenchars").is_too_short() && !phrase("twelve chars").is_too_short());
    }
}
