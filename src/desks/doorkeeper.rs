//! Who is who: people, tokens, sessions, codes. What it decides by is pure (`access`), what it keeps is in `vault`.
//!
//! No actor: whom a request comes from is asked on every worker and answered from memory; everything else hashes and writes
//! files, which blocks, and is called from the pool of blocking threads. Changes of accounts wait for each other.
//!
//! Some at a time, the others wait their turn; too many do not. Strangers have one turn, and places to wait, fewer than there are: the
//! rest is for who is known. For threads that may block.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use log::{error, info, warn};
use serde_json::json;
use tokio::sync::Notify;

use crate::access::accounts::{
    AccountChange, Accounts, Person, Revoked, Token, Unchanged, check_password, each_told, told,
};
use crate::access::people::{Changed, Overruled, PersonRecord};
use crate::access::right::{Role, Who};
use crate::access::sessions::{SessionId, Sessions};
use crate::access::throttle::{Ms, Throttle, source_of};
use crate::config::model::Config;
use crate::desks::audit_desk::AuditDesk;
use crate::domain::audit::{self, Act, AuditEntry, By};
use crate::domain::ids::CentralId;
use crate::ops::clock::Clock;
use crate::vault::files::{AccountsFile, CodeFile};
use crate::vault::secret::{self, SecretKind};

/// Hashes of passwords under way at a time: each takes a core and 32 MiB, and the gates go on beside them.
const MAX_HASHING: usize = 2;
/// Of those, for addresses and browsers from which nobody logged in lately.
const MAX_HASHING_OF_STRANGERS: usize = 1;
/// How many wait for their turn, some 50 ms each; a whole shift logs in at once.
const MAX_WAITING: usize = 40;
const MAX_WAITING_STRANGERS: usize = 25;
/// Browsers that are known by what they were given at a login. Beyond it all are forgotten, which costs them no more than a
/// wait while somebody guesses.
const MAX_DEVICES: usize = 10_000;

/// Changes of others that did not count, as they are shown: the last of them, until the next start.
const MOST_OVERRULED: usize = 20;
/// In the audit: a change of a person that did not count, as another one was made elsewhere.
const OVERRULED: &str = "overruled";

/// Somebody logged in.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub person: Person,
    /// For the cookie.
    pub session: String,
    /// For the cookie by which the browser is known at the next login.
    pub device: String,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginRefused {
    /// Too many failures before; how long to wait, in ms.
    Wait(Ms),
    /// Many others log in right now.
    Busy,
    WrongLogin,
    WrongCode,
    Unchanged(Unchanged),
    /// The disk or the system; the cause is in the log.
    Failed,
}

impl From<Unchanged> for LoginRefused {
    fn from(unchanged: Unchanged) -> Self {
        Self::Unchanged(unchanged)
    }
}

#[derive(Debug, Default)]
struct Memory {
    sessions: Sessions,
    throttle: Throttle,
    /// The hash of the code that makes the first administrator.
    first_code: Option<[u8; 32]>,
    /// When tokens were used since that was last saved, Unix ms, by their hash.
    uses: HashMap<String, i64>,
    /// Who logged in last with a browser, by the hash of what it was given.
    devices: HashMap<[u8; 32], String>,
    /// What was changed at two centrals without either knowing of the other, the latest last.
    overruled: Vec<Overruled>,
}

/// See the module.
pub struct Doorkeeper {
    /// Which central this is now.
    own: Box<dyn Fn() -> CentralId + Send + Sync>,
    people_news: Notify,
    accounts_file: AccountsFile,
    code_file: CodeFile,
    accounts: RwLock<Arc<Accounts>>,
    damaged: Option<String>,
    changing: Mutex<()>,
    using_code: Mutex<()>,
    memory: Mutex<Memory>,
    hashing: HashTurns,
    audit: Arc<AuditDesk>,
    clock: Clock,
    started: Instant,
}

