//! What compiles as a handler, and which compile error shows what to do when something does not.
//!
//! The texts in `ui/fail/*.stderr` are those of one release of the compiler; with another one only
//! `ui/pass` is compiled. After a change that is meant, or with a new release in [`COMPILER`],
//! `TRYBUILD=overwrite cargo test -p nexus-events-dispatch --test ui` writes them anew; read them
//! before you keep them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::Command;

/// The release whose texts are kept.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn handlers_compile_or_the_error_names_the_fix() {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    if version.starts_with(COMPILER) {
        cases.compile_fail("tests/ui/fail/*.rs");
    } else {
        println!("note: error texts are compared with {COMPILER}x only, this is {version}");
    }
}
