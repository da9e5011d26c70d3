//! One backup as one file: a tar archive, whose parts any machine can open.
//!
//! | member | holds |
//! |---|---|
//! | `proven.json` | whose it is, of when, the digest of its history: [`BackupProof`]; read without a passphrase |
//! | `central.tar.zst`; sealed with a passphrase, `central.tar.zst.age` | `proven.json` once more, and the central's files, the database last |
//! | `SHA256SUMS` | of those two, as `sha256sum --check` takes it; a file that was cut off has none |
//!
//! It is written and read as a stream, in memory that does not grow with the database.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::sealed::{Passphrase, SealError, SealedReader, SealedWriter};
use super::{BackupError, BackupProof, PROOF_FILE};
use crate::background::{BackgroundFile, give_way};
use crate::disk;
use crate::domain::ids::hex;

const PLAIN_DATA: &str = "central.tar.zst";
const SEALED_DATA: &str = "central.tar.zst.age";
const SUMS: &str = "SHA256SUMS";
const MEMBERS: usize = 3;
const ZSTD_LEVEL: i32 = 3;
const RECORD_BYTES: u64 = 512;
/// In which a file's blocks are counted, whatever the disk's are: stat(2).
const BLOCK_OF_STAT_BYTES: u64 = 512;
/// A proof or the sums are not longer.
const MAX_TEXT_BYTES: u64 = 64 * 1024;
const BLOCK_BYTES: usize = 256 * 1024;

/// SHA-256 in hex, by name.
pub(super) type Hashes = BTreeMap<String, String>;

/// A stream, and what went through it.
struct Summed<T> {
    stream: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Summed<T> {
    fn new(stream: T) -> Self {
        Self { stream, hash: Sha256::new(), bytes: 0 }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
    }

    fn sum(self) -> String {
        hex(&self.hash.finalize())
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        give_way();
        let read = self.stream.read(to)?;
        self.count(to.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.count(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// SHA-256 of all there is to read, in hex.
pub(super) fn hash_of(mut from: impl Read) -> io::Result<String> {
    let (mut hash, mut block) = (Sha256::new(), vec![0; BLOCK_BYTES]);
    loop {
        match from.read(&mut block)? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(block.get(..length).unwrap_or_default()),
        }
    }
}

fn header_of(name: &str, bytes: u64, made_ms: i64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(made_ms / 1_000).unwrap_or_default());
    header.set_cksum();
    Ok(header)
}

/// Writes the whole archive into an empty file, and gives the hashes of the files in it. `parts`: name and place of each file of the
/// central. It cannot be read before the end, which is on the disk when this returns.
pub(super) fn write(
    to: &mut File,
    proof: &BackupProof,
    parts: &[(&str, PathBuf)],
    passphrase: Option<&Passphrase>,
) -> io::Result<Hashes> {
    let told = serde_json::to_vec_pretty(proof)?;
    let data_name = if passphrase.is_some() { SEALED_DATA } else { PLAIN_DATA };
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let add = |to: &mut File, name: &str, bytes: &[u8]| {
        to.write_all(header_of(name, length(bytes), proof.made_ms)?.as_bytes())?;
        to.write_all(bytes)?;
        pad(to, length(bytes))
    };
    add(to, PROOF_FILE, &told)?;
    let at = to.stream_position()?;
    to.write_all(&[0; 512])?;
    let mut hashes = Hashes::new();
    let counted = Summed::new(BackgroundFile::new(to));
    let counted = match passphrase {
        None => pack(counted, &told, proof.made_ms, parts, &mut hashes)?,
        Some(passphrase) => {
            let sealed = SealedWriter::new(counted, passphrase)?;
            pack(sealed, &told, proof.made_ms, parts, &mut hashes)?.finish()?
        }
    };
    let (data_bytes, data_sum) = (counted.bytes, counted.sum());
    pad(to, data_bytes)?;
    let sums = format!("{}  {PROOF_FILE}\n{data_sum}  {data_name}\n", hash_of(told.as_slice())?);
    add(to, SUMS, sums.as_bytes())?;
    to.write_all(&[0; 1024])?;
    to.seek(SeekFrom::Start(at))?;
    to.write_all(header_of(data_name, data_bytes, proof.made_ms)?.as_bytes())?;
    to.sync_all()?;
    Ok(hashes)
}

fn pad(to: &mut File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(bytes.next_multiple_of(RECORD_BYTES) - bytes), to).map(drop)
}

fn pack<W: Write>(to: W, told: &[u8], made_ms: i64, parts: &[(&str, PathBuf)], hashes: &mut Hashes) -> io::Result<W> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(to, ZSTD_LEVEL)?);
    archive.append(&header_of(PROOF_FILE, u64::try_from(told.len()).unwrap_or_default(), made_ms)?, told)?;
    for (name, place) in parts {
        let file = File::open(place)?;
        let header = header_of(name, file.metadata()?.len(), made_ms)?;
        let mut counted = Summed::new(file);
        archive.append(&header, &mut counted)?;
        hashes.insert((*name).to_owned(), counted.sum());
    }
    archive.into_inner()?.finish()
}