impl Doorkeeper {
    /// Reads the accounts of a data directory. Damaged ones are put aside and said so: gates go on.
    pub fn open(
        data_dir: &Path,
        own: impl Fn() -> CentralId + Send + Sync + 'static,
        audit: Arc<AuditDesk>,
        clock: Clock,
    ) -> Self {
        let accounts_file = AccountsFile::of(data_dir);
        let found = accounts_file.load();
        if let Some(reason) = &found.damaged {
            error!(event = "accounts_damaged", reason = reason.as_str(); "people and tokens cannot be read: set a password anew with the one-time code");
        }
        Self {
            own: Box::new(own),
            people_news: Notify::new(),
            accounts_file,
            code_file: CodeFile::of(data_dir),
            accounts: RwLock::new(Arc::new(found.accounts)),
            damaged: found.damaged,
            changing: Mutex::default(),
            using_code: Mutex::default(),
            memory: Mutex::default(),
            hashing: HashTurns::new([MAX_HASHING, MAX_HASHING_OF_STRANGERS], [MAX_WAITING, MAX_WAITING_STRANGERS]),
            audit,
            clock,
            started: Instant::now(),
        }
    }

    /// Makes the code that sets the password of the first administrator, in the place of an earlier one. It is kept as a hash
    /// only, and as long as this process lives. `None`: there is an administrator, or no randomness, which is logged.
    pub fn make_first_code(&self) -> Option<String> {
        if self.accounts().has_administrator() {
            return None;
        }
        let code = secret::make_code().map_err(|error| failed(&error)).ok()?;
        self.memory().first_code = Some(secret::code_digest(&code));
        Some(code)
    }

    /// Why people and tokens could not be read at the start.
    pub fn damaged(&self) -> Option<&str> {
        self.damaged.as_deref()
    }

    /// Nobody administers this central yet.
    pub fn lacks_administrator(&self) -> bool {
        !self.accounts().has_administrator()
    }

    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whom that proves the caller to be. What proves nothing (any more) is as good as nothing shown.
    pub fn who(&self, shown: Shown<'_>, config: &Config) -> Who {
        if let Some(shown) = shown.secret {
            return self.who_with_secret(shown, config).unwrap_or_default();
        }
        let Some(session) = shown.session else { return Who::Nobody };
        let id = secret::digest(session);
        let now_ms = self.now_ms();
        let name = self.memory().sessions.use_now(&id, now_ms).map(str::to_owned);
        name.map(|name| self.named(&name)).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Who {
        let accounts = self.accounts();
        let who = accounts.person(name).map(|person| Who::Person { name: person.name.clone(), role: person.role });
        who.unwrap_or_default()
    }

    fn who_with_secret(&self, shown: &str, config: &Config) -> Option<Who> {
        let hash = secret::digest_text(shown);
        let who = self.who_with_hash(&hash, shown.starts_with(SecretKind::EdgeKey.prefix()), config)?;
        if matches!(who, Who::Token { .. }) {
            self.memory().uses.insert(hash, self.clock.now_ms());
        }
        Some(who)
    }

    fn who_with_hash(&self, hash: &str, of_edge: bool, config: &Config) -> Option<Who> {
        if of_edge {
            let edge = config.edges.iter().find(|edge| edge.key_hash.as_deref() == Some(hash))?;
            return Some(Who::Edge(edge.id.clone()));
        }
        let accounts = self.accounts();
        let token = accounts.token(hash)?;
        Some(Who::Token { name: token.name.clone(), role: token.role })
    }

    /// Whom it still proves the caller to be. Asking is no use of a session or token.
    pub fn who_still(&self, proof: &LoginProof, config: &Config) -> Who {
        match proof {
            LoginProof::Nothing => Who::Nobody,
            LoginProof::Secret { hash, of_edge } => self.who_with_hash(hash, *of_edge, config).unwrap_or_default(),
            LoginProof::Session(id) => {
                let name = self.memory().sessions.whose(id, self.now_ms()).map(str::to_owned);
                name.map(|name| self.named(&name)).unwrap_or_default()
            }
        }
    }

    /// Logs a person in. `device`: what the browser was given at an earlier login. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn log_in(
        &self,
        name: &str,
        password: &str,
        device: Option<&str>,
        from: IpAddr,
    ) -> Result<NewSession, LoginRefused> {
        let account = account_of(name);
        let source = self.source(device, &account, from);
        let person = self.prove(name, password, &source, &account)?;
        let entered = self.enter(person, from)?;
        self.audit.note(Act::new(audit::Kind::Login, By::new(&entered.person.name, from), ""));
        Ok(entered)
    }

