//! What a source text names: paths, inside `use` and anywhere else, and macros. Found among its tokens, so neither comments
//! nor texts deceive, and a path inside a macro's arguments counts like any other.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Something a source text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    /// The module it stands in, from the root of the crate.
    pub module: Vec<String>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A path of this crate, from its root: `crate::a::b`, `self::b`, `super::b`, and `parkmesh::a::b`.
    Own(Vec<String>),
    /// Any other path, as written: of another crate, of `std`, or of something in scope.
    Other(Vec<String>),
    /// A macro that is called.
    Macro(String),
}

/// Everything the text of a file names; `module` is the module the file is.
pub fn named(text: &str, module: &[String]) -> Vec<Named> {
    let tokens: TokenStream = text.parse().expect("a Rust source");
    let mut found = Vec::new();
    walk(tokens, module, &mut found);
    found
}

fn walk(tokens: TokenStream, module: &[String], found: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = at + 1;
        at = match token {
            TokenTree::Ident(ident) if *ident == "mod" && inline_module(&tokens[next..]).is_some() => {
                let (name, body) = inline_module(&tokens[next..]).expect("just seen");
                let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
                walk(body, &inner, found);
                next + 2
            }
            TokenTree::Ident(ident) => path(&tokens, at, ident, module, found),
            TokenTree::Group(group) => {
                walk(group.stream(), module, found);
                next
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => next,
        };
    }
}

/// The name and the body of `name { … }`.
fn inline_module(tokens: &[TokenTree]) -> Option<(String, TokenStream)> {
    match tokens {
        [TokenTree::Ident(name), TokenTree::Group(body), ..] if body.delimiter() == Delimiter::Brace => {
            Some((name.to_string(), body.stream()))
        }
        _ => None,
    }
}

/// Reads the path that begins at `at`; gives the place behind it.
fn path(tokens: &[TokenTree], mut at: usize, first: &Ident, module: &[String], found: &mut Vec<Named>) -> usize {
    let mut segments = vec![first.to_string()];
    at += 1;
    let mut record = |segments: Vec<String>| {
        let what = resolve(segments, module);
        found.push(Named { line: first.span().start().line, module: module.to_vec(), what });
    };
    while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(segment)) => segments.push(segment.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                branches(group.stream(), &segments).into_iter().for_each(&mut record);
                return at + 3;
            }
            // `::<…>`: what is between the brackets is walked like anything else.
            _ => break,
        }
        at += 3;
    }
    // `a != b` is no macro.
    if is_punct(tokens.get(at), '!') && !is_punct(tokens.get(at + 1), '=') {
        let called = segments.last().expect("it has a first segment").clone();
        found.push(Named { line: first.span().start().line, module: module.to_vec(), what: What::Macro(called) });
        return at + 1;
    }
    record(segments);
    at
}

/// The paths of `{a, b::{c, d}, self}` behind a common start.
fn branches(tokens: TokenStream, start: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut current = start.to_vec();
    let mut grouped = false;
    let mut renamed = false;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                if !grouped && current.len() > start.len() {
                    paths.push(current);
                }
                (current, grouped, renamed) = (start.to_vec(), false, false);
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' => current.push("*".to_owned()),
            TokenTree::Ident(ident) if ident == "as" => renamed = true,
            TokenTree::Ident(ident) if !renamed => current.push(ident.to_string()),
            TokenTree::Group(group) => {
                paths.extend(branches(group.stream(), &current));
                grouped = true;
            }
            _ => {}
        }
    }
    if !grouped && current.len() > start.len() {
        paths.push(current);
    }
    paths
}

fn resolve(mut segments: Vec<String>, module: &[String]) -> What {
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let (base, taken) = match segments.first().map(String::as_str) {
        Some("crate" | "parkmesh") => (&[][..], 1),
        Some("self") if segments.len() > 1 => (module, 1),
        Some("super") => {
            let levels = segments.iter().take_while(|segment| *segment == "super").count();
            (&module[..module.len().saturating_sub(levels)], levels)
        }
        _ => return What::Other(segments),
    };
    What::Own(base.iter().cloned().chain(segments.into_iter().skip(taken)).collect())
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}
