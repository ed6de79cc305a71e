//! The shadow server, and the schemas that are compared on it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::{CodeMigrations, Database, Error, ErrorKind, MigrationSet, Version, foreign, ours};
use migrate_review::config::DatabaseSource;
use migrate_schema::{self as schema, Fact, Id, Kind, Object, SchemaChange, SchemaDescription};
use migrate_test::engine::{EngineChain, engine_chain};
use migrate_test::shape::{self, ShadowDatabase};
use migrate_test::{ReplaySettings, Setup};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::style::DIM;

/// Finds the shadow server: the one that `--database` names, if `named` says that the option is meant for it; the one
/// in `ROUNDTRIP_TEST_SERVER`; the one of `[environments.shadow]`; else the first one that works. If a server is named
/// but does not work, that is an error.
pub(crate) async fn server(context: &Context<'_>, named: bool, fresh: bool) -> Result<()> {
    if named && context.named_database {
        match &context.environment.database {
            DatabaseSource::Variable(_) | DatabaseSource::Url(_) => {
                migrate_test::use_server(context.database()?.settled().await?, "--database names it");
            }
            // Shadow databases do not stay, so this is not the development server.
            source => migrate_test::use_source(source, "--database").await?,
        }
    }
    context.config.shadow_limit.into_iter().for_each(migrate_test::limit_statements);
    Setup::load(&context.config)?.begin();
    configured(context).await?;
    let server = migrate_test::server().await?;
    if context.output.verbose {
        context.output.remark(format!("{DIM}{}{DIM:#}", server.why()));
    }
    if fresh {
        migrate_test::clear().await?;
    }
    Ok(())
}

/// The migrations with what runs them: those of the folder, or those of the tool in `[engine]`, which is asked for them
/// on the shadow server.
pub(crate) async fn provable(context: &Context<'_>, code: CodeMigrations) -> Result<EngineChain> {
    let Some(engine) = &context.config.engine else { return Ok(EngineChain::own(context.chain()?, code)) };
    server(context, true, false).await?;
    Ok(engine_chain(&context.config, engine).await?)
}

/// Uses the server that `[environments.shadow]` names, unless the variable names one.
async fn configured(context: &Context<'_>) -> Result<()> {
    const KEY: &str = "[environments.shadow]";
    let named = std::env::var_os("ROUNDTRIP_TEST_SERVER").is_some_and(|value| !value.is_empty());
    let source = context.config.environment("shadow")?.database;
    match source {
        _ if named => Ok(()),
        DatabaseSource::Auto => Ok(()),
        source => Ok(migrate_test::use_source(&source, KEY).await?),
    }
}

/// From now on, replays chains under the settings of the database that they are compared with.
pub(crate) async fn replay(database: &Database) -> Result<()> {
    ReplaySettings::of(database).await?.begin();
    Ok(())
}

/// The schema that a chain made, adapted to the environment. Schemas that no migration creates are taken over from the
/// environment, except one to which the chain gave a comment or grants. An object without a tablespace is in the
/// default one.
///
/// What `[shadow]` sets up is also taken over from the environment, unless the chain changed it.
pub(crate) async fn as_placed_in(mut made: SchemaDescription, there: &SchemaDescription) -> Result<SchemaDescription> {
    if let Some(start) = shape::start().await? {
        let untouched = made.schema.clone();
        made.schema = made.schema.as_in(&there.schema, |object| start.is_untouched(object, &untouched));
    }
    // They are left out of the environment too.
    made.schema = foreign::without(made.schema);
    let schemas = ReplaySettings::schemas();
    let is_plain = |object: &Object| object.fact("grants").is_none() && object.fact("comment").is_none();
    let touched: Vec<Arc<Id>> =
        made.schema.objects().filter(|object| !is_plain(object)).map(|object| object.id.clone()).collect();
    let taken = |object: &Object| {
        object.id.kind == Kind::Schema
            && schemas.iter().any(|name| **name == *object.id.name)
            && !touched.contains(&object.id)
    };
    made.schema = made.schema.as_in(&there.schema, taken);
    if let Some(tablespace) = ReplaySettings::tablespace() {
        let stored = |object: &&Arc<Object>| {
            let other = there.schema.get(&object.id).and_then(|other| other.fact("tablespace"));
            object.fact("tablespace").is_none() && other == Some(&*tablespace)
        };
        let moved = |object: &Arc<Object>| {
            let mut object = (**object).clone();
            object.facts.push(Fact { name: "tablespace".into(), value: tablespace.as_str().into() });
            object.facts.sort_unstable();
            Arc::new(object)
        };
        let moved: Vec<Arc<Object>> = made.schema.objects().filter(stored).map(moved).collect();
        made.schema = made.schema.with(moved);
    }
    Ok(made)
}

