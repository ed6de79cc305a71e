//! A container that is removed when its owner ends: its name is chosen before it exists, and watched.
//!
//! The shell that starts the container also waits for the end of its owner, at the other end of a pipe that
//! only the owner holds open, and then removes the container. So a process that is killed at any moment leaves
//! no container behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};

use super::child::{ChildEnvironment, shell};
use super::docker::{self, DockerContainer};
use crate::error::ServerError;
use crate::random;

const WATCHER: &str = include_str!("throwaway.sh");
const READY: Duration = Duration::from_secs(60);
/// How long an engine may take to start a container of a local image.
const LONGEST: Duration = Duration::from_secs(60);

/// The shell that removes the container of this name when the process that holds this value ends.
#[derive(Debug)]
pub struct ContainerReaper {
    pipe: ChildStdin,
}

impl ContainerReaper {
    /// Watches a name that has no container yet. The caller creates the container and then calls
    /// [`ContainerReaper::started`].
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when no shell can be started: then no container may be created.
    pub fn over(name: &str) -> Result<Self, ServerError> {
        let mut shell = spawn(name, &[])?;
        let mut pipe = shell.stdin.take().ok_or_else(|| failed("its standard input is missing".to_owned()))?;
        pipe.write_all(b"\n").map_err(|error| failed(error.to_string()))?;
        Ok(Self { pipe })
    }

    /// Reports that the container exists.
    pub fn started(&self) {
        self.say("started");
    }

    /// Keeps the container for half an hour after its owner ends, for a database that was kept.
    pub fn keep(&self) {
        self.say("keep");
    }

    /// If nothing reads the pipe, the container is removed a little early, or is looked for a little longer.
    fn say(&self, word: &str) {
        let _ = writeln!(&self.pipe, "{word}");
    }
}

fn spawn(name: &str, arguments: &[&str]) -> Result<Child, ServerError> {
    let mut shell = shell(ChildEnvironment::Docker, &["docker", "sleep"])?;
    shell.args(["-c", WATCHER, "roundtrip-container", name]).args(arguments);
    // It gets its own process group: Ctrl-C in the terminal is meant for the owner, not for it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    shell.spawn().map_err(|error| failed(error.to_string()))
}

fn failed(why: String) -> ServerError {
    ServerError::Program { program: "docker".to_owned(), why }
}

/// A unique container name.
pub fn name() -> String {
    format!("roundtrip-test-{}-{}", std::process::id(), random::hex(8))
}

/// A server in a container that runs as long as this value, or this process, exists.
#[derive(Debug)]
pub struct ShadowContainer {
    image: String,
    options: PgConnectOptions,
    watch: ContainerReaper,
}

impl ShadowContainer {
    /// Starts a container of this image, or of the newest PostgreSQL image that is available locally, and waits
    /// for its server.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoProvider`] if no engine answers, [`ServerError::Program`] with docker's message,
    /// [`ServerError::NotReady`] if its server does not become ready.
    pub async fn start(image: Option<&str>) -> Result<Self, ServerError> {
        docker::available().map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
        let image = image.map_or_else(docker::image, |image| Ok(image.to_owned()))?;
        docker::fetch(&image)?;
        let (container, password) = (DockerContainer { name: name() }, random::hex(32));
        let mut run = vec!["run", "--detach", "--name", &*container.name, "--label", "roundtrip=test"];
        run.extend(["--publish", "127.0.0.1::5432", "--shm-size", "128m", "--env", "POSTGRES_PASSWORD", &*image]);
        let settings: Vec<String> =
            docker::THROWAWAY.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect();
        run.extend(settings.iter().map(String::as_str));
        let watch = run_watched(&container.name, &run, &password)?;
        let port = container.port()?;
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("postgres");
        let options = options.password(&password).ssl_mode(PgSslMode::Prefer);
        wait(&container, &options.clone().database("postgres")).await?;
        Ok(Self { image, options, watch })
    }

    /// The image of the container.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// How to connect to one of its databases, as a superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// The shell that removes it.
    pub fn watch(&self) -> &ContainerReaper {
        &self.watch
    }
}

/// Lets the shell start the container, and returns when it has started.
fn run_watched(name: &str, run: &[&str], password: &str) -> Result<ContainerReaper, ServerError> {
    let mut shell = spawn(name, run)?;
    let (Some(mut pipe), Some(said)) = (shell.stdin.take(), shell.stdout.take()) else {
        return Err(failed("the shell has no pipes".to_owned()));
    };
    writeln!(pipe, "{password}").map_err(|error| failed(error.to_string()))?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut said, mut text) = (BufReader::new(said), String::new());
        // If the shell is gone it writes nothing; if something failed, it writes only the error.
        if said.read_line(&mut text).is_ok() && text.trim() != "started" {
            let _ = said.read_to_string(&mut text);
        }
        // The receiver may have stopped waiting.
        let _ = tell.send(text);
    });
    let text = match told.recv_timeout(LONGEST) {
        Ok(text) => text,
        Err(_) => return Err(failed(format!("it did not answer within {} s", LONGEST.as_secs()))),
    };
    match text.trim() {
        "started" => Ok(ContainerReaper { pipe }),
        text => Err(failed(super::last_lines(text.strip_prefix("failed ").unwrap_or(text), 6))),
    }
}

async fn wait(container: &DockerContainer, options: &PgConnectOptions) -> Result<(), ServerError> {
    let begin = Instant::now();
    loop {
        let why = match PgConnection::connect_with(options).await {
            Ok(connection) => {
                // The purpose was only to check that it accepts connections.
                let _ = connection.close().await;
                return Ok(());
            }
            Err(error) => error.to_string(),
        };
        if begin.elapsed() > READY || !container.running()? {
            let why = format!("{why}; {}", container.log_tail());
            return Err(ServerError::NotReady { waited: begin.elapsed(), why });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
