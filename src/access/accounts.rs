//! People and tokens, what may be changed of them, and how a change is told to those who look at it later. Of every secret only a
//! hash is here, and none is told.
//!
//! - There is always an administrator once there was one: the last one can be neither removed nor made an operator.
//! - A token is good as long as who made it could make it: he has seen it, so it ends when he is removed; that of an administrator
//!   also when he is made an operator; and with it what was made with it. A token that is revoked takes those made with it along.
//! - People stay, whoever added them: they may have worked for years. Who added them is remembered, and whoever revokes a token is
//!   told which people were added with it.

use std::collections::BTreeSet;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::people::{Changed, RemovedPerson};
use super::right::{Role, Who};
use crate::domain::audit::{Act, By, Kind, changes};
use crate::domain::problem::FieldProblem;

/// Most people and most tokens of one central. A site has some ten.
pub(super) const MAX_PEOPLE: usize = 200;
const MAX_TOKENS: usize = 100;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 40;
/// Shorter passwords are guessed; longer ones only cost time to hash.
const MIN_PASSWORD_CHARS: usize = 8;
const MAX_PASSWORD_CHARS: usize = 128;
/// What is tried first by whoever guesses.
const COMMON_PASSWORDS: [&str; 12] = [
    "12345678",
    "123456789",
    "1234567890",
    "password",
    "password1",
    "matkhau123",
    "admin123",
    "parkmesh",
    "qwertyuiop",
    "11111111",
    "88888888",
    "iloveyou",
];

/// All of a central.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Accounts {
    pub people: Vec<Person>,
    pub tokens: Vec<Token>,
    /// Who was removed: to be told to centrals that have not heard of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedPerson>,
}

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// The hash of the password, in PHC format.
    pub password: String,
    /// When the password was last set, Unix ms.
    pub set_ms: i64,
    /// The person or token that added this one; `None`: a one-time code, or a version that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// Who said last what holds of this person; `None`: an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// When somebody of that name was removed before this one was added, as removals are timed; `None`: nobody is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_removal_ms: Option<i64>,
}

/// What a program shows instead of a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub name: String,
    pub role: Role,
    /// The hash of the token, in hex.
    pub hash: String,
    /// When and by whom it was made.
    pub made_ms: i64,
    pub made_by: String,
    /// When it was last used, Unix ms, to the hour; `None`: never.
    pub used_ms: Option<i64>,
}

/// Why accounts were not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchanged {
    /// A field is wrong.
    Field(FieldProblem),
    /// There is one of that name already.
    Exists,
    /// There is none of that name.
    Unknown,
    /// Nobody could administer this central afterwards.
    LastAdministrator,
}

/// What a revoked token took along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Itself first.
    pub tokens: Vec<String>,
    /// Who was added with one of these. They are still there.
    pub people: Vec<String>,
}

