//! Names the commit a release is built from, for `parkmesh --version`.
//!
//! `PARKMESH_COMMIT` of the environment holds where there is no repository, as in a package's build. A development
//! build names none: it would be compiled anew after each commit.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=PARKMESH_COMMIT");
    let told = std::env::var("PARKMESH_COMMIT").ok().filter(|told| !told.is_empty());
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = told.or_else(|| if release { head() } else { Some("development".into()) });
    println!("cargo::rustc-env=PARKMESH_COMMIT={}", commit.as_deref().unwrap_or("unknown commit"));
}

/// The commit that is checked out; its file is watched, so that the next commit is seen.
fn head() -> Option<String> {
    for watched in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", watched])?);
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
