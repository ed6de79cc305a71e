//! A server in a container, by means of the `docker` command.
//!
//! Using the command line requires no library. As measured, `testcontainers` makes a cold build half again as
//! long, and a machine with an engine also has its client.

use std::process::Command;
use std::time::Duration;

use super::binaries::OLDEST;
use super::child::{ChildEnvironment, command};
use super::output;
use crate::error::ServerError;

/// The image that is pulled if none is available locally.
const FALLBACK: &str = "postgres:17";
/// The port inside the container.
const PORT: &str = "5432/tcp";

/// A container of a PostgreSQL image, with its own volume.
#[derive(Debug, Clone)]
pub struct DockerContainer {
    /// The name of the container and of its volume.
    pub name: String,
}

/// A server in a container runs on Linux, where it can notice during a statement that its client is gone.
const SETTINGS: [(&str, &str); 1] = [("client_connection_check_interval", "1s")];
/// Durability is off on a server that is removed later.
pub(crate) const THROWAWAY: [(&str, &str); 7] = [
    ("client_connection_check_interval", "1s"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
    ("autovacuum", "off"),
    ("wal_level", "logical"),
];

/// How long an answer of the engine may take; pulling an image may take longer.
const SHORT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(1800);

/// Whether an engine answers.
///
/// # Errors
///
/// Why not, as a line.
pub fn available() -> Result<(), String> {
    match output(&mut docker(&["version", "--format", "{{.Server.Version}}"]), SHORT) {
        Ok(_) => Ok(()),
        Err(ServerError::Program { why, .. }) if why.contains("No such file") => {
            Err("there is no docker command".to_owned())
        }
        Err(ServerError::Program { why, .. }) => Err(format!("the Docker engine does not answer ({why})")),
        Err(error) => Err(error.to_string()),
    }
}

fn docker(arguments: &[&str]) -> Command {
    let mut docker = command("docker", ChildEnvironment::Docker);
    docker.args(arguments);
    docker
}

/// The image to use: the newest PostgreSQL image that is available locally, or the one to pull.
///
/// # Errors
///
/// [`ServerError::Program`] when the engine does not list its images.
pub fn image() -> Result<String, ServerError> {
    let list = output(&mut docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "postgres"]), SHORT)?;
    let major = |image: &&str| -> Option<u32> {
        let tag = image.split_once(':')?.1;
        tag.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|major| *major >= OLDEST)
    };
    let newest = list
        .lines()
        .filter(|image| major(image).is_some())
        .max_by_key(|image| (major(image), std::cmp::Reverse(image.len())));
    Ok(newest.unwrap_or(FALLBACK).to_owned())
}

/// Pulls an image that is not available locally.
///
/// # Errors
///
/// [`ServerError::Program`] with docker's message.
pub(crate) fn fetch(image: &str) -> Result<(), ServerError> {
    if output(&mut docker(&["image", "inspect", image]), SHORT).is_err() {
        output(&mut docker(&["pull", "--quiet", image]), LONG)?;
    }
    Ok(())
}

impl DockerContainer {
    /// Starts the container, and creates it first if it is new.
    ///
    /// The password is passed to the engine in the environment of the command, where other users of the machine
    /// cannot read it, and not among the arguments, where they can.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] with docker's message.
    pub fn start(&self, image: &str, password: &str) -> Result<(), ServerError> {
        if self.exists()? {
            return output(&mut docker(&["start", &self.name]), SHORT).map(drop);
        }
        fetch(image)?;
        let volume = format!("{}:/var/lib/postgresql", self.name);
        let mut run = docker(&["run", "--detach", "--name", &self.name, "--label", "roundtrip=managed"]);
        run.args(["--publish", "127.0.0.1::5432", "--volume", &volume, "--shm-size", "128m"]);
        // The same folder for every image: from version 18 on, the official images keep the data in another
        // place.
        run.args(["--env", "POSTGRES_PASSWORD", "--env", "PGDATA=/var/lib/postgresql/roundtrip", image]);
        run.args(SETTINGS.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]));
        run.env("POSTGRES_PASSWORD", password);
        output(&mut run, SHORT).map(drop)
    }

    /// Its port on the loopback interface.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when it does not run; the end of its log is in the message.
    pub fn port(&self) -> Result<u16, ServerError> {
        let said = output(&mut docker(&["port", &self.name, PORT]), SHORT)?;
        let port = said.lines().find_map(|line| line.trim().rsplit_once(':')?.1.parse().ok());
        port.ok_or_else(|| ServerError::Program {
            program: "docker".to_owned(),
            why: format!("it publishes no port: {}", self.log_tail()),
        })
    }

    /// Whether it runs.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when the engine does not answer.
    pub fn running(&self) -> Result<bool, ServerError> {
        let filter = format!("name=^/?{}$", self.name);
        let ids = output(&mut docker(&["ps", "--quiet", "--filter", &filter]), SHORT)?;
        Ok(!ids.trim().is_empty())
    }

    fn exists(&self) -> Result<bool, ServerError> {
        let filter = format!("name=^/?{}$", self.name);
        let ids = output(&mut docker(&["ps", "--all", "--quiet", "--filter", &filter]), SHORT)?;
        Ok(!ids.trim().is_empty())
    }

    /// Stops it; the volume stays.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] with docker's message.
    pub fn stop(&self) -> Result<(), ServerError> {
        output(&mut docker(&["stop", &self.name]), Duration::from_secs(60)).map(drop)
    }

    /// Removes it with its volume.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] with docker's message.
    pub fn remove(&self) -> Result<(), ServerError> {
        if self.exists()? {
            output(&mut docker(&["rm", "--force", "--volumes", &self.name]), Duration::from_secs(60))?;
        }
        output(&mut docker(&["volume", "rm", "--force", &self.name]), SHORT).map(drop)
    }

    /// The last lines of the log of its server.
    pub fn log_tail(&self) -> String {
        let mut logs = command("/bin/sh", ChildEnvironment::Docker);
        logs.args(["-c", "docker logs --tail 5 \"$0\" 2>&1"]).arg(&self.name);
        super::last_lines(&output(&mut logs, SHORT).unwrap_or_default(), 5)
    }
}
