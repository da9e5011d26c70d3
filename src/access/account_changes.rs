//! What a change of people and tokens is to those who look at it later: names, roles and times, never a hash.

use serde_json::{Value, json};

use super::accounts::{Accounts, Person, Token};
use crate::domain::audit::{Act, By, Kind, changes};

/// A change, as the audit tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountChange {
    pub act: Act,
    pub was: Value,
    pub is: Value,
}

/// What changed; `None`: nothing that concerns anybody, such as the last use of a token.
#[must_use]
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
    use crate::access::who::Role;

    #[test]
    fn a_change_is_told_without_a_hash() {
        let mut before = Accounts::default();
        let person = |name: &str, password: &str, set_ms| Person {
            name: name.to_owned(),
            role: Role::Administrator,
            password: password.to_owned(),
            set_ms,
            made_by: None,
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
