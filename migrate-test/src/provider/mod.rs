//! The sources of servers.

pub mod account;
pub mod binaries;
pub mod child;
pub mod cluster;
pub mod docker;
pub mod throwaway;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::ServerError;

/// Runs a short program and returns its output. A program that does not end in time is killed.
///
/// # Errors
///
/// [`ServerError::Program`] with its last lines when it cannot be started, fails or hangs.
pub(crate) fn output(command: &mut Command, deadline: Duration) -> Result<String, ServerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| ServerError::Program { program: program.clone(), why };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    // Both pipes are read while it runs: a full pipe would block it.
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // The result is what could be read until the pipe broke.
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = drain(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let stderr = drain(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let end = Instant::now() + deadline;
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("it did not answer within {} s", deadline.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(3)),
        }
    };
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    if status.success() { Ok(stdout) } else { Err(failed(last_lines(&format!("{stdout}\n{stderr}"), 6))) }
}

/// The last non-empty lines of a text, joined on one line.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join(" | ")
}
