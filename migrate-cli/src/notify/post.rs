//! Sends one message by HTTP, with a deadline and retries. Its errors never contain the address.

use migrate_base::codes;
use std::thread;
use std::time::{Duration, Instant};

use migrate_review::config::Hook;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::exit::{Failure, Result};

/// The pause before a message is sent again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(250);

/// The receiver of messages.
#[derive(Clone)]
pub(crate) struct WebhookReceiver {
    agent: Agent,
    url: String,
    host: String,
    authorization: Option<String>,
    deadline: Duration,
    tries: u32,
}

/// Hides the address, which is as secret as a password.
impl std::fmt::Debug for WebhookReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookReceiver({})", self.host)
    }
}

impl WebhookReceiver {
    /// Resolves the address of a webhook.
    pub(crate) fn of(hook: &Hook) -> Result<Self> {
        let url = hook.address.text()?;
        let authorization = hook.authorization.as_ref().map(migrate_review::config::SecretText::text).transpose()?;
        let uri: ureq::http::Uri =
            url.parse().map_err(|_| Failure::usage(codes::HOOK_ADDRESS, "the address of a webhook is not a URL"))?;
        let (Some(scheme @ ("http" | "https")), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(Failure::usage(codes::HOOK_ADDRESS, "the address of a webhook must begin with https://"));
        };
        let is_near = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        if scheme == "http" && authorization.is_some() && !is_near {
            return Err(Failure::usage(
                codes::HOOK_ADDRESS,
                format!("the authorization for {host} would be sent unencrypted"),
            )
            .help("use https://"));
        }
        let tries = hook.retries + 1;
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("roundtrip/", env!("CARGO_PKG_VERSION")))
            .build();
        let host = host.to_owned();
        Ok(Self { agent: agent.into(), url, host, authorization, deadline: hook.deadline, tries })
    }

    /// The host name, which is not secret.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends the message once. `Err` has the reason, and the pause after which a retry may help, if it may.
    fn send(&self, body: &str, patience: Duration) -> std::result::Result<(), (PostFailure, Option<Duration>)> {
        let request = self.agent.post(&self.url).header("Content-Type", "application/json");
        let request = match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        };
        match request.config().timeout_global(Some(patience)).build().send(body) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let pause = is_passing(answer.status()).then(|| asked_pause(answer.headers()));
                let why = format!("{} responded with {}", self.host, answer.status());
                Err((PostFailure { why, was_answered: true }, pause))
            }
            Err(error) => {
                let is_passing =
                    matches!(error, Error::Io(_) | Error::Timeout(_) | Error::HostNotFound | Error::ConnectionFailed);
                let why = format!("{}: {}", self.host, reason(&error));
                Err((PostFailure { why, was_answered: false }, is_passing.then_some(Duration::ZERO)))
            }
        }
    }
}

/// Why a webhook did not get a message.
#[derive(Debug)]
pub(crate) struct PostFailure {
    pub(crate) why: String,
    /// Whether the server answered, so that the message was sent.
    pub(crate) was_answered: bool,
}

/// Sends a message, with retries where they may help, until the deadline.
pub(crate) fn post(receiver: &WebhookReceiver, body: &str) -> std::result::Result<(), PostFailure> {
    let begin = Instant::now();
    // Each attempt has its own share of the time, so that one that hangs leaves time for the next.
    let patience = receiver.deadline / receiver.tries;
    let mut pause = PAUSE;
    for tries in 1.. {
        let left = receiver.deadline.saturating_sub(begin.elapsed());
        let Err((failure, asked)) = receiver.send(body, patience.min(left)) else { return Ok(()) };
        let left = receiver.deadline.saturating_sub(begin.elapsed());
        match asked.map(|asked| asked.max(pause)) {
            Some(pause) if tries < receiver.tries && left > pause => thread::sleep(pause),
            _ if tries == 1 => return Err(failure),
            _ => return Err(PostFailure { why: format!("{}, after {tries} attempts", failure.why), ..failure }),
        }
        pause *= 2;
    }
    Ok(())
}

/// The pause that the receiver asks for (`Retry-After` in seconds, RFC 9110, section 10.2.3).
fn asked_pause(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}

/// Whether the status may be temporary.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

/// What went wrong, without the address, which the messages of some errors repeat.
fn reason(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "timed out".to_owned(),
        Error::HostNotFound => "host not found".to_owned(),
        Error::Io(error) => error.to_string(),
        Error::Rustls(error) => format!("TLS: {error}"),
        Error::BadUri(_) | Error::Http(_) => "the address or the headers are invalid".to_owned(),
        other => other.to_string(),
    }
}
