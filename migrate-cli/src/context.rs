//! Resolves the arguments: the configuration, the environment, the database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::{
    Actor, CancelHandle, CodeMigrations, Database, Error, ErrorKind, Layout, MigrationFolder, MigrationSet, Migrator,
    Observer, Options, Progress, RunPolicy,
};
use migrate_review::config::{Config, DatabaseSource, EngineConfig, Environment};
use migrate_test::{Endpoint, ManagedServer, ProviderChoice};

use crate::cli::GlobalArgs;
use crate::exit::{Failure, Result};
use crate::git;
use crate::invocation;
use crate::output::CliOutput;

/// The application name of our sessions in `pg_stat_activity` and in the ledger.
pub(crate) const APPLICATION: &str = "roundtrip";

/// The default environment.
pub(crate) const DEVELOPMENT: &str = "development";

/// One invocation: the environment, and the output.
pub(crate) struct Context<'a> {
    /// The name of the environment, or that of the database if no environment is named.
    pub(crate) name: String,
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    pub(crate) migrations: PathBuf,
    pub(crate) layout: Layout,
    /// Whether the database was named on the command line.
    pub(crate) named_database: bool,
    /// Whether the database is given only by its address. Its purpose is unknown then, so it is not a development
    /// database.
    pub(crate) is_unnamed: bool,
    /// How long to wait for a server that is starting.
    wait: Duration,
    /// The same as given on the command line, if it was given.
    given_wait: Option<Duration>,
    pub(crate) output: &'a CliOutput,
}

impl<'a> Context<'a> {
    /// Reads the configuration and selects the environment; opens no connection.
    pub(crate) fn new(global: &GlobalArgs, output: &'a CliOutput) -> Result<Self> {
        let folder = std::env::current_dir()
            .map_err(|error| Failure::usage(codes::FOLDER, format!("the current folder cannot be read: {error}")))?;
        let config = Config::load(global.config.as_deref(), &folder)?;
        output.notices(&config.renamed);
        let database = global.database.as_deref().map(source).transpose()?;
        let is_address = database.as_ref().is_some_and(|database| !database.is_managed());
        let name = global.env.as_deref().unwrap_or(DEVELOPMENT);
        let named = config.environment(name);
        // A name that no configuration file defines does not say what the database is for.
        let is_explained = named.is_ok() || config.path.is_some();
        let is_unnamed = is_address && (global.env.is_none() || !is_explained);
        let mut environment = match (named, &database) {
            // A database given on the command line needs no environment in a file.
            (Err(_), Some(_)) if config.path.is_none() => Environment::default(),
            (named, _) => named?,
        };
        match database {
            Some(database) => environment.database = database,
            None => refuse_committed_password(&config, name, &environment)?,
        }
        let mut name = name.to_owned();
        if is_unnamed {
            // The ledger and the timeouts of the project apply; development settings do not.
            (environment.fingerprint, environment.seed) = (true, None);
            name = global.env.clone().or_else(|| own_name(&environment.database)).unwrap_or(name);
        }
        let wait = global.wait.unwrap_or(environment.connect_wait);
        let migrations = global.migrations.clone().unwrap_or_else(|| config.migrations.clone());
        // A path below the current folder is shown as a user would type it.
        let below = migrations.strip_prefix(&folder).map(PathBuf::from).unwrap_or(migrations);
        let migrations = if below.as_os_str().is_empty() { PathBuf::from(".") } else { below };
        let layout = match (global.layout.or(config.layout), &global.migrations) {
            (Some(layout), _) => layout,
            // A folder named on the command line may belong to another tool; that of the project has our layout.
            (None, Some(folder)) => Layout::detect(folder),
            (None, None) => Layout::default(),
        };
        Ok(Self {
            name,
            environment,
            config,
            migrations,
            layout,
            named_database: global.database.is_some(),
            is_unnamed,
            wait,
            given_wait: global.wait,
            output,
        })
    }

    /// Connects, and starts the managed server if there is one and it is not running. Meanwhile, another thread reads
    /// the migrations.
    pub(crate) async fn migrator(&self, code: CodeMigrations, mut run: MigratorOptions) -> Result<Migrator> {
        let given = run.set.take();
        if given.is_none() && !self.migrations.exists() {
            // No server is created for a folder that is not there.
            self.folder()?.read()?;
        }
        let loading = self.load(given.clone())?;
        let actor = Actor::from_environment(APPLICATION);
        let options = Options {
            ledger: self.environment.ledger.clone(),
            other_ledgers: self.environment.other_ledgers.clone(),
            connect_wait: self.wait,
            lock_wait: run.lock_wait.unwrap_or(self.environment.lock_wait),
            lock_timeout: self.environment.lock_timeout,
            lock_retries: self.environment.lock_retries,
            statement_timeout: self.environment.statement_timeout,
            fingerprint: self.environment.fingerprint,
            keep_data: run.keep_data,
            restore_kept: !run.leave_kept,
            reason: run.reason,
            actor,
            observer: Arc::new(WaitObserver { output: self.output.clone(), inner: run.observer }),
            cancel: run.cancel,
        };
        let Some(managed) = self.managed()? else {
            return Ok(Migrator::open_while(self.database()?, loading, code, options).await?);
        };
        if let Some(endpoint) = managed.recorded() {
            let database = self.patient(endpoint.options(&self.name).into());
            match Migrator::open_while(database, loading, code.clone(), options.clone()).await {
                Err(error) if error.kind() == ErrorKind::Connection => {}
                outcome => return Ok(outcome?),
            }
        }
        let endpoint = self.start(&managed).await?;
        let database = self.patient(endpoint.options(&self.name).into());
        Ok(Migrator::open_while(database, self.load(given)?, code, options).await?)
    }