impl Accounts {
    /// The person of that name, in whatever letter case.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| is_same(&person.name, name))
    }

    /// The token with this hash.
    pub fn token(&self, hash: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.hash == hash)
    }

    pub fn has_administrator(&self) -> bool {
        self.people.iter().any(|person| person.role == Role::Administrator)
    }

    /// One more person.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn add_person(&mut self, person: Person) -> Result<(), Unchanged> {
        let name = checked_name("name", &person.name)?;
        if self.person(&name).is_some() {
            return Err(Unchanged::Exists);
        }
        bounded("name", self.people.len(), MAX_PEOPLE)?;
        self.people.push(Person { name, ..person });
        Ok(())
    }

    /// Another role, another password, or both; returns the person as it is now. Of who may less the tokens that may more end.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn change_person(
        &mut self,
        name: &str,
        role: Option<Role>,
        password: Option<(String, i64)>,
    ) -> Result<Person, Unchanged> {
        let before = self.person(name).ok_or(Unchanged::Unknown)?.clone();
        let role = role.unwrap_or(before.role);
        let (password, set_ms) = password.unwrap_or((before.password.clone(), before.set_ms));
        let after = Person { role, password, set_ms, ..before.clone() };
        self.keep_an_administrator(&before, role == Role::Administrator)?;
        if let Some(slot) = self.people.iter_mut().find(|person| person.name == before.name) {
            slot.clone_from(&after);
        }
        if after.role < before.role {
            let before = Who::Person { name: before.name, role: before.role };
            self.end_tokens_of(&before, |token| token.role > after.role);
        }
        Ok(after)
    }

    /// Removes a person, and the tokens that person made; returns both as they were.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn remove_person(&mut self, name: &str) -> Result<(Person, Vec<Token>), Unchanged> {
        let before = self.person(name).ok_or(Unchanged::Unknown)?.clone();
        self.keep_an_administrator(&before, false)?;
        self.people.retain(|person| person.name != before.name);
        let ended = self.end_tokens_of(&Who::Person { name: before.name.clone(), role: before.role }, |_| true);
        Ok((before, ended))
    }

    /// Takes away those of the tokens somebody made that `ends` names, and what was made with these.
    pub(super) fn end_tokens_of(&mut self, maker: &Who, ends: impl Fn(&Token) -> bool) -> Vec<Token> {
        let mut ended: Vec<Token> = Vec::new();
        let mut makers = vec![maker.to_string()];
        while let Some(maker) = makers.pop() {
            let (gone, stay) = std::mem::take(&mut self.tokens)
                .into_iter()
                .partition(|token: &Token| is_same(&token.made_by, &maker) && ends(token));
            self.tokens = stay;
            makers
                .extend(gone.iter().map(|token| Who::Token { name: token.name.clone(), role: token.role }.to_string()));
            ended.extend(gone);
        }
        ended
    }

    fn keep_an_administrator(&self, before: &Person, stays: bool) -> Result<(), Unchanged> {
        let others = self.people.iter().filter(|person| person.name != before.name);
        let is_last = !others.into_iter().any(|person| person.role == Role::Administrator);
        if before.role == Role::Administrator && !stays && is_last { Err(Unchanged::LastAdministrator) } else { Ok(()) }
    }

    /// The administrator of that name with this password, new or known: what a one-time code allows.
    ///
    /// # Errors
    /// [`Unchanged::Field`].
    pub fn put_administrator(&mut self, name: &str, password: String, set_ms: i64) -> Result<Person, Unchanged> {
        if self.person(name).is_some() {
            return self.change_person(name, Some(Role::Administrator), Some((password, set_ms)));
        }
        let role = Role::Administrator;
        let name = checked_name("name", name)?;
        let person = Person { name, role, password, set_ms, made_by: None, changed: None, after_removal_ms: None };
        self.add_person(person.clone())?;
        Ok(person)
    }

    /// One more token.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn add_token(&mut self, token: Token) -> Result<(), Unchanged> {
        let name = checked_name("name", &token.name)?;
        if self.tokens.iter().any(|held| is_same(&held.name, &name)) {
            return Err(Unchanged::Exists);
        }
        bounded("name", self.tokens.len(), MAX_TOKENS)?;
        self.tokens.push(Token { name, ..token });
        Ok(())
    }

    /// Revokes a token and those made with it; the names of all of them, and of the people who were added with them.
    ///
    /// # Errors
    /// [`Unchanged::Unknown`].
    pub fn remove_token(&mut self, name: &str) -> Result<Revoked, Unchanged> {
        let at = self.tokens.iter().position(|token| is_same(&token.name, name)).ok_or(Unchanged::Unknown)?;
        let mut ended = vec![self.tokens.remove(at)];
        let who = |token: &Token| Who::Token { name: token.name.clone(), role: token.role };
        if let Some(revoked) = ended.first().map(who) {
            ended.extend(self.end_tokens_of(&revoked, |_| true));
        }
        let makers: Vec<String> = ended.iter().map(|token| who(token).to_string()).collect();
        let was_added = |person: &&Person| {
            person.made_by.as_ref().is_some_and(|made_by| makers.iter().any(|maker| is_same(maker, made_by)))
        };
        let people = self.people.iter().filter(was_added).map(|person| person.name.clone()).collect();
        Ok(Revoked { tokens: ended.into_iter().map(|token| token.name).collect(), people })
    }

    /// The names of the tokens this person made.
    pub fn tokens_of(&self, person: &str) -> Vec<String> {
        let made = self.tokens.iter().filter(|token| is_same(&token.made_by, person));
        made.map(|token| token.name.clone()).collect()
    }
}