    /// Sets the password of an administrator, new or known, with a one-time code, and logs in. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`]; a wrong password does not use up the code.
    pub fn use_code(&self, code: &str, name: &str, new: &str, from: IpAddr) -> Result<NewSession, LoginRefused> {
        let source = source_of(from);
        self.attempt(&source, None)?;
        let digest = secret::code_digest(code);
        // A code sets one password, however many type it at the same moment.
        let _one_at_a_time = self.using_code.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = self.memory().first_code == Some(digest);
        if !is_first && !self.code_file.is_right(digest, self.clock.now_ms()) {
            return Err(LoginRefused::WrongCode);
        }
        self.memory().throttle.succeeded(&source, None, self.now_ms());
        let _turn = self.hashing_turn(Asks::Known)?;
        let hash = hashed("password", name, new)?;
        let now_ms = self.clock.now_ms();
        let by = By::new(if is_first { "code:first" } else { "code:new" }, from);
        let person = self.change(Some(&by), |accounts| accounts.put_administrator(name, hash, now_ms))?;
        // Once there is an administrator the first code is worth nothing either.
        self.memory().first_code = None;
        self.code_file.remove().map_err(|error| failed(&error))?;
        self.memory().sessions.end_all_of(&person.name, None);
        self.audit.note(Act::new(audit::Kind::Login, By::new(&person.name, from), ""));
        self.enter(person, from)
    }

    /// The person of this name, if this is the password.
    fn prove(&self, name: &str, password: &str, source: &str, account: &str) -> Result<Person, LoginRefused> {
        let is_known = self.memory().throttle.knows(source, self.now_ms());
        let _turn = self.hashing_turn(if is_known { Asks::Known } else { Asks::Stranger })?;
        self.attempt(source, Some(account))?;
        let person = self.accounts().person(name).cloned();
        let is_right = secret::is_right(password, person.as_ref().map(|person| person.password.as_str()));
        let mut memory = self.memory();
        match is_right {
            Err(error) => {
                memory.throttle.undecided(source, Some(account), self.now_ms());
                Err(failed(&error))
            }
            Ok(false) => Err(LoginRefused::WrongLogin),
            Ok(true) => {
                memory.throttle.succeeded(source, Some(account), self.now_ms());
                person.ok_or(LoginRefused::WrongLogin)
            }
        }
    }

    /// Begins a session, and makes the browser and its address known for this person.
    fn enter(&self, person: Person, from: IpAddr) -> Result<NewSession, LoginRefused> {
        let session = secret::make(SecretKind::Session).map_err(|error| failed(&error))?;
        let device = secret::make(SecretKind::Session).map_err(|error| failed(&error))?;
        let (now_ms, account, digest) = (self.now_ms(), account_of(&person.name), secret::digest(&device));
        let mut memory = self.memory();
        memory.throttle.is_known(&source_of(from), &account, now_ms);
        memory.throttle.is_known(&device_source(&digest), &account, now_ms);
        if memory.devices.len() >= MAX_DEVICES {
            memory.devices.clear();
        }
        memory.devices.insert(digest, account);
        memory.sessions.begin(secret::digest(&session), &person.name, now_ms);
        drop(memory);
        Ok(NewSession { person, session, device })
    }

