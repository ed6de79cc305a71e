//! Notifies the team: webhooks that are called when a run starts and when it ends.
//!
//! Each webhook has its own thread, so that no webhook waits for another, and a run waits for webhooks only at its end.
//! A failure is a remark in the run record and never changes the outcome of a run.

mod notice;
mod post;
mod slack;

use migrate_base::codes;
use migrate_base::visible;
use std::sync::mpsc;
use std::time::Duration;

use migrate_review::config::{Config, Hook, HookEvent, HookFormat};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::exit::{Failure, Result};

pub(crate) use notice::Notice;
pub(crate) use post::{PostFailure, WebhookReceiver, post};

/// The time that a thread needs to report that its deadline is over.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The webhooks that subscribe to the runs in one environment.
#[derive(Debug)]
pub(crate) struct RunListeners {
    listeners: Vec<Listener>,
    answers: UnboundedReceiver<String>,
    /// The notifications that failed, and why.
    untold: Vec<String>,
}

#[derive(Debug)]
struct Listener {
    name: String,
    hook: Hook,
    messages: mpsc::Sender<String>,
}

/// The webhooks of an environment, by name.
pub(crate) fn hooks<'a>(
    config: &'a Config,
    environment: &'a str,
    is_protected: bool,
) -> impl Iterator<Item = (&'a String, &'a Hook)> {
    config.notify.iter().filter(move |(_, hook)| hook.hears(environment, is_protected))
}

/// The body that is sent to a webhook.
pub(crate) fn body(hook: &Hook, notice: &Notice) -> String {
    match hook.form {
        HookFormat::Slack => slack::message(notice),
        HookFormat::Json => notice.json(),
    }
}

impl RunListeners {
    /// Prepares to notify the webhooks that subscribe to one of these moments.
    pub(crate) fn of(config: &Config, environment: &str, is_protected: bool, moments: &[HookEvent]) -> Self {
        let (answer, answers) = unbounded_channel();
        let mut untold = Vec::new();
        let mut listeners = Vec::new();
        let hooks = hooks(config, environment, is_protected);
        for (name, hook) in hooks.filter(|(_, hook)| hook.on.iter().any(|moment| moments.contains(moment))) {
            match WebhookReceiver::of(hook) {
                Ok(receiver) => listeners.push(listen(name, hook, receiver, answer.clone())),
                Err(failure) => untold.push(sentence(name, &why(&failure))),
            }
        }
        Self { listeners, answers, untold }
    }

    /// Notifies the webhooks that subscribe to a moment, without waiting for them.
    pub(crate) fn tell(&self, moment: HookEvent, notice: &Notice) {
        for listener in self.listeners.iter().filter(|listener| listener.hook.on.contains(&moment)) {
            // A thread that has ended has reported why.
            let _ = listener.messages.send(body(&listener.hook, notice));
        }
    }

    /// Waits until all notifications are sent or the deadline is over; returns what failed.
    pub(crate) async fn end(self) -> Vec<String> {
        let Self { listeners, mut answers, mut untold } = self;
        let patience = listeners.iter().map(|listener| listener.hook.deadline).max().unwrap_or(Duration::ZERO);
        let deadline = Instant::now() + patience + LAST_WORD;
        let mut names: Vec<String> = Vec::new();
        for Listener { name, messages, .. } in listeners {
            // A thread ends when its channel is closed.
            drop(messages);
            names.push(name);
        }
        loop {
            match timeout_at(deadline, answers.recv()).await {
                Ok(Some(answer)) => untold.push(answer),
                Ok(None) => return untold,
                Err(_) => {
                    untold.push(format!(
                        "not all of {} could be notified within {}",
                        names.join(", "),
                        humantime::format_duration(patience)
                    ));
                    return untold;
                }
            }
        }
    }
}

fn listen(name: &str, hook: &Hook, receiver: WebhookReceiver, answer: UnboundedSender<String>) -> Listener {
    let (messages, inbox) = mpsc::channel::<String>();
    let of_thread = name.to_owned();
    std::thread::spawn(move || {
        for message in inbox {
            if let Err(failure) = post(&receiver, &message) {
                // If the receiver is gone, nobody waits for the answer any more.
                let _ = answer.send(sentence(&of_thread, &failure.why));
            }
        }
    });
    Listener { name: name.to_owned(), hook: hook.clone(), messages }
}

fn sentence(name: &str, why: &str) -> String {
    format!("{name} could not be notified: {why}")
}

/// Why a receiver cannot be used: the message, and the code that `explain` knows.
pub(crate) fn why(failure: &Failure) -> String {
    let findings = failure.findings();
    findings.first().map(|finding| format!("{} [{}]", finding.message, finding.code)).unwrap_or_default()
}

/// The webhook with this name.
pub(crate) fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Hook> {
    config.notify.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.notify.keys().map(String::as_str).collect();
        let failure =
            Failure::usage(codes::NO_HOOK, format!("there is no [notify.{}] in migrate.toml", visible::line(name)));
        match known.is_empty() {
            true => failure.help("docs/FORMATS.md shows how to write one"),
            false => failure.help(format!("the webhooks are {}", known.join(", "))),
        }
    })
}