fn is_same(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

/// A name as it is compared.
pub(super) fn folded(name: &str) -> String {
    seen(name).to_lowercase()
}

/// A name as it looks, however a keyboard typed it: accents with their letters, usual widths, one blank between words.
fn seen(name: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(name);
    let words: Vec<&str> = composed.trim().split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").replace(['Ð', 'Ɖ'], "Đ")
}

/// A letter or digit that is mistaken for no other: those of other alphabets look like Latin ones, alone or in whole names.
fn is_plain(c: char) -> bool {
    let is_latin = matches!(c, '\u{c0}'..='\u{17e}' | 'Ơ' | 'ơ' | 'Ư' | 'ư' | '\u{1ea0}'..='\u{1ef9}');
    c.is_ascii_alphanumeric() || is_latin && !"×÷ðİıĸ".contains(c)
}

/// A name as it is kept, of people and tokens: people type it, it stands in logs and in the audit, and in the path of its own
/// address, where `.` and `..` mean something else.
pub(super) fn checked_name(field: &str, name: &str) -> Result<String, Unchanged> {
    let name = seen(name);
    let is_good = |c: char| is_plain(c) || " .-_@".contains(c);
    if !name.starts_with(is_plain) || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(is_good) {
        return Err(Unchanged::Field(FieldProblem::new(
            field,
            "bad_name",
            format!(
                "gồm 1 đến {MAX_NAME_CHARS} chữ cái Latinh (có dấu hay không), chữ số, dấu cách và . - _ @, bắt đầu bằng chữ cái hoặc chữ số"
            ),
            format!(
                "1 to {MAX_NAME_CHARS} Latin letters with or without accents, digits, blanks and . - _ @, beginning with a letter or digit"
            ),
        )));
    }
    Ok(name)
}

fn bounded(field: &str, held: usize, most: usize) -> Result<(), Unchanged> {
    if held < most {
        return Ok(());
    }
    let (vi, en) = (format!("tối đa {most}; hãy xóa bớt"), format!("there are {most} already; remove one first"));
    Err(Unchanged::Field(FieldProblem::new(field, "too_many", vi, en)))
}

/// Whether a password is hard enough to guess.
///
/// # Errors
/// What is wrong with it.
pub fn check_password(field: &str, name: &str, password: &str) -> Result<(), FieldProblem> {
    let chars = password.chars().count();
    if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&chars) {
        return Err(FieldProblem::new(
            field,
            "bad_length",
            format!("mật khẩu dài từ {MIN_PASSWORD_CHARS} đến {MAX_PASSWORD_CHARS} ký tự"),
            format!("a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters"),
        ));
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if COMMON_PASSWORDS.contains(&lower.as_str()) || is_same(&lower, name) || lower.chars().all(|c| Some(c) == first) {
        return Err(FieldProblem::new(
            field,
            "easily_guessed",
            "mật khẩu này ai cũng đoán được; hãy chọn mật khẩu khác, ví dụ ba từ ghép lại",
            "this is guessed at once; take another one, three words in a row for example",
        ));
    }
    Ok(())
}

/// A change, as the audit tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountChange {
    pub act: Act,
    pub was: Value,
    pub is: Value,
}

/// What changed; `None`: nothing that concerns anybody, such as the last use of a token.
pub fn told(before: &Accounts, after: &Accounts, by: &By) -> Option<AccountChange> {
    let person = |one: &Person| json!({"id": one.name, "role": one.role, "password_set_ms": one.set_ms});
    let people = |accounts: &Accounts| json!(accounts.people.iter().map(person).collect::<Vec<_>>());
    let token = |one: &Token| json!({"id": one.name, "role": one.role});
    let tokens = |accounts: &Accounts| json!(accounts.tokens.iter().map(token).collect::<Vec<_>>());
    let (was, is) = changes(&people(before), &people(after));
    let paths = paths(&was, &is);
    if let Some(first) = paths.first() {
        let only_password = paths.iter().all(|path| path.ends_with(".password_set_ms"));
        let kind = if only_password { Kind::Password } else { Kind::Person };
        let act = Act::new(kind, by.clone(), name_of(first));
        let (tokens_were, tokens_are) = changes(&tokens(before), &tokens(after));
        return Some(AccountChange { act, was: with_tokens(was, tokens_were), is: with_tokens(is, tokens_are) });
    }
    let (was, is) = changes(&tokens(before), &tokens(after));
    let name = self::paths(&was, &is).first().map(|path| name_of(path))?;
    Some(AccountChange { act: Act::new(Kind::Token, by.clone(), name), was, is })
}

