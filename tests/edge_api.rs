//! scaffold
mod common;
#[test]
fn x() {
    let _ = common::Central::new("a");
}