    /// Records the commit of the files in what is written from now on. Git is slow because it looks at each file, so it
    /// runs only if something is about to be written.
    pub(crate) async fn name_commit(&self, migrator: &mut Migrator) {
        let folder = self.migrations.clone();
        if let Ok(Some(commit)) = tokio::task::spawn_blocking(move || git::commit(&folder)).await {
            migrator.name_commit(commit);
        }
    }

    /// The policy of the environment; `allow_newer` is the option on the command line.
    pub(crate) fn policy(&self, allow_newer: bool) -> RunPolicy {
        RunPolicy { allow_newer: allow_newer || self.environment.allow_newer, ..RunPolicy::default() }
    }

    /// The folder of the migrations, with what has to be known to read it.
    ///
    /// # Errors
    ///
    /// Another tool runs the migrations, so they are not read as files.
    pub(crate) fn folder(&self) -> Result<MigrationFolder> {
        if let Some(engine) = &self.config.engine {
            return Err(self.run_by(engine));
        }
        let Config { skip, whole, placeholders, .. } = &self.config;
        // A variable that is not set leaves its placeholder without a value.
        let value = |(name, value): (&String, &String)| match value.strip_prefix("env:") {
            Some(variable) => Some((name.clone(), std::env::var(variable).ok()?)),
            None => Some((name.clone(), value.clone())),
        };
        Ok(MigrationFolder {
            skip: skip.clone(),
            whole: whole.clone(),
            placeholders: placeholders.iter().filter_map(value).collect(),
            ..MigrationFolder::new(&self.migrations, self.layout)
        })
    }

    /// The failure of a command that would run the migrations, or read them.
    fn run_by(&self, engine: &EngineConfig) -> Failure {
        let tool = engine.name();
        let message = format!("{tool} runs the migrations of this project, as [engine] in migrate.toml says");
        Failure::usage(codes::ENGINE_RUNS, message)
            .help(format!("use {tool} itself for what changes or reads a database"))
            .help("`cargo xtask verify` proves the migrations on a shadow database")
            .help("`cargo xtask adopt --capture DIR` writes them as SQL, for Roundtrip to run")
    }

    /// The migrations. It is an error if there are none.
    pub(crate) fn chain(&self) -> Result<MigrationSet> {
        let set = self.folder()?.load()?;
        if set.is_empty() { Err(self.no_migrations(&set)) } else { Ok(set) }
    }

    /// The failure for a folder without migrations.
    pub(crate) fn no_migrations(&self, set: &MigrationSet) -> Failure {
        Failure::Core(Error::new(ErrorKind::Files, set.why_empty()))
    }

    /// Reads the migrations on another thread.
    fn load(
        &self,
        given: Option<MigrationSet>,
    ) -> Result<impl Future<Output = migrate_core::Result<MigrationSet>> + use<>> {
        let folder = self.folder()?;
        let thread = tokio::task::spawn_blocking(move || given.map_or_else(|| folder.read(), Ok));
        Ok(async move {
            // The thread cannot be cancelled, and reading files does not panic.
            thread.await.unwrap_or_else(|error| {
                let finding = Finding::new(codes::FOLDER_UNREADABLE, format!("the migrations were not read: {error}"));
                Err(Error::new(ErrorKind::Files, finding))
            })
        })
    }

    /// Starts the managed server and creates the database of this environment.
    pub(crate) async fn start(&self, managed: &ManagedServer) -> Result<Endpoint> {
        let output = self.output;
        let endpoint = managed.up(&mut |progress| output.server(&progress)).await?;
        managed.ensure_database(&endpoint, &self.name).await?;
        Ok(endpoint)
    }

    /// The managed server, if the database of the environment is a managed one.
    pub(crate) fn managed(&self) -> Result<Option<ManagedServer>> {
        let source = match &self.environment.database {
            DatabaseSource::Auto => ProviderChoice::Auto,
            DatabaseSource::Local => ProviderChoice::Local,
            DatabaseSource::Docker(image) => ProviderChoice::Docker(image.clone()),
            DatabaseSource::Variable(_) | DatabaseSource::Url(_) => return Ok(None),
        };
        Ok(Some(ManagedServer::new(&self.config.project, source)?))
    }

    /// The name of the database in messages: that of its environment, or its own name if it was given on the command
    /// line.
    pub(crate) fn title(&self) -> String {
        let database = self.environment.database.url().ok().flatten().filter(|_| self.named_database);
        let database = database.and_then(|url| Database::parse(&url).ok());
        database.map_or_else(|| self.name.clone(), |database| database.name().to_owned())
    }