/// As [`told`], of several people at a time, each by itself; the tokens that ended with them together.
pub fn each_told(before: &Accounts, after: &Accounts, by: &By) -> Vec<AccountChange> {
    let names: BTreeSet<String> =
        [before, after].iter().flat_map(|accounts| &accounts.people).map(|person| folded(&person.name)).collect();
    let only = |accounts: &Accounts, name: &str| Accounts {
        people: accounts.person(name).into_iter().cloned().collect(),
        ..Accounts::default()
    };
    let tokens = |accounts: &Accounts| Accounts { tokens: accounts.tokens.clone(), ..Accounts::default() };
    let people = names.iter().filter_map(|name| told(&only(before, name), &only(after, name), by));
    people.chain(told(&tokens(before), &tokens(after), by)).collect()
}

/// With the tokens that ended with a person, told apart from the people.
fn with_tokens(people: Value, tokens: Value) -> Value {
    match (people, tokens) {
        (Value::Object(mut people), Value::Object(tokens)) => {
            people.extend(tokens.into_iter().map(|(path, value)| (format!("token:{path}"), value)));
            Value::Object(people)
        }
        (people, _) => people,
    }
}

fn paths(was: &Value, is: &Value) -> Vec<String> {
    let sides = [was, is].into_iter().filter_map(Value::as_object);
    sides.flat_map(|side| side.keys().cloned()).collect()
}

