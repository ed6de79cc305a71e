//! `notify`: test the webhooks that notify the team.

use migrate_base::codes;
use migrate_review::config::{Hook, HookFormat};
use serde::Serialize;

use crate::cli::NotifyCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::notify::{self, Notice, PostFailure, WebhookReceiver, post};
use crate::output::style::{BAD, BOLD, DIM, GOOD, PLAIN};
use crate::output::{DocumentJson, TextTable};

#[derive(Serialize)]
struct NotifyJson {
    hooks: Vec<HookJson>,
}

#[derive(Serialize)]
struct HookJson {
    name: String,
    form: &'static str,
    on: Vec<&'static str>,
    /// Whether the message was accepted; `None` if nothing was sent.
    taken: Option<bool>,
    /// The host that accepted the message, or why it was not accepted.
    answer: String,
    /// Whether the server answered.
    #[serde(skip)]
    was_answered: bool,
}

pub(crate) async fn run(context: &Context<'_>, command: &NotifyCommand) -> Result<Exit> {
    let NotifyCommand::Test { name, print } = command;
    let hooks: Vec<(&str, &Hook)> = match name {
        Some(name) => vec![(name, notify::find(&context.config, name)?)],
        None => notify::hooks(&context.config, &context.name, context.environment.protected)
            .map(|(name, hook)| (name.as_str(), hook))
            .collect(),
    };
    if hooks.is_empty() {
        return Err(Failure::usage(codes::NO_HOOK, format!("no webhook is configured for {}", context.name))
            .help("add a [notify.NAME] section with `slack` or `url` to migrate.toml; see docs/FORMATS.md"));
    }
    let notice = Notice::of_nothing(&context.name, &context.title());
    let mut tried = Vec::new();
    for (name, hook) in hooks {
        let body = notify::body(hook, &notice);
        if *print && !context.output.is_json() {
            context.output.written(&body);
        }
        tried.push(attempt(name, hook, (!print).then_some(body)).await);
    }
    let is_taken = tried.iter().all(|hook| hook.taken != Some(false));
    if !print {
        show(context, &tried);
    }
    context.output.document(&DocumentJson::new("notify", &context.name, NotifyJson { hooks: tried }));
    Ok(if is_taken { Exit::Done } else { Exit::Failed })
}

/// Sends a message, if there is one.
async fn attempt(name: &str, hook: &Hook, body: Option<String>) -> HookJson {
    let unsent = |why: String| PostFailure { why, was_answered: false };
    let answer = match (WebhookReceiver::of(hook), body) {
        (Ok(receiver), None) => Ok((None, receiver.host().to_owned())),
        (Ok(receiver), Some(body)) => {
            let host = receiver.host().to_owned();
            let sent = tokio::task::spawn_blocking(move || post(&receiver, &body)).await;
            sent.unwrap_or_else(|error| Err(unsent(error.to_string()))).map(|()| (Some(true), host))
        }
        (Err(failure), _) => Err(unsent(notify::why(&failure))),
    };
    let (taken, answer, was_answered) = match answer {
        Ok((taken, host)) => (taken, host, taken.is_some()),
        Err(PostFailure { why, was_answered }) => (Some(false), why, was_answered),
    };
    let form = match hook.form {
        HookFormat::Slack => "slack",
        HookFormat::Json => "json",
    };
    let on = hook.on.iter().map(|moment| moment.as_str()).collect();
    HookJson { name: name.to_owned(), form, on, taken, answer, was_answered }
}

fn show(context: &Context<'_>, tried: &[HookJson]) {
    let mut table = TextTable::default();
    for hook in tried {
        let (style, sign) = match hook.taken {
            Some(true) => (GOOD, "accepted by"),
            _ if hook.was_answered => (BAD, "not accepted"),
            _ => (BAD, "not sent"),
        };
        table.row([
            (BOLD, hook.name.clone()),
            (DIM, format!("{} on {}", hook.form, hook.on.join(", "))),
            (style, sign.to_owned()),
            (PLAIN, hook.answer.clone()),
        ]);
    }
    context.output.lines(&table.lines());
}