    /// What failures of a login count against: the browser, if this account was entered with it before, else the address, or this
    /// machine.
    fn source(&self, device: Option<&str>, account: &str, from: IpAddr) -> String {
        let digest = device.map(secret::digest);
        let known = digest.filter(|digest| self.memory().devices.get(digest).is_some_and(|of| of == account));
        known.map_or_else(|| source_of(from), |digest| device_source(&digest))
    }

    /// Ends a session.
    pub fn log_out(&self, session: &str) {
        self.memory().sessions.end(&secret::digest(session));
    }

    /// A person changes the own password; all other sessions of that person end. Tokens stay: the names of those are returned.
    /// Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn change_own_password(
        &self,
        name: &str,
        (old, new): (&str, &str),
        session: Option<&str>,
        from: IpAddr,
    ) -> Result<Vec<String>, LoginRefused> {
        self.prove(name, old, &source_of(from), &account_of(name))?;
        let _turn = self.hashing_turn(Asks::Known)?;
        let set = (hashed("new", name, new)?, self.clock.now_ms());
        self.change(Some(&By::new(name, from)), |accounts| accounts.change_person(name, None, Some(set)))?;
        let kept: Option<SessionId> = session.map(secret::digest);
        let mut memory = self.memory();
        memory.sessions.end_all_of(name, kept.as_ref());
        // Whoever had the old password may have a browser that is known.
        memory.devices.retain(|_, of| *of != account_of(name));
        drop(memory);
        Ok(self.accounts().tokens_of(name))
    }

    /// One more person. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn add_person(&self, by: &By, name: &str, role: Role, password: &str) -> Result<(), LoginRefused> {
        let _turn = self.hashing_turn(Asks::Known)?;
        let password = hashed("password", name, password)?;
        let made_by = Some(by.who.clone());
        let set_ms = self.clock.now_ms();
        let name = name.to_owned();
        let person = Person { name, role, password, set_ms, made_by, changed: None, after_removal_ms: None };
        self.change(Some(by), |accounts| accounts.add_person(person))
    }

    /// Another role or password of somebody; a new password ends the sessions. Blocks. Before and after.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn change_person(
        &self,
        by: &By,
        name: &str,
        role: Option<Role>,
        password: Option<&str>,
    ) -> Result<(Person, Person), LoginRefused> {
        let _turn = self.hashing_turn(Asks::Known)?;
        let set = match password {
            Some(password) => Some((hashed("password", name, password)?, self.clock.now_ms())),
            None => None,
        };
        let before = self.accounts().person(name).cloned().ok_or(Unchanged::Unknown)?;
        let after = self.change(Some(by), |accounts| accounts.change_person(name, role, set))?;
        if password.is_some() {
            self.memory().sessions.end_all_of(&after.name, None);
        }
        Ok((before, after))
    }

    /// Removes a person, whose sessions and tokens end. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn remove_person(&self, by: &By, name: &str) -> Result<(Person, Vec<Token>), LoginRefused> {
        let removed = self.change(Some(by), |accounts| accounts.remove_person(name))?;
        self.memory().sessions.end_all_of(&removed.0.name, None);
        Ok(removed)
    }

    /// A new token, in clear: this is the only time. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn make_token(&self, by: &By, name: &str, role: Role) -> Result<String, LoginRefused> {
        let made = secret::make(SecretKind::Token).map_err(|error| failed(&error))?;
        let token = Token {
            name: name.to_owned(),
            role,
            hash: secret::digest_text(&made),
            made_ms: self.clock.now_ms(),
            made_by: by.who.clone(),
            used_ms: None,
        };
        self.change(Some(by), |accounts| accounts.add_token(token))?;
        Ok(made)
    }

    /// Revokes a token, and those made with it. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused`].
    pub fn revoke_token(&self, by: &By, name: &str) -> Result<Revoked, LoginRefused> {
        self.change(Some(by), |accounts| accounts.remove_token(name))
    }

    /// The tokens with their last use up to now.
    pub fn tokens(&self) -> Vec<Token> {
        let accounts = self.accounts();
        let memory = self.memory();
        let mut tokens = accounts.tokens.clone();
        put_uses(&mut tokens, &memory.uses);
        tokens
    }

    /// Writes down when tokens were used. Blocks. A failure is logged, and it is tried again the next time.
    pub fn save_uses(&self) {
        if self.memory().uses.is_empty() {
            return;
        }
        let uses = self.memory().uses.clone();
        let saved = self.change(None, |accounts| {
            put_uses(&mut accounts.tokens, &uses);
            Ok(())
        });
        if saved.is_ok() {
            self.memory().uses.retain(|hash, used_ms| uses.get(hash) != Some(used_ms));
        }
    }

    /// Changes the accounts: told in the audit, then on the disk, then in memory. `by`: `None` for what is not for people to know.
    fn change<T>(
        &self,
        by: Option<&By>,
        change: impl FnOnce(&mut Accounts) -> Result<T, Unchanged>,
    ) -> Result<T, LoginRefused> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.accounts();
        let mut accounts = Accounts::clone(&before);
        let changed = change(&mut accounts)?;
        if let Some(by) = by {
            accounts.note_changes(&before, &(self.own)(), &by.who, self.clock.now_ms());
        }
        let told = by.and_then(|by| told(&before, &accounts, by));
        self.put(accounts, told.as_slice())?;
        Ok(changed)
    }

    /// Told, then on the disk, then in memory.
    fn put(&self, accounts: Accounts, told: &[AccountChange]) -> Result<(), LoginRefused> {
        for AccountChange { act, was, is } in told.iter().cloned() {
            self.audit.write_blocking(act.done(self.clock.now_ms(), was, is)).map_err(|_| LoginRefused::Failed)?;
        }
        if let Err(error) = self.accounts_file.save(&accounts) {
            warn!(event = "accounts_not_saved", reason = error.to_string(); "people and tokens cannot be saved: nothing was changed");
            for AccountChange { act, .. } in told.iter().cloned() {
                // Else the entry above would be believed. If this one cannot be written either, it waits.
                self.audit.note_refusal(act, "not_saved");
            }
            return Err(LoginRefused::Failed);
        }
        *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
        self.people_news.notify_one();
        Ok(())
    }

    /// Takes over what another central says of the people of the site. Whose password changed, or who is gone, is logged out. Blocks.
    ///
    /// # Errors
    /// [`LoginRefused::Failed`]: nothing was taken.
    pub fn merge_people(&self, from: &CentralId, said: Vec<PersonRecord>) -> Result<(), LoginRefused> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now_ms) = (self.accounts(), self.clock.now_ms());
        let merged = before.merged(said, &(self.own)(), now_ms, &secret::is_usable_hash);
        let by = By::new(format!("central:{from}"), "");
        if merged.unfit > 0 {
            warn!(event = "people_not_taken", peer = from.as_str(), records = merged.unfit; "a central says of people what no central of ours would say, or more than there is room for");
        }
        self.tell_overruled(&merged.overruled, &by)?;
        if let Some(name) = &merged.kept {
            warn!(event = "administrator_kept", name = name.as_str(); "the last administrator was removed elsewhere, and stays: there would be none");
        }
        let after = merged.accounts;
        if after == *before {
            return Ok(());
        }
        self.put(after.clone(), &each_told(&before, &after, &by))?;
        info!(event = "people_merged", peer = from.as_str(), people = after.people.len(); "who may log in was changed at another central");
        let mut memory = self.memory();
        if after.has_administrator() {
            memory.first_code = None;
        }
        for was in &before.people {
            if after.person(&was.name).is_none_or(|is| is.password != was.password || is.name != was.name) {
                memory.sessions.end_all_of(&was.name, None);
                memory.devices.retain(|_, of| *of != account_of(&was.name));
            }
        }
        Ok(())
    }

    /// Tells each once of what was changed at two centrals.
    fn tell_overruled(&self, overruled: &[Overruled], by: &By) -> Result<(), LoginRefused> {
        for one in overruled {
            if self.memory().overruled.contains(one) {
                continue;
            }
            let act = Act::new(audit::Kind::Person, by.clone(), &one.name);
            let side = |of: &Changed| json!({"by": of.by, "central": of.central, "at_ms": of.at_ms});
            let entry = act.done(self.clock.now_ms(), side(&one.lost), side(&one.counts));
            let entry = AuditEntry { outcome: OVERRULED.to_owned(), ..entry };
            self.audit.write_blocking(entry).map_err(|_| LoginRefused::Failed)?;
            warn!(event = "person_overruled", name = one.name.as_str(), by = one.lost.by.as_str(), counts = one.counts.by.as_str(); "a person was changed at two centrals that did not know of each other: the later change counts");
            let mut memory = self.memory();
            memory.overruled.push(one.clone());
            let excess = memory.overruled.len().saturating_sub(MOST_OVERRULED);
            memory.overruled.drain(..excess);
        }
        Ok(())
    }

    /// What was changed at two centrals without either knowing of the other, the latest last; since the start.
    pub fn overruled(&self) -> Vec<Overruled> {
        self.memory().overruled.clone()
    }

    /// Returns when people or tokens are others than at the last return.
    pub async fn people_changed(&self) {
        self.people_news.notified().await;
    }

    fn hashing_turn(&self, asks: Asks) -> Result<Turn<'_>, LoginRefused> {
        self.hashing.take(asks).ok_or(LoginRefused::Busy)
    }

    fn attempt(&self, source: &str, account: Option<&str>) -> Result<(), LoginRefused> {
        self.memory().throttle.attempt(source, account, self.now_ms()).map_err(LoginRefused::Wait)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a clock that only goes forward, ms since the start.
    fn now_ms(&self) -> Ms {
        Ms::try_from(self.started.elapsed().as_millis()).unwrap_or(Ms::MAX)
    }
}

