//! Rewrites the files that tests compare with our output, as HACKING.md lists them.

use xshell::{Shell, cmd};

use super::{Result, tools};

/// The variable that has a test write, and the arguments of `cargo test` that select it.
const WRITERS: [(&str, &[&str]); 4] = [
    ("UPDATE_CASES", &["-p", "roundtrip-core", "--lib", "what_is_planned"]),
    ("UPDATE_CASES", &["-p", "xtask", "--test", "it", "a_case_has_its_message"]),
    ("UPDATE_SAMPLES", &["-p", "roundtrip", "--lib", "report"]),
    ("ROUNDTRIP_WRITE", &["-p", "xtask", "--test", "it", "the_page_of_a_day"]),
];

pub(super) fn run(sh: &Shell) -> Result {
    let codes = tools::cargo(sh).args(["xtask", "explain", "--markdown"]).read()?;
    sh.write_file("docs/CODES.md", codes + "\n")?;
    // One that fails has written its files all the same, and the others do not depend on it.
    let mut failed = Vec::new();
    for (variable, arguments) in WRITERS {
        let test = || tools::cargo(sh).args(["test", "--quiet"]).args(arguments);
        // Some outputs have new times and numbers in every run, which their test ignores.
        let is_current = test().run().is_ok();
        if !is_current && test().env(variable, "1").run().is_err() {
            failed.push(format!("{variable}=1 cargo test {}", arguments.join(" ")));
        }
    }
    cmd!(sh, "git --no-pager diff --stat").run()?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("these tests found something else:\n  {}", failed.join("\n  ")).into()),
    }
}
