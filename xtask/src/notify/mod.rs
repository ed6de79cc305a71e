//! Telling the team: webhooks that are called when a run begins and when it ended.
//!
//! Each hook has a thread of its own, so that none waits for another and no run waits for any before its end. What goes
//! wrong is a sentence for the record and never changes how a run ends.

mod notice;
mod post;
mod slack;

use std::sync::mpsc;
use std::time::Duration;

use migrate_core::config::{Config, Form, Hook, Moment};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::exit::{Failure, Result};

pub(crate) use notice::Notice;
pub(crate) use post::{Receiver, post};

/// What a thread needs to say that its time is over.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Those who want to hear of the runs in one environment.
#[derive(Debug)]
pub(crate) struct Team {
    listeners: Vec<Listener>,
    answers: UnboundedReceiver<String>,
    /// What could not be told, and why.
    untold: Vec<String>,
}

#[derive(Debug)]
struct Listener {
    name: String,
    hook: Hook,
    messages: mpsc::Sender<String>,
}

/// The hooks that hear of an environment, by name.
pub(crate) fn hooks<'a>(
    config: &'a Config,
    environment: &'a str,
    is_protected: bool,
) -> impl Iterator<Item = (&'a String, &'a Hook)> {
    config.notify.iter().filter(move |(_, hook)| hook.hears(environment, is_protected))
}

/// What a hook is sent.
pub(crate) fn body(hook: &Hook, notice: &Notice) -> String {
    match hook.form {
        Form::Slack => slack::message(notice),
        Form::Json => notice.json(),
    }
}

impl Team {
    /// Makes ready to tell those who want to hear of one of these moments.
    pub(crate) fn of(config: &Config, environment: &str, is_protected: bool, moments: &[Moment]) -> Self {
        let (answer, answers) = unbounded_channel();
        let mut untold = Vec::new();
        let mut listeners = Vec::new();
        let hooks = hooks(config, environment, is_protected);
        for (name, hook) in hooks.filter(|(_, hook)| hook.on.iter().any(|moment| moments.contains(moment))) {
            match Receiver::of(hook) {
                Ok(receiver) => listeners.push(listen(name, hook, receiver, answer.clone())),
                Err(failure) => untold.push(sentence(name, &why(&failure))),
            }
        }
        Self { listeners, answers, untold }
    }

    /// Tells of a moment those who want to hear of it; nobody is waited for.
    pub(crate) fn tell(&self, moment: Moment, notice: &Notice) {
        for listener in self.listeners.iter().filter(|listener| listener.hook.on.contains(&moment)) {
            // A thread that ended has said why.
            let _ = listener.messages.send(body(&listener.hook, notice));
        }
    }

    /// Waits until everybody has heard, or the time for that is over; returns what could not be told.
    pub(crate) async fn end(self) -> Vec<String> {
        let Self { listeners, mut answers, mut untold } = self;
        let patience = listeners.iter().map(|listener| listener.hook.deadline).max().unwrap_or(Duration::ZERO);
        let deadline = Instant::now() + patience + LAST_WORD;
        let mut names: Vec<String> = Vec::new();
        for Listener { name, messages, .. } in listeners {
            // A thread ends when there can be no more messages.
            drop(messages);
            names.push(name);
        }
        loop {
            match timeout_at(deadline, answers.recv()).await {
                Ok(Some(answer)) => untold.push(answer),
                Ok(None) => return untold,
                Err(_) => {
                    untold.push(format!(
                        "not all of {} could be told within {}",
                        names.join(", "),
                        humantime::format_duration(patience)
                    ));
                    return untold;
                }
            }
        }
    }
}

fn listen(name: &str, hook: &Hook, receiver: Receiver, answer: UnboundedSender<String>) -> Listener {
    let (messages, inbox) = mpsc::channel::<String>();
    let of_thread = name.to_owned();
    std::thread::spawn(move || {
        for message in inbox {
            if let Err(why) = post(&receiver, &message) {
                // Whoever waited for the answer is gone when nobody hears it.
                let _ = answer.send(sentence(&of_thread, &why));
            }
        }
    });
    Listener { name: name.to_owned(), hook: hook.clone(), messages }
}

fn sentence(name: &str, why: &str) -> String {
    format!("{name} could not be told: {why}")
}

fn why(failure: &Failure) -> String {
    failure.findings().first().map(|finding| finding.message.clone()).unwrap_or_default()
}

/// The hook of a name.
pub(crate) fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Hook> {
    config.notify.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.notify.keys().map(String::as_str).collect();
        let failure = Failure::usage("no-hook", format!("there is no [notify.{name}] in migrate.toml"));
        match known.is_empty() {
            true => failure.help("docs/FORMATS.md shows how one is written"),
            false => failure.help(format!("there are {}", known.join(", "))),
        }
    })
}
