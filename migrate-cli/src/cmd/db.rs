//! `db`: the managed server of this project, and connections to the database of any environment.

use std::process::Command;

use migrate_base::codes;
use migrate_base::db::without_password;
use migrate_core::Database;
use migrate_test::ManagedServer;
use migrate_test::provider::child::{ChildEnvironment, command};
use serde::Serialize;

use crate::cli::DbCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;
use crate::output::style::{BOLD, GOOD, paint};

#[derive(Serialize)]
struct DbJson {
    running: bool,
    provider: String,
    server_version: Option<String>,
    address: Option<String>,
    home: String,
    why: Vec<String>,
}

#[derive(Serialize)]
struct UrlJson {
    /// With its password, because the user asked for it.
    url: String,
}

pub(crate) async fn run(context: &Context<'_>, command: &DbCommand) -> Result<Exit> {
    match command {
        DbCommand::Up => up(context).await,
        DbCommand::Down { destroy } => down(context, *destroy).await,
        DbCommand::Status => status(context).await,
        DbCommand::Url => url(context).await,
        DbCommand::Psql { arguments } => psql(context, arguments).await,
    }
}

fn managed(context: &Context<'_>) -> Result<ManagedServer> {
    context.managed()?.ok_or_else(|| {
        Failure::usage(codes::NOT_MANAGED, format!("the database of {} is not a managed one", context.name))
            .help("it has its own address; only databases given as `auto`, `local` or `docker:IMAGE` are managed")
    })
}

async fn up(context: &Context<'_>) -> Result<Exit> {
    let managed = managed(context)?;
    let endpoint = context.start(&managed).await?;
    let output = context.output;
    output.line(format!("{}  {}", paint(GOOD, "running"), endpoint.display()));
    output.next("`cargo xtask migrate` applies the migrations, `cargo xtask db url` prints the URL for an application");
    show_json(context, &managed).await?;
    Ok(Exit::Done)
}

async fn down(context: &Context<'_>, destroy: bool) -> Result<Exit> {
    if context.environment.protected {
        return Err(Failure::usage(
            codes::PROTECTED,
            format!("{} is protected; this command does not stop its server", context.name),
        ));
    }
    let managed = managed(context)?;
    refuse_neighbours(context)?;
    let output = context.output;
    let is_there = managed.home().exists();
    if destroy {
        managed.destroy().await?;
    }
    if destroy && is_there {
        output.line(format!("stopped, and deleted {}", managed.home().display()));
    } else if managed.down().await? {
        output.line("stopped; the data stays");
        output.next("`cargo xtask db up` starts it again, `cargo xtask db down --destroy` deletes the data");
    } else if is_there {
        output.line("nothing to do: the server is not running");
    } else {
        output.line("nothing to do: there is no server");
    }
    show_json(context, &managed).await?;
    Ok(Exit::Done)
}

/// Refuses if another environment on the server is protected: a project has one managed server for all of them.
fn refuse_neighbours(context: &Context<'_>) -> Result<()> {
    for name in context.config.names() {
        let environment = context.config.environment(&name)?;
        if environment.protected && environment.database.is_managed() {
            let message = format!("{name} is protected, and its database is on this server, which is not stopped");
            return Err(Failure::usage(codes::PROTECTED, message));
        }
    }
    Ok(())
}

async fn status(context: &Context<'_>) -> Result<Exit> {
    let managed = managed(context)?;
    let status = managed.status().await?;
    let output = context.output;
    let word = if status.running { paint(GOOD, "running") } else { paint(BOLD, "stopped") };
    output.line(format!("{word}  {}", status.provider));
    if let Some(endpoint) = &status.endpoint {
        output.line(format!("at       {}", endpoint.display()));
    }
    output.line(format!("data in  {}", managed.home().display()));
    for why in &status.why {
        output.line(format!("         {why}"));
    }
    show_json(context, &managed).await?;
    Ok(Exit::Done)
}

async fn show_json(context: &Context<'_>, managed: &ManagedServer) -> Result<()> {
    if context.output.is_json() {
        let status = managed.status().await?;
        let document = DbJson {
            running: status.running,
            provider: status.provider,
            server_version: status.endpoint.as_ref().map(|endpoint| endpoint.server_version().to_owned()),
            address: status.endpoint.as_ref().map(|endpoint| endpoint.display()),
            home: managed.home().display().to_string(),
            why: status.why,
        };
        context.output.document(&DocumentJson::new("db", &context.name, document));
    }
    Ok(())
}

async fn url(context: &Context<'_>) -> Result<Exit> {
    let url = match context.managed()? {
        Some(managed) => context.start(&managed).await?.url(&context.name),
        None => {
            let url = context.environment.database.url()?.unwrap_or_default();
            Database::parse(&url)?;
            url
        }
    };
    match context.output.is_json() {
        true => context.output.document(&DocumentJson::new("db url", &context.name, UrlJson { url })),
        false => context.output.answer(url),
    }
    Ok(Exit::Done)
}

/// Runs psql. The password is passed in the environment, not in the arguments.
async fn psql(context: &Context<'_>, arguments: &[String]) -> Result<Exit> {
    let mut command = command("psql", ChildEnvironment::Psql);
    match context.managed()? {
        Some(managed) => {
            let endpoint = context.start(&managed).await?;
            command.envs(endpoint.psql_environment(&context.name));
            if let Some(psql) = endpoint.psql_program() {
                command = with_program(command, psql);
            }
        }
        None => {
            let url = context.environment.database.url()?.unwrap_or_default();
            Database::parse(&url)?;
            let (bare, password) = without_password(&url)?;
            command.arg(bare);
            command.envs(password.map(|password| ("PGPASSWORD", password)));
        }
    }
    let status = command.args(arguments).status().map_err(|error| {
        Failure::failed(codes::PSQL, format!("psql cannot be started: {error}"))
            .help("install the PostgreSQL client, or use the URL that `cargo xtask db url` prints with another client")
    })?;
    Ok(if status.success() { Exit::Done } else { Exit::Failed })
}

fn with_program(command: Command, program: std::path::PathBuf) -> Command {
    let mut replaced = self::command(program, ChildEnvironment::Psql);
    replaced.envs(command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))));
    replaced
}
