//! A container that is gone when its owner is: named before there is one, and watched by that name.
//!
//! The shell that starts it also waits for the end of its owner, at the other end of a pipe that only the owner holds
//! open, and removes it. So there is no moment at which a killed process leaves a container behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};

use super::child::{Needs, shell};
use super::docker::{self, Container};
use crate::error::ServerError;
use crate::random;

const WATCHER: &str = include_str!("throwaway.sh");
const READY: Duration = Duration::from_secs(60);
/// How long an engine may take to start a container of an image that is here.
const LONGEST: Duration = Duration::from_secs(60);

/// The shell that removes a container of this name when the process ends that holds this.
#[derive(Debug)]
pub struct Watch {
    pipe: ChildStdin,
}

impl Watch {
    /// Watches a name of which there is no container yet: whoever makes it says [`Watch::started`].
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when no shell can be started: then no container may be.
    pub fn over(name: &str) -> Result<Self, ServerError> {
        let mut shell = spawn(name, &[])?;
        let mut pipe = shell.stdin.take().ok_or_else(|| failed("its standard input is missing".to_owned()))?;
        pipe.write_all(b"\n").map_err(|error| failed(error.to_string()))?;
        Ok(Self { pipe })
    }

    /// Says that the container is there.
    pub fn started(&self) {
        self.say("started");
    }

    /// Lets the container stay for half an hour after its owner, for a database that was kept.
    pub fn keep(&self) {
        self.say("keep");
    }

    /// Where nobody listens the container goes a little early, or is looked for a little longer.
    fn say(&self, word: &str) {
        let _ = writeln!(&self.pipe, "{word}");
    }
}

fn spawn(name: &str, arguments: &[&str]) -> Result<Child, ServerError> {
    let mut shell = shell(Needs::Docker, &["docker", "sleep"])?;
    shell.args(["-c", WATCHER, "roundtrip-container", name]).args(arguments);
    // A process group of its own: Ctrl-C in the terminal is for the owner, not for it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    shell.spawn().map_err(|error| failed(error.to_string()))
}

fn failed(why: String) -> ServerError {
    ServerError::Program { program: "docker".to_owned(), why }
}

/// A name that no other container has.
pub fn name() -> String {
    format!("roundtrip-test-{}-{}", std::process::id(), random::hex(8))
}

/// A server in a container that runs while this value, or this process, lives.
#[derive(Debug)]
pub struct Throwaway {
    image: String,
    options: PgConnectOptions,
    watch: Watch,
}

impl Throwaway {
    /// Starts a container of this image, or of the newest PostgreSQL image that is here, and waits for its server.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoProvider`] where no engine answers, [`ServerError::Program`] with what docker said,
    /// [`ServerError::NotReady`] where its server does not come up.
    pub async fn start(image: Option<&str>) -> Result<Self, ServerError> {
        docker::available().map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
        let image = image.map_or_else(docker::image, |image| Ok(image.to_owned()))?;
        docker::fetch(&image)?;
        let (container, password) = (Container { name: name() }, random::hex(32));
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

    /// The image it is made of.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// How to connect to one of its databases, as a superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// The shell that removes it.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// Lets the shell start the container, and returns when it has.
fn run_watched(name: &str, run: &[&str], password: &str) -> Result<Watch, ServerError> {
    let mut shell = spawn(name, run)?;
    let (Some(mut pipe), Some(said)) = (shell.stdin.take(), shell.stdout.take()) else {
        return Err(failed("the shell has no pipes".to_owned()));
    };
    writeln!(pipe, "{password}").map_err(|error| failed(error.to_string()))?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut said, mut text) = (BufReader::new(said), String::new());
        // A shell that is gone says nothing; a failure is all that it says.
        if said.read_line(&mut text).is_ok() && text.trim() != "started" {
            let _ = said.read_to_string(&mut text);
        }
        // Whoever no longer waits needs no answer.
        let _ = tell.send(text);
    });
    let text = match told.recv_timeout(LONGEST) {
        Ok(text) => text,
        Err(_) => return Err(failed(format!("it did not answer within {} s", LONGEST.as_secs()))),
    };
    match text.trim() {
        "started" => Ok(Watch { pipe }),
        text => Err(failed(super::last_lines(text.strip_prefix("failed ").unwrap_or(text), 6))),
    }
}

async fn wait(container: &Container, options: &PgConnectOptions) -> Result<(), ServerError> {
    let begin = Instant::now();
    loop {
        let why = match PgConnection::connect_with(options).await {
            Ok(connection) => {
                // Being able to connect is all that was asked.
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
