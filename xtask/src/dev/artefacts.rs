//! Builds the command line for a release, and packs it with the licenses and the README.

use std::path::Path;

use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};

use super::{Result, tools};

const FOLDER: &str = "target/artefacts";

pub(super) fn run(sh: &Shell, target: Option<String>) -> Result {
    let triple = match &target {
        Some(triple) => triple.clone(),
        None => host(&cmd!(sh, "rustc --version --verbose").quiet().read()?)?,
    };
    if triple.contains(['/', '\\']) {
        return Err(format!("`{triple}` is not a target triple").into());
    }
    let mut arguments = vec!["--release", "--locked", "-p", "roundtrip", "--bin", "roundtrip"];
    arguments.extend(target.iter().flat_map(|target| ["--target", target]));
    let executable = tools::built(sh, &arguments)?;
    let name = format!("roundtrip-{}-{triple}", env!("CARGO_PKG_VERSION"));
    let staged = Path::new(FOLDER).join(&name);
    sh.remove_path(&staged)?;
    sh.create_dir(&staged)?;
    for file in [executable.as_path(), Path::new("LICENSE-APACHE"), Path::new("LICENSE-MIT"), Path::new("README.md")] {
        sh.copy_file(file, &staged)?;
    }
    let archive = format!("{name}.tar.gz");
    cmd!(sh, "tar --create --gzip --file {FOLDER}/{archive} --directory {FOLDER} {name}").run()?;
    sh.remove_path(&staged)?;
    let bytes = sh.read_binary_file(Path::new(FOLDER).join(&archive))?;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    // The form that `sha256sum --check` reads.
    sh.write_file(Path::new(FOLDER).join(format!("{archive}.sha256")), format!("{sum}  {archive}\n"))?;
    println!("{FOLDER}/{archive}: {} bytes, SHA-256 {sum}", bytes.len());
    Ok(())
}

/// The platform of this machine, as `rustc --version --verbose` names it.
fn host(about: &str) -> Result<String> {
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name the platform of this machine".into())
}
