//! Compares the statements that our splitter finds with those of PostgreSQL's own grammar, by `ci/split.py`.

use std::path::Path;

use xshell::{Shell, cmd};

use super::{Result, tools};

pub(super) fn run(sh: &Shell, folder: &Path, count: u32, seed: u64) -> Result {
    let python = tools::python(sh, &folder.join(format!("{}pglast", tools::MADE)), "pglast", "pglast>=8,<9")?;
    let splitter = tools::built(sh, &["-p", "roundtrip-base", "--example", "split"])?;
    let (count, seed) = (count.to_string(), seed.to_string());
    Ok(cmd!(sh, "{python}/python ci/split.py {splitter} {count} {seed}").run()?)
}
