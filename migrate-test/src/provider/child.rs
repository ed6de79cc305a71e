//! Child processes. This is the only place that starts one, with no more of our environment than it needs.
//!
//! The environment of a process can be read by its owner, and in a server that keeps running it outlives us.
//! Ours contains URLs, passwords and tokens that a server does not need, so a child process gets only the
//! variables on a list.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use crate::error::ServerError;

/// What a program needs in addition to the search path, the home folder and the locale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildEnvironment {
    /// Nothing: a server, a shell.
    Nothing,
    /// The location of repositories and their objects, and access to a remote.
    Git,
    /// The location of the engine.
    Docker,
    /// What libpq, psql, a terminal and an editor read.
    Psql,
    /// What the languages of other migration tools read. The address of the database is added by the caller.
    Engine,
}

/// For every program; a name that ends with `*` is a prefix.
const ALL: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TZDIR",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "LOCPATH",
    "LOCALE_ARCHIVE",
    "ICU_DATA",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
];
/// See git(1), "Environment Variables". The configuration that a CI system passes to git is included.
const GIT: [&str; 23] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_*",
    "GIT_CONFIG_VALUE_*",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "GIT_SSL_*",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
];
/// The proxies of a closed network, for programs that may contact a remote.
const PROXIES: [&str; 8] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"];
/// See <https://docs.docker.com/reference/cli/docker/#environment-variables>.
const DOCKER: [&str; 11] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_DEFAULT_PLATFORM",
    "CONTAINER_HOST",
    "SSH_AUTH_SOCK",
];
/// See <https://www.postgresql.org/docs/current/libpq-envars.html> and psql's own page.
const PSQL: [&str; 17] = [
    "PG*",
    "PSQL_*",
    "PSQLRC",
    "PAGER",
    "LESS",
    "EDITOR",
    "VISUAL",
    "SHELL",
    "TERM",
    "TERMINFO",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "INPUTRC",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "SSL_CERT_FILE",
];

/// The settings of interpreters and package managers, and the mode of an application. What a project needs besides,
/// such as a key without which it does not start, is named in `migrate.toml`.
const ENGINE: [&str; 53] = [
    "APP_ENV",
    "ASDF_DATA_DIR",
    "ASDF_DIR",
    "BUNDLE_APP_CONFIG",
    "BUNDLE_BIN_PATH",
    "BUNDLE_GEMFILE",
    "BUNDLE_PATH",
    "BUNDLE_WITHOUT",
    "CARGO_HOME",
    "COMPOSER_HOME",
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "DENO_DIR",
    "DJANGO_SETTINGS_MODULE",
    "DOTNET_ROOT",
    "ENVIRONMENT",
    "FLASK_APP",
    "FLASK_ENV",
    "GEM_HOME",
    "GEM_PATH",
    "GOCACHE",
    "GOFLAGS",
    "GOMODCACHE",
    "GOPATH",
    "HEX_HOME",
    "JAVA_HOME",
    "MISE_DATA_DIR",
    "MIX_ENV",
    "MIX_HOME",
    "NODE_ENV",
    "NODE_PATH",
    "NVM_BIN",
    "NVM_DIR",
    "PERL5LIB",
    "PNPM_HOME",
    "POETRY_VIRTUALENVS_*",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "RACK_ENV",
    "RAILS_ENV",
    "RBENV_ROOT",
    "RBENV_VERSION",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTUP_HOME",
    "UV_CACHE_DIR",
    "UV_PYTHON",
    "VIRTUAL_ENV",
    "VOLTA_HOME",
];

/// A program that is about to be started.
pub fn command(program: impl AsRef<OsStr>, needs: ChildEnvironment) -> Command {
    let (own, proxies): (&[&str], &[&str]) = match needs {
        ChildEnvironment::Nothing => (&[], &[]),
        ChildEnvironment::Git => (&GIT, &PROXIES),
        ChildEnvironment::Docker => (&DOCKER, &PROXIES),
        ChildEnvironment::Psql => (&PSQL, &[]),
        ChildEnvironment::Engine => (&ENGINE, &[]),
    };
    let is_allowed = |name: &OsStr| {
        let name = name.to_string_lossy();
        let fits = |known: &&str| known.strip_suffix('*').map_or(*known == name, |begin| name.starts_with(begin));
        ALL.iter().chain(own).chain(proxies).any(fits)
    };
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_allowed(name)));
    command
}

/// Where every system has its programs, even if `PATH` does not include them.
const USUAL: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// A shell for a script that needs these programs.
///
/// # Errors
///
/// [`ServerError::Program`] if one of them is missing: otherwise the script would fail halfway.
pub(crate) fn shell(needs: ChildEnvironment, programs: &[&str]) -> Result<Command, ServerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(USUAL.iter().map(PathBuf::from)).collect();
    let missing = programs.iter().find(|program| !folders.iter().any(|folder| folder.join(program).is_file()));
    let failed = |why: String| ServerError::Program { program: "/bin/sh".to_owned(), why };
    if let Some(missing) = missing {
        return Err(failed(format!("it needs `{missing}`, which is neither in PATH nor in {}", USUAL.join(", "))));
    }
    let path = std::env::join_paths(folders).map_err(|error| failed(error.to_string()))?;
    let mut shell = command("/bin/sh", needs);
    shell.env("PATH", path);
    Ok(shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_a_list_does_not_reach_a_child() {
        let ours: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
        // Cargo sets these variables for every test.
        assert!(ours.iter().any(|name| name == "CARGO_MANIFEST_DIR"));
        let command = command("true", ChildEnvironment::Nothing);
        let theirs: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).map(|(name, _)| name).collect();
        assert!(theirs.contains(&OsStr::new("PATH")));
        assert!(theirs.iter().all(|name| !name.to_string_lossy().contains("CARGO")), "{theirs:?}");
    }
}