fn put_uses(tokens: &mut [Token], uses: &HashMap<String, i64>) {
    for token in tokens {
        token.used_ms = uses.get(&token.hash).copied().or(token.used_ms);
    }
}

fn hashed(field: &str, name: &str, new: &str) -> Result<String, LoginRefused> {
    check_password(field, name, new).map_err(Unchanged::Field)?;
    secret::hash_password(new).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> LoginRefused {
    error!(event = "access_failed", reason = error.to_string(); "a login, a password or a token could not be handled");
    LoginRefused::Failed
}

/// A browser as a source of its own.
fn device_source(digest: &[u8; 32]) -> String {
    format!("device {digest:02x?}")
}

fn account_of(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What a caller shows to prove who it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'r> {
    /// Of the cookie.
    pub session: Option<&'r str>,
    /// From the header `Authorization` or `X-Edge-Key`: a token or the key of an edge.
    pub secret: Option<&'r str>,
}

/// What a caller showed, without what could be shown again: for a socket, which stays open longer than an answer takes.
#[derive(Debug, Clone)]
pub enum LoginProof {
    Nothing,
    Session(SessionId),
    /// `of_edge`: it is the key of one, else a token.
    Secret {
        hash: String,
        of_edge: bool,
    },
}

impl Shown<'_> {
    pub fn proof(self) -> LoginProof {
        match (self.secret, self.session) {
            (Some(shown), _) => LoginProof::Secret {
                hash: secret::digest_text(shown),
                of_edge: shown.starts_with(SecretKind::EdgeKey.prefix()),
            },
            (None, Some(session)) => LoginProof::Session(secret::digest(session)),
            (None, None) => LoginProof::Nothing,
        }
    }
}