/// One that lies there with all its members. Whether they are what they were: [`Self::holds`].
#[derive(Debug)]
pub struct BackupArchive {
    file: File,
    path: PathBuf,
    pub proof: BackupProof,
    told: Vec<u8>,
    sums: Hashes,
    data_name: &'static str,
    data_at: u64,
    data_bytes: u64,
}

/// What an archive holds, open: the files of the central, one after the other.
pub(super) struct Contents {
    archive: tar::Archive<zstd::Decoder<'static, Box<dyn BufRead>>>,
    path: PathBuf,
    told: Vec<u8>,
}

impl BackupArchive {
    /// # Errors
    /// [`BackupError::NoBackup`]: it has not the members of one, or was cut off; [`BackupError::Unreadable`].
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let unreadable = |source| BackupError::Unreadable { path: path.to_owned(), source };
        let file = disk::open(path).map_err(unreadable)?;
        let (mut told, mut sums, mut data) = (Vec::new(), String::new(), None);
        let mut look = || -> io::Result<()> {
            // No more members than there are, and no long names: whoever made it up may not take our time or memory.
            for entry in tar::Archive::new(&file).entries_with_seek()?.raw(true).take(MEMBERS) {
                let entry = entry?;
                let (at, bytes) = (entry.raw_file_position(), entry.size());
                match entry.path_bytes().as_ref() {
                    name if name == PROOF_FILE.as_bytes() => {
                        entry.take(MAX_TEXT_BYTES).read_to_end(&mut told)?;
                    }
                    name if name == SUMS.as_bytes() => {
                        entry.take(MAX_TEXT_BYTES).read_to_string(&mut sums)?;
                    }
                    name if name == PLAIN_DATA.as_bytes() => data = Some((PLAIN_DATA, at, bytes)),
                    name if name == SEALED_DATA.as_bytes() => data = Some((SEALED_DATA, at, bytes)),
                    _ => {}
                }
            }
            Ok(())
        };
        // What tar cannot make sense of, it says as many kinds of errors; what the disk says has a number.
        look().or_else(|error| if error.raw_os_error().is_some() { Err(unreadable(error)) } else { Ok(()) })?;
        let no_backup = || BackupError::NoBackup(path.to_owned());
        let proof = serde_json::from_slice(&told).map_err(|_| no_backup())?;
        let (data_name, data_at, data_bytes) = data.ok_or_else(no_backup)?;
        // What is packed has no holes: one that claims more than lies there would be read for days.
        let lies_there = file.metadata().map_err(unreadable)?.blocks() * BLOCK_OF_STAT_BYTES;
        if lies_there > 0 && lies_there < data_bytes / 2 {
            return Err(no_backup());
        }
        let sums = sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name.into(), sum.into()));
        let sums: Hashes = sums.collect();
        if [PROOF_FILE, data_name].iter().any(|name| !sums.contains_key(*name)) {
            return Err(no_backup());
        }
        Ok(Self { file, path: path.to_owned(), proof, told, sums, data_name, data_at, data_bytes })
    }

    /// Whether a passphrase opens it.
    pub fn is_sealed(&self) -> bool {
        self.data_name == SEALED_DATA
    }

    /// Whether it is what it was when it was written; asks for no passphrase.
    ///
    /// # Errors
    /// [`BackupError::Changed`], or that it cannot be read.
    pub fn holds(&self) -> Result<(), BackupError> {
        let found = self.data().and_then(|data| Ok([hash_of(self.told.as_slice())?, hash_of(data)?]));
        let [proof, data] = found.map_err(|source| self.unreadable(source))?;
        if self.sums.get(PROOF_FILE) == Some(&proof) && self.sums.get(self.data_name) == Some(&data) {
            return Ok(());
        }
        Err(BackupError::Changed(self.path.clone()))
    }

    fn data(&self) -> io::Result<io::Take<File>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.data_at))?;
        Ok(file.take(self.data_bytes))
    }

    fn unreadable(&self, source: io::Error) -> BackupError {
        BackupError::Unreadable { path: self.path.clone(), source }
    }

    /// # Errors
    /// [`BackupError`]: another passphrase, one where none is needed, none where one is.
    pub(super) fn contents(&self, passphrase: Option<&Passphrase>) -> Result<Contents, BackupError> {
        let data = BufReader::new(self.data().map_err(|source| self.unreadable(source))?);
        let plain: Box<dyn BufRead> = match passphrase {
            None if self.is_sealed() => return Err(BackupError::Sealed(self.path.clone())),
            None => Box::new(data),
            Some(_) if !self.is_sealed() => return Err(BackupError::NotSealed(self.path.clone())),
            Some(passphrase) => match SealedReader::open(data, passphrase) {
                Ok(opened) => Box::new(BufReader::with_capacity(BLOCK_BYTES, opened)),
                Err(SealError::WrongPassphrase) => return Err(BackupError::WrongPassphrase(self.path.clone())),
                Err(SealError::Header) => return Err(BackupError::Changed(self.path.clone())),
                Err(SealError::Io(source)) => return Err(self.unreadable(source)),
            },
        };
        let decoder = zstd::Decoder::with_buffer(plain).map_err(|source| self.unreadable(source))?;
        Ok(Contents { archive: tar::Archive::new(decoder), path: self.path.clone(), told: self.told.clone() })
    }
}

impl Contents {
    /// Gives each file with its name.
    ///
    /// # Errors
    /// What `take` says; [`BackupError::Changed`]: it is no backup inside, or the one of another proof; it cannot be read.
    pub fn each(
        mut self,
        mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let path = self.path;
        let unreadable = |source: io::Error| match source.raw_os_error() {
            Some(_) => BackupError::Unreadable { path: path.clone(), source },
            None => BackupError::Changed(path.clone()),
        };
        let mut is_proven = false;
        for entry in self.archive.entries().map_err(unreadable)?.raw(true) {
            let mut entry = entry.map_err(unreadable)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if name == PROOF_FILE {
                let mut told = Vec::new();
                (&mut entry).take(MAX_TEXT_BYTES).read_to_end(&mut told).map_err(unreadable)?;
                is_proven = told == self.told;
            } else if is_proven {
                take(&name, &mut entry)?;
            }
        }
        // To the very end: what was cut off a sealed stream is noticed there.
        io::copy(&mut self.archive.into_inner(), &mut io::sink()).map_err(unreadable)?;
        if is_proven { Ok(()) } else { Err(BackupError::Changed(path)) }
    }
}