    /// The options that another command needs to use the same database. The other options of the command line are added
    /// when a text is shown: see [`crate::invocation`].
    pub(crate) fn aim(&self) -> String {
        let named = if self.named_database { invocation::aim_of_database() } else { None };
        named.unwrap_or_else(|| format!("--env {}", invocation::quote(&self.name)))
    }

    /// The database of this environment; a managed server is started.
    pub(crate) async fn reach(&self) -> Result<Database> {
        let Some(managed) = self.managed()? else {
            return self.awaited(self.database()?).await;
        };
        let endpoint = self.start(&managed).await?;
        Ok(self.patient(endpoint.options(&self.name).into()))
    }

    /// Waits for the server of the database to start, if a wait is configured.
    pub(crate) async fn awaited(&self, database: Database) -> Result<Database> {
        if !self.wait.is_zero() {
            let mut waiting = |why: &str, left: Duration| self.output.unreachable(&database, why, left);
            database.wait(self.wait, &mut waiting).await?;
        }
        Ok(database)
    }

    /// The context of another environment of the configuration.
    pub(crate) fn other(&self, name: &str) -> Result<Self> {
        let environment = self.config.environment(name)?;
        refuse_committed_password(&self.config, name, &environment)?;
        let wait = environment.connect_wait;
        Ok(Self {
            name: name.to_owned(),
            environment,
            config: self.config.clone(),
            migrations: self.migrations.clone(),
            layout: self.layout,
            named_database: false,
            is_unnamed: false,
            wait: self.given_wait.unwrap_or(wait),
            given_wait: self.given_wait,
            output: self.output,
        })
    }

    /// The database of an environment that has a URL.
    pub(crate) fn database(&self) -> Result<Database> {
        let url = self.environment.database.url()?.unwrap_or_default();
        Ok(self.patient(Database::parse(&url)?))
    }

    fn patient(&self, database: Database) -> Database {
        database.patience(self.environment.connect_timeout)
    }
}

/// The name of a database that is given by its address.
fn own_name(source: &DatabaseSource) -> Option<String> {
    let url = source.url().ok()??;
    Some(Database::parse(&url).ok()?.name().to_owned())
}

/// Reports the wait for a starting server, and passes all other progress on to the inner observer.
struct WaitObserver {
    output: CliOutput,
    inner: Arc<dyn Observer>,
}

impl Observer for WaitObserver {
    fn hear(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Unreachable(database, why, left) => self.output.unreachable(database, why, *left),
            _ => self.inner.hear(progress),
        }
    }
}

/// Parses the value of `--database`. The error does not repeat it, because it may contain a password.
fn source(text: &str) -> Result<DatabaseSource> {
    text.parse().map_err(|_| {
        Failure::usage(codes::DATABASE_URL, "the value of --database is not a database")
            .help(format!("write {}", DatabaseSource::FORMS))
    })
}

/// What a command needs from a migrator.
pub(crate) struct MigratorOptions {
    /// The migrations, if they are not those of the folder.
    pub(crate) set: Option<MigrationSet>,
    pub(crate) lock_wait: Option<Duration>,
    /// Whether the data that a rollback destroys is kept.
    pub(crate) keep_data: bool,
    /// Whether kept data is left alone when its migration is reapplied.
    pub(crate) leave_kept: bool,
    /// The reason, for the ledger.
    pub(crate) reason: Option<String>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) cancel: CancelHandle,
}

impl MigratorOptions {
    /// For a command that only reads.
    pub(crate) fn reading() -> Self {
        let observer = Arc::new(migrate_core::runner::SilentObserver);
        let (keep_data, leave_kept, cancel) = (false, false, CancelHandle::new());
        Self { set: None, lock_wait: None, keep_data, leave_kept, reason: None, observer, cancel }
    }
}

/// Refuses a password in a file that git tracks.
fn refuse_committed_password(config: &Config, name: &str, environment: &Environment) -> Result<()> {
    match committed_password(config, name, environment) {
        Some(finding) => Err(Failure::Core(Error::new(ErrorKind::Configuration, finding))),
        None => Ok(()),
    }
}

/// A finding for each environment whose password is in a file that git tracks.
pub(crate) fn committed_passwords(config: &Config) -> Vec<Finding> {
    let environments = config.names().into_iter().filter_map(|name| Some((config.environment(&name).ok()?, name)));
    environments.filter_map(|(environment, name)| committed_password(config, &name, &environment)).collect()
}

fn committed_password(config: &Config, name: &str, environment: &Environment) -> Option<Finding> {
    let path = config.path.as_deref().filter(|path| environment.database.holds_password() && git::tracks(path))?;
    let variable = format!("{}_DATABASE_URL", name.to_uppercase());
    let finding = Finding::new(
        codes::PASSWORD_IN_GIT,
        format!("the password for the database of {name} is in a file that git tracks"),
    )
    .at(Place::file(path))
    .help(format!("write `database = \"env:{variable}\"`, set the variable, and change the password"));
    Some(finding)
}