#[derive(Debug, Default)]
struct HashCounts {
    running: [usize; 2],
    waiting: [usize; 2],
}

/// Who asks: somebody who is known, or anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Known,
    Stranger,
}

/// How many run and how many wait.
#[derive(Debug)]
struct HashTurns {
    /// Of all, and of strangers among them.
    most_running: [usize; 2],
    most_waiting: [usize; 2],
    counts: Mutex<HashCounts>,
    free: Condvar,
}

/// It is somebody's turn until this is dropped.
#[derive(Debug)]
struct Turn<'t>(&'t HashTurns, Asks);

impl HashCounts {
    fn of_all(of: [usize; 2]) -> usize {
        let [known, strangers] = of;
        known + strangers
    }

    /// Whether one more does not fit.
    fn are_full(of: [usize; 2], most: [usize; 2], asks: Asks) -> bool {
        let ([_, strangers], [most, most_strangers]) = (of, most);
        Self::of_all(of) >= most || asks == Asks::Stranger && strangers >= most_strangers
    }
}

/// One more or one less of those who ask so.
fn count(of: &mut [usize; 2], asks: Asks) -> &mut usize {
    let [known, strangers] = of;
    if asks == Asks::Known { known } else { strangers }
}

impl HashTurns {
    /// Most of all, and of strangers among them.
    fn new(most_running: [usize; 2], most_waiting: [usize; 2]) -> Self {
        Self { most_running, most_waiting, counts: Mutex::default(), free: Condvar::new() }
    }

