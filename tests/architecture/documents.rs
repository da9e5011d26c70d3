//! What Markdown texts point at: links, headings, and files of this repository named as code.

use std::path::Path;

/// Folders of this repository: a code span that begins with one names a file.
const FOLDERS: [&str; 6] = ["src/", "docs/", "tests/", "config/", "benches/", ".ci/"];

/// What a document points at that does not exist, each with the target at its end.
pub fn faults(root: &Path, file: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let prose = without_blocks(text);
    if text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")) {
        faults.push("two versions of a passage, not merged".to_owned());
    }
    for target in link_targets(&prose) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, heading) = target.split_once('#').map_or((target.as_str(), None), |(path, id)| (path, Some(id)));
        let other = if path.is_empty() { file.to_path_buf() } else { file.parent().unwrap_or(root).join(path) };
        if !other.exists() {
            faults.push(format!("a link to nothing: {target}"));
        } else if let Some(heading) = heading {
            let there = if path.is_empty() { text.to_owned() } else { super::read(&other) };
            if !heading_ids(&there).iter().any(|id| id == heading) {
                faults.push(format!("no such heading: {target}"));
            }
        }
    }
    for span in code_spans(&prose) {
        let names_a_file = FOLDERS.iter().any(|folder| span.starts_with(folder));
        let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        // The one file a running program makes in the repository.
        if names_a_file && is_plain && span != "config/p2p_config.json" && !root.join(&span).exists() {
            faults.push(format!("no such file: {span}"));
        }
    }
    faults
}

/// The text between single backticks.
pub fn code_spans(text: &str) -> Vec<String> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The text without fenced blocks.
fn without_blocks(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

fn link_targets(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// The ids of headings as GitHub makes them.
fn heading_ids(text: &str) -> Vec<String> {
    let headings = without_blocks(text);
    let titles = headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title.to_lowercase();
            kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
        })
        .collect()
}
