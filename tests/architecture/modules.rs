//! The modules of the pages: each that a page will need is named in its HTML, so that the browser asks for all at once and does
//! not learn of them one after the other.

use std::collections::BTreeSet;

/// What stands between `before` and the next `"`, each time.
fn quoted_after<'a>(content: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    content.split(before).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// The modules a module names in `import … from "…"`, by their path; what is imported later on is not among them.
pub fn imports(path: &str, content: &str) -> Vec<String> {
    let relative = quoted_after(content, " from \"").filter(|name| name.starts_with('.'));
    let resolve = |name: &str| {
        let mut folders: Vec<&str> = path.split('/').collect();
        folders.pop();
        for part in name.split('/').filter(|part| *part != ".") {
            if part == ".." {
                folders.pop();
            } else {
                folders.push(part);
            }
        }
        folders.join("/")
    };
    relative.map(resolve).collect()
}

/// What is wrong with the preloads of the page `name`. `read`: the text of a file in `static`.
pub fn faults(name: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let (mut needed, mut ahead) = (BTreeSet::new(), vec![format!("js/{name}.js")]);
    while let Some(path) = ahead.pop() {
        let named = imports(&path, &read(&path));
        ahead.extend(named.into_iter().filter(|path| needed.insert(path.clone())));
    }
    let page = read("layout.html") + &read(&format!("{name}.html"));
    let preloaded: BTreeSet<String> =
        quoted_after(&page, "<link rel=\"modulepreload\" href=\"/static/").map(str::to_owned).collect();
    let missing = needed.difference(&preloaded).map(|path| format!("{name}.html: no modulepreload of {path}"));
    let idle = preloaded.difference(&needed).map(|path| format!("{name}.html: nobody imports {path}"));
    missing.chain(idle).collect()
}
