//! Who is notified of a run: the `[notify.NAME]` sections of `migrate.toml`.

use std::time::Duration;

use migrate_base::codes;
use migrate_base::duration;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use serde::{Deserialize, Deserializer, de};

/// A webhook, and when it is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "HookSection")]
pub struct Hook {
    /// Its address, which only its receiver and we may know.
    pub address: SecretText,
    /// The format that it understands.
    pub form: HookFormat,
    /// The value of the `Authorization` header, if it requires one.
    pub authorization: Option<SecretText>,
    /// The events for which it is called.
    pub on: Vec<HookEvent>,
    /// The environments for whose runs it is called; `None` means all protected ones.
    pub environments: Option<Vec<String>>,
    /// The time limit for one message, including retries.
    pub deadline: Duration,
    /// How often a message that was not accepted is sent again.
    pub retries: u32,
}

/// A text that is not displayed: it is in an environment variable, or in the file itself.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretText {
    /// The name of an environment variable.
    Variable(String),
    /// The text.
    Text(String),
}

/// The format of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFormat {
    /// The blocks of a Slack message.
    Slack,
    /// The document that docs/FORMATS.md describes.
    Json,
}

/// An event of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookEvent {
    /// The run starts.
    Start,
    /// The run succeeded.
    Success,
    /// The run failed or was cancelled.
    Failure,
    /// Not a run: the schema does not match its migrations, or matches them again.
    Drift,
}

impl HookEvent {
    /// The events of a run.
    pub const OF_A_RUN: [Self; 3] = [Self::Start, Self::Success, Self::Failure];

    /// The name of the event in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Drift => "drift",
        }
    }
}

impl Hook {
    /// Whether it is called for runs in this environment.
    pub fn hears(&self, environment: &str, is_protected: bool) -> bool {
        self.environments.as_ref().map_or(is_protected, |names| names.iter().any(|name| name == environment))
    }
}

impl SecretText {
    /// The text; a variable is looked up in the process environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a variable that is not set or is empty.
    pub fn text(&self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Variable(name) => std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
                let finding =
                    Finding::new(codes::VARIABLE_UNSET, format!("the environment variable {name} is not set"));
                Error::new(ErrorKind::Configuration, finding.help(format!("export {name}=…")))
            }),
        }
    }
}

/// Only the name of a variable is shown.
impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Text(_) => f.write_str("******"),
        }
    }
}

/// A hook as in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookSection {
    slack: Option<String>,
    url: Option<String>,
    authorization: Option<String>,
    on: Option<Vec<HookEvent>>,
    environments: Option<Vec<String>>,
    #[serde(default, deserialize_with = "time")]
    deadline: Option<Duration>,
    retries: Option<u32>,
}

/// The default time limit for a message: a deploy of two seconds should not wait for a minute.
const DEADLINE: Duration = Duration::from_secs(10);
const RETRIES: u32 = 2;
/// More retries than this are only a burden for the receiver.
const MOST_RETRIES: u32 = 10;

impl TryFrom<HookSection> for Hook {
    type Error = &'static str;

    fn try_from(written: HookSection) -> std::result::Result<Self, &'static str> {
        let (form, address) = match (written.slack, written.url) {
            (Some(slack), None) => (
                HookFormat::Slack,
                variable(&slack).ok_or(
                    "anyone who knows a Slack webhook can write to its channel: write `slack = \"env:VARIABLE\"`",
                )?,
            ),
            (None, Some(url)) => (HookFormat::Json, address(&url)?),
            _ => return Err("a webhook has either `slack` or `url`"),
        };
        let authorization = written.authorization.as_deref().map(|text| {
            variable(text).ok_or("a secret does not belong in a file: write `authorization = \"env:VARIABLE\"`")
        });
        if written.retries.is_some_and(|retries| retries > MOST_RETRIES) {
            return Err("a message can be retried at most 10 times");
        }
        if written.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err("the deadline of a message cannot be 0");
        }
        Ok(Self {
            address,
            form,
            authorization: authorization.transpose()?,
            on: written.on.unwrap_or_else(|| vec![HookEvent::Success, HookEvent::Failure, HookEvent::Drift]),
            environments: written.environments,
            deadline: written.deadline.unwrap_or(DEADLINE),
            retries: written.retries.unwrap_or(RETRIES),
        })
    }
}

fn variable(text: &str) -> Option<SecretText> {
    text.strip_prefix("env:").filter(|name| !name.is_empty()).map(|name| SecretText::Variable(name.to_owned()))
}

fn address(text: &str) -> std::result::Result<SecretText, &'static str> {
    match text.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(SecretText::Text(text.to_owned())),
        _ => variable(text).ok_or("write the address of a webhook as https://… or env:VARIABLE"),
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || de::Error::custom("write a time as a number with its unit: 250ms, 3s, 10min");
    duration::parse(&text).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(text: &str) -> std::result::Result<Hook, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_hook_has_one_address_and_its_secrets_are_in_variables() {
        let hook_ = hook("slack = \"env:SLACK\"").unwrap();
        assert_eq!(
            (hook_.form, hook_.on),
            (HookFormat::Slack, vec![HookEvent::Success, HookEvent::Failure, HookEvent::Drift])
        );
        assert!(hook("url = \"https://x/y\"\nauthorization = \"env:TOKEN\"\non = [\"start\"]").is_ok());
        for (text, why) in [
            ("", "either"),
            ("slack = \"env:A\"\nurl = \"https://b\"", "either"),
            ("slack = \"https://hooks.slack.com/services/T/B/x\"", "env:VARIABLE"),
            ("url = \"ftp://x\"", "https://"),
            ("url = \"https://x\"\nauthorization = \"Bearer x\"", "env:VARIABLE"),
            ("url = \"https://x\"\nretries = 100", "at most 10"),
            ("url = \"https://x\"\ndeadline = \"0\"", "cannot be 0"),
            ("url = \"https://x\"\nwhen = [\"start\"]", "unknown field"),
            ("url = \"https://x\"\non = [\"end\"]", "unknown variant"),
        ] {
            let said = hook(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn protected_environments_are_heard_where_none_is_named() {
        let all = hook("url = \"https://x\"").unwrap();
        assert!(all.hears("production", true) && !all.hears("development", false));
        let one = hook("url = \"https://x\"\nenvironments = [\"staging\"]").unwrap();
        assert!(one.hears("staging", false) && !one.hears("production", true));
    }

    #[test]
    fn an_address_is_not_shown() {
        let shown = format!("{:?}", hook("url = \"https://x/s3cret\"").unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