    /// Waits for a turn; `None` at once: too many wait already.
    fn take(&self, asks: Asks) -> Option<Turn<'_>> {
        let mut counts = self.counts();
        if HashCounts::are_full(counts.running, self.most_running, asks) {
            if HashCounts::are_full(counts.waiting, self.most_waiting, asks) {
                return None;
            }
            *count(&mut counts.waiting, asks) += 1;
            while HashCounts::are_full(counts.running, self.most_running, asks) {
                counts = self.free.wait(counts).unwrap_or_else(PoisonError::into_inner);
            }
            *count(&mut counts.waiting, asks) -= 1;
        }
        *count(&mut counts.running, asks) += 1;
        Some(Turn(self, asks))
    }

    fn counts(&self) -> MutexGuard<'_, HashCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *count(&mut self.0.counts().running, self.1) -= 1;
        // Who wakes may be a stranger who may not run yet.
        self.0.free.notify_all();
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod turns_tests {
    use super::*;

    #[test]
    fn some_run_some_wait_and_the_rest_is_sent_away() {
        let turns = HashTurns::new([2, 1], [2, 1]);
        let known = || turns.take(Asks::Known);
        let (first, _second) = (known().unwrap(), known().unwrap());
        std::thread::scope(|scope| {
            let waiting = [(); 2].map(|()| scope.spawn(|| known().is_some()));
            while HashCounts::of_all(turns.counts().waiting) < 2 {
                std::thread::yield_now();
            }
            assert!(known().is_none(), "two wait already");
            drop(first);
            assert!(waiting.into_iter().all(|one| one.join().unwrap()));
        });
        assert_eq!(HashCounts::of_all(turns.counts().running), 1);
    }

    #[test]
    fn strangers_take_no_turn_and_no_place_of_who_is_known() {
        let turns = HashTurns::new([2, 1], [2, 1]);
        let stranger = turns.take(Asks::Stranger).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| turns.take(Asks::Stranger).is_some());
            while HashCounts::of_all(turns.counts().waiting) == 0 {
                std::thread::yield_now();
            }
            assert!(turns.take(Asks::Stranger).is_none(), "one waits already");
            // One after the other.
            for _ in 0..10 {
                assert!(turns.take(Asks::Known).is_some());
            }
            drop(stranger);
            assert!(second.join().unwrap());
        });
    }
}