/// The schema of an environment, without the ledger. Nothing is written.
pub(crate) async fn environment(context: &Context<'_>) -> Result<SchemaDescription> {
    database(&context.reach().await?, context).await
}

/// The schema of a database, without the ledger of this environment. Nothing is written.
pub(crate) async fn database(database: &Database, context: &Context<'_>) -> Result<SchemaDescription> {
    let mut described = schema::describe(database).await?;
    described.schema = ours::without(described.schema, &context.environment.ledger);
    Ok(described)
}

/// The schema that the migrations make, all of them or those up to a version.
pub(crate) async fn migrations(
    set: &MigrationSet,
    code: &CodeMigrations,
    upto: Option<&Version>,
) -> Result<Arc<SchemaDescription>> {
    Ok(shape::leads_to(&set.up_to(upto), code).await?)
}

/// The objects that some repeatable migrations of a set make or change.
pub(crate) async fn made_by(
    set: &MigrationSet,
    repeatables: &[Version],
    code: &CodeMigrations,
) -> Result<HashSet<Arc<Id>>> {
    let Some(newest) = set.last().filter(|_| !repeatables.is_empty()) else { return Ok(HashSet::new()) };
    let without = migrations(&set.cut(newest.version(), |version| repeatables.contains(version)), code, None).await?;
    let with = migrations(set, code, None).await?;
    let change = SchemaChange::between(&without.schema, &with.schema);
    Ok(change.objects().map(|(id, ..)| Arc::new(id.clone())).collect())
}

/// The schema that a script creates in an empty database.
pub(crate) async fn file(path: &Path) -> Result<SchemaDescription> {
    let text = migrate_base::regular::read_to_string(path).map_err(|error| {
        Failure::usage(codes::SCHEMA_UNREADABLE, format!("{} cannot be read: {error}", path.display()))
            .help("write `file:` followed by an SQL file that creates the whole schema")
    })?;
    let text = migrate_base::sql::schema_script(path, &text)?;
    let mut shadow = ShadowDatabase::for_script(&text).await?;
    if let Err(error) = shadow.rehearsal().set_up(path, &text).await {
        if error.findings().iter().any(|finding| finding.code == codes::REHEARSAL_TIMEOUT) {
            return Err(Failure::Core(error.note(format!("the statement is in {}", path.display()))));
        }
        let first = error.findings().first();
        let message = first.map_or("", |finding| &finding.message);
        let finding =
            Finding::new(codes::SCHEMA_REFUSED, format!("the script does not run on an empty database: {message}"))
                .at(first.and_then(|finding| finding.place.clone()).unwrap_or_else(|| Place::file(path)))
                .help(
                    "create it with `pg_dump --schema-only --no-owner --no-privileges`, or give the database itself: \
                     `env:NAME` or its URL",
                );
        return Err(Failure::Core(Error::new(ErrorKind::Statement, finding)));
    }
    let described = shadow.describe().await?;
    shadow.end().await?;
    Ok(described)
}

/// Whether a note says what a run kept: on a shadow database, that means nothing.
pub(crate) fn is_about_kept(note: &str) -> bool {
    note.starts_with("nothing of this migration was kept")
}