/// Whose field it is; one at a time is changed.
fn name_of(path: &str) -> String {
    path.rsplit_once('.').map_or_else(String::new, |(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::right::Role;

    fn person(name: &str, role: Role) -> Person {
        Person {
            name: name.to_owned(),
            role,
            password: "hash".to_owned(),
            set_ms: 1,
            made_by: None,
            changed: None,
            after_removal_ms: None,
        }
    }

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.add_person(person("An", Role::Administrator)).unwrap();
        accounts.add_person(person("Bình", Role::Operator)).unwrap();
        accounts
    }

    #[test]
    fn the_last_administrator_stays_one() {
        let mut accounts = accounts();
        let before = accounts.clone();
        assert_eq!(accounts.remove_person("an"), Err(Unchanged::LastAdministrator));
        assert_eq!(accounts.change_person("AN", Some(Role::Operator), None), Err(Unchanged::LastAdministrator));
        assert_eq!(accounts, before);
        accounts.change_person("bình", Some(Role::Administrator), None).unwrap();
        accounts.remove_person("an").unwrap();
        assert!(accounts.has_administrator());
    }

    #[test]
    fn names_are_told_apart_without_letter_case_and_have_a_shape() {
        let mut accounts = accounts();
        assert_eq!(accounts.add_person(person(" BÌNH ", Role::Operator)), Err(Unchanged::Exists));
        for wrong in ["", "  ", "a\nb", "<b>", ".", "..", "...", "./a", "-", "-rf", "@", "_", &"x".repeat(41)] {
            let refused = accounts.add_person(person(wrong, Role::Operator));
            assert!(matches!(refused, Err(Unchanged::Field(_))), "{wrong:?}");
        }
        accounts.add_person(person("Ca đêm 2", Role::Operator)).unwrap();
        assert!(accounts.person("ca ĐÊM 2").is_some());
    }

    #[test]
    fn who_looks_like_somebody_is_that_one_or_nobody() {
        let mut accounts = accounts();
        for name in ["admin", "Hoa", "Đạt", "Ca đêm"] {
            accounts.add_person(person(name, Role::Operator)).unwrap();
        }
        // As some keyboards write it, and some programs.
        for same in ["Bi\u{300}nh", "ＡＤＭＩＮ", "𝐚dmin", "Ðạt", "ca  đêm", "Ca\u{a0}đêm"] {
            assert_eq!(accounts.add_person(person(same, Role::Operator)), Err(Unchanged::Exists), "{same}");
            assert!(accounts.person(same).is_some(), "and logs in: {same}");
        }
        // Cyrillic, in part and whole; Greek, Armenian, Cherokee, without a dot, with one that is not seen, in other digits.
        for wrong in [
            "\u{430}dmin",
            "\u{4a2}\u{43e}\u{430}",
            "\u{4bb}\u{43e}\u{430}",
            "adm\u{3b9}n",
            "h\u{585}a",
            "\u{13bb}oa",
            "adm\u{131}n",
            "ad\u{200b}min",
            "admin\u{202e}",
            "h\u{9e6}a",
            "adm\u{4e28}n",
            "a\u{335}dmin",
            "admin\u{323}\u{323}",
        ] {
            let refused = accounts.add_person(person(wrong, Role::Operator));
            assert!(matches!(refused, Err(Unchanged::Field(_))), "{wrong:?}");
        }
        for good in ["Nguyễn Thị Hồng Ửng", "Đỗ Ý", "Müller", "Łukasz", "an@cổng-1"] {
            accounts.add_person(person(good, Role::Operator)).unwrap();
        }
    }

    #[test]
    fn a_code_makes_an_administrator_or_sets_the_password_of_one() {
        let mut accounts = Accounts::default();
        accounts.put_administrator("An", "first".to_owned(), 5).unwrap();
        accounts.put_administrator("an", "second".to_owned(), 6).unwrap();
        assert_eq!(
            accounts.people,
            [Person { password: "second".to_owned(), set_ms: 6, ..person("An", Role::Administrator) }]
        );
        accounts.add_person(person("Bình", Role::Operator)).unwrap();
        assert_eq!(accounts.put_administrator("Bình", "x".to_owned(), 7).unwrap().role, Role::Administrator);
    }

    #[test]
    fn tokens_are_found_by_their_hash_until_they_are_revoked() {
        let mut accounts = accounts();
        let token = Token {
            name: "backup".to_owned(),
            role: Role::Administrator,
            hash: "aa".to_owned(),
            made_ms: 1,
            made_by: "An".to_owned(),
            used_ms: None,
        };
        accounts.add_token(token.clone()).unwrap();
        assert_eq!(accounts.add_token(Token { name: "Backup".to_owned(), ..token.clone() }), Err(Unchanged::Exists));
        assert_eq!(accounts.token("aa"), Some(&token));
        assert_eq!(accounts.remove_token("BACKUP").unwrap().tokens, ["backup"]);
        assert_eq!(accounts.token("aa"), None);
        assert_eq!(accounts.remove_token("backup"), Err(Unchanged::Unknown));
    }

    #[test]
    fn a_token_ends_with_who_made_it_and_so_does_what_was_made_with_it() {
        let token = |name: &str, role, made_by: &str| Token {
            name: name.to_owned(),
            role,
            hash: name.to_owned(),
            made_ms: 1,
            made_by: made_by.to_owned(),
            used_ms: None,
        };
        let with_tokens = || {
            let mut accounts = accounts();
            accounts.change_person("Bình", Some(Role::Administrator), None).unwrap();
            for made in [
                token("backup", Role::Administrator, "Bình"),
                token("shift", Role::ShiftLead, "Bình"),
                token("watch", Role::Operator, "Bình"),
                token("of-backup", Role::Administrator, "token:backup"),
                token("of-watch", Role::Operator, "token:watch"),
                token("others", Role::Administrator, "An"),
                token("from-here", Role::Operator, ""),
            ] {
                accounts.add_token(made).unwrap();
            }
            accounts
        };
        let left = |accounts: &Accounts| accounts.tokens.iter().map(|token| token.name.clone()).collect::<Vec<_>>();

        let mut accounts = with_tokens();
        let (_, ended) = accounts.remove_person("bình").unwrap();
        assert_eq!(ended.len(), 5);
        assert_eq!(left(&accounts), ["others", "from-here"]);

        let mut accounts = with_tokens();
        accounts.change_person("Bình", None, Some(("other".to_owned(), 5))).unwrap();
        assert_eq!(left(&accounts).len(), 7, "another password ends none");
        accounts.change_person("Bình", Some(Role::ShiftLead), None).unwrap();
        assert_eq!(left(&accounts), ["shift", "watch", "of-watch", "others", "from-here"]);
        accounts.change_person("Bình", Some(Role::Operator), None).unwrap();
        assert_eq!(left(&accounts), ["watch", "of-watch", "others", "from-here"]);
    }

    #[test]
    fn a_revoked_token_takes_along_what_was_made_with_it_and_names_who_was_added_with_it() {
        let token = |name: &str, made_by: &str| Token {
            name: name.to_owned(),
            role: Role::Administrator,
            hash: name.to_owned(),
            made_ms: 1,
            made_by: made_by.to_owned(),
            used_ms: None,
        };
        let mut accounts = accounts();
        for made in [token("stolen", "An"), token("deeper", "token:stolen"), token("others", "An")] {
            accounts.add_token(made).unwrap();
        }
        for (name, made_by) in [("Kẻ gian", Some("token:deeper")), ("Chi", Some("token:others")), ("Em", Some("An"))]
        {
            let made_by = made_by.map(str::to_owned);
            accounts.add_person(Person { made_by, ..person(name, Role::Administrator) }).unwrap();
        }
        let revoked = accounts.remove_token("stolen").unwrap();
        assert_eq!(revoked.tokens, ["stolen", "deeper"]);
        assert_eq!(revoked.people, ["Kẻ gian"]);
        assert_eq!(accounts.tokens_of("an"), ["others"]);
        assert!(accounts.person("Kẻ gian").is_some(), "whoever revokes it decides that");
    }

    #[test]
    fn there_is_a_bound() {
        let mut accounts = Accounts::default();
        let added = (0..).take_while(|n| accounts.add_person(person(&format!("p{n}"), Role::Operator)).is_ok()).count();
        assert_eq!(added, MAX_PEOPLE);
    }

    #[test]
    fn passwords_that_are_guessed_at_once_are_refused() {
        for (password, code) in [
            ("short", "bad_length"),
            (&"x".repeat(129), "bad_length"),
            ("12345678", "easily_guessed"),
            ("PASSWORD", "easily_guessed"),
            ("aaaaaaaaaa", "easily_guessed"),
            ("nguyen-an", "easily_guessed"),
        ] {
            assert_eq!(check_password("password", "Nguyen-An", password).unwrap_err().code, code, "{password}");
        }
        assert_eq!(check_password("password", "An", "ba con voi"), Ok(()));
        assert_eq!(check_password("password", "An", "mật khẩu"), Ok(()), "characters, not bytes");
    }

    #[test]
    fn a_change_is_told_without_a_hash() {
        let mut before = Accounts::default();
        let person = |name: &str, password: &str, set_ms| Person {
            name: name.to_owned(),
            role: Role::Administrator,
            password: password.to_owned(),
            set_ms,
            made_by: None,
            changed: None,
            after_removal_ms: None,
        };
        before.add_person(person("An Đ. 2", "$argon2id$one", 1)).unwrap();
        let by = By::new("An", "10.0.0.1");
        let told_of = |change: &dyn Fn(&mut Accounts)| {
            let mut after = before.clone();
            change(&mut after);
            told(&before, &after, &by)
        };
        let kind_and_name = |told: Option<AccountChange>| told.map(|told| (told.act.kind, told.act.what));
        assert_eq!(told_of(&|_| {}), None);
        let new_password = told_of(&|accounts| {
            accounts.change_person("an đ. 2", None, Some(("$argon2id$two".into(), 2))).unwrap();
        });
        assert!(!format!("{new_password:?}").contains("argon"), "{new_password:?}");
        assert_eq!(kind_and_name(new_password), Some((Kind::Password, "An Đ. 2".to_owned())));
        let added = told_of(&|accounts| accounts.add_person(person("Bình", "x", 3)).unwrap());
        assert_eq!(kind_and_name(added), Some((Kind::Person, "Bình".to_owned())));
        let token = |hash: &str, used_ms| Token {
            name: "backup".to_owned(),
            role: Role::Operator,
            hash: hash.to_owned(),
            made_ms: 1,
            made_by: "An".to_owned(),
            used_ms,
        };
        let made = told_of(&|accounts| accounts.add_token(token("secret-hash", None)).unwrap());
        assert!(!format!("{made:?}").contains("secret"), "{made:?}");
        assert_eq!(kind_and_name(made), Some((Kind::Token, "backup".to_owned())));
        let (mut unused, mut used) = (Accounts::default(), Accounts::default());
        unused.add_token(token("h", None)).unwrap();
        used.add_token(token("h", Some(5))).unwrap();
        assert_eq!(told(&unused, &used, &by), None);
    }
}
