//! Walks a JSON object field by field and goes on after each wrong one, so that a report names them all.
//!
//! A deriving deserializer stops at the first error; a person who fills in a form wants every one of them.

use serde_json::{Map, Value};

use crate::domain::problem::FieldProblem;

/// What was found on the way.
#[derive(Debug, Default)]
pub struct Problems {
    /// Wrong: nothing can be made of this.
    pub problems: Vec<FieldProblem>,
    /// Odd, but usable.
    pub warnings: Vec<FieldProblem>,
}

/// Why a value is not what its field wants: code, Vietnamese, English. The field is added by the reader.
pub type Wrong = (&'static str, String, String);

/// One object being read. `null` counts as absent. Keys nobody asked for are warned of by [`ConfigFields::done`].
pub struct ConfigFields<'v> {
    path: String,
    /// `None`: there was none, or it was no object, which is reported already.
    object: Option<&'v Map<String, Value>>,
    asked: Vec<&'static str>,
}

impl<'v> ConfigFields<'v> {
    /// `path`: the name of the object itself; empty for the whole.
    pub fn of(value: &'v Value, path: &str, report: &mut Problems) -> Self {
        let object = value.as_object();
        if object.is_none() && !value.is_null() {
            report.problems.push(FieldProblem::wrong_type(path, "một đối tượng {…}", "an object {…}"));
        }
        Self { path: path.to_owned(), object, asked: Vec::new() }
    }

    /// The full name of a field of this object.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value, if there is one.
    pub fn get(&mut self, key: &'static str) -> Option<&'v Value> {
        self.asked.push(key);
        self.object?.get(key).filter(|value| !value.is_null())
    }

    /// A field that has to be there; an empty text counts as missing.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        report: &mut Problems,
        read: impl FnOnce(&Value) -> Result<T, Wrong>,
    ) -> Option<T> {
        match self.get(key) {
            Some(value) if value.as_str().is_none_or(|text| !text.trim().is_empty()) => {
                self.taken(key, read(value), report)
            }
            _ if self.object.is_none() && !self.path.is_empty() => None,
            _ => {
                report.problems.push(FieldProblem::missing(self.name(key)));
                None
            }
        }
    }

    /// A field that may be absent; `None` also if it is wrong, which is then reported.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        report: &mut Problems,
        read: impl FnOnce(&Value) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.get(key)?;
        self.taken(key, read(value), report)
    }

    /// A part of its own; an absent one has no fields.
    pub fn part(&mut self, key: &'static str, report: &mut Problems) -> ConfigFields<'v> {
        let path = self.name(key);
        match self.get(key) {
            Some(value) => ConfigFields::of(value, &path, report),
            None => ConfigFields { path, object: None, asked: Vec::new() },
        }
    }

    /// The members of a list of objects, of which there may be at most `max`; an absent one has none.
    pub fn list(&mut self, key: &'static str, max: usize, report: &mut Problems) -> Vec<ConfigFields<'v>> {
        let path = self.name(key);
        let members = match self.get(key) {
            None => return Vec::new(),
            Some(Value::Array(members)) => members,
            Some(_) => {
                report.problems.push(FieldProblem::wrong_type(path, "một danh sách […]", "a list […]"));
                return Vec::new();
            }
        };
        if members.len() > max {
            let (message_vi, message) = (format!("tối đa {max} mục"), format!("has more than {max} members"));
            report.problems.push(FieldProblem::new(path, "too_many", message_vi, message));
            return Vec::new();
        }
        let member = |(index, value): (usize, &'v Value)| {
            let path = format!("{path}[{index}]");
            if value.is_null() {
                report.problems.push(FieldProblem::wrong_type(&path, "một đối tượng {…}", "an object {…}"));
            }
            ConfigFields::of(value, &path, report)
        };
        members.iter().enumerate().map(member).collect()
    }

    /// Nothing more is asked of this object: what is left is unknown, and warned of, since it may be a slip.
    pub fn done(self, report: &mut Problems) {
        for key in self.object.into_iter().flat_map(Map::keys) {
            if !self.asked.contains(&key.as_str()) {
                report.warnings.push(FieldProblem::unknown_key(self.name(key)));
            }
        }
    }

    fn taken<T>(&self, key: &str, result: Result<T, Wrong>, report: &mut Problems) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err((code, message_vi, message)) => {
                report.problems.push(FieldProblem::new(self.name(key), code, message_vi, message));
                None
            }
        }
    }
}
