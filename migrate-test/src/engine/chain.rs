//! Finds the chain of a tool: the tool lists it, its files do, or it is applied step by step until nothing is left.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::source::DrivenMigration;
use migrate_core::{CodeMigrations, Database, Error, ErrorKind, Migration, MigrationSet, Version};
use migrate_review::config::{ChainListing, Config, EnginePreset};

use super::listing::{self, ListedMigration};
use super::{EngineDriver, EngineStep, ToolEngine, USES_URL, command, failed, files};
use crate::ephemeral::{TestDatabase, own_where};
use crate::error::ProofError;

/// The migrations of another tool, and how they are run.
#[derive(Debug)]
pub struct EngineChain {
    /// The migrations; their names are the keys in the ledger of the tool.
    pub set: MigrationSet,
    /// The tool, for everything that runs the chain.
    pub code: CodeMigrations,
    /// The same, for what only an engine can tell.
    pub(super) engine: Option<Arc<ToolEngine>>,
}

impl EngineChain {
    /// A chain that Roundtrip runs itself.
    pub fn own(set: MigrationSet, code: CodeMigrations) -> Self {
        Self { set, code, engine: None }
    }
}

/// The migrations that are written in the project. Those of a Django application that comes with a package have no file
/// here: they are applied, and nobody here could fix them. Any other tool has only the project's own.
pub fn of_project(config: &Config, set: &MigrationSet) -> BTreeSet<Version> {
    let versions = |is: &dyn Fn(&Migration) -> bool| -> BTreeSet<Version> {
        set.iter().filter(|one| is(one)).map(|one| one.version().clone()).collect()
    };
    let preset = config.engine.as_ref().and_then(|engine| engine.preset);
    match versions(&|one| one.path().is_file()) {
        own if preset.is_some_and(EnginePreset::has_packages) && !own.is_empty() => own,
        _ => versions(&|_| true),
    }
}

pub(super) async fn find(driver: EngineDriver) -> Result<EngineChain, ProofError> {
    let listed = match driver.config.preset.map(|preset| preset.listing) {
        _ if driver.config.list.is_some() => listed(&driver, None).await?,
        Some(listing) if listing.command().is_some() => listed(&driver, Some(listing)).await?,
        Some(listing) => of_files(&driver, listing)?,
        // Each step is committed, so it has a server of its own.
        None => own_where(true, Box::pin(stepped(&driver))).await?,
    };
    // A command of the user's own applies just one migration.
    let jumps = driver.config.preset.is_some_and(|preset| preset.jumps && preset.up == driver.config.up);
    let jumps = jumps && driver.config.list.is_none() && listed.iter().all(|one| one.follows);
    let keys: Vec<String> = listed.iter().map(|one| one.key.clone()).collect();
    let candidates = files::candidates(&driver.project, &driver.folder);
    let versions = versions(&keys);
    let steps: Vec<EngineStep> = listed
        .into_iter()
        .zip(versions)
        .map(|(ListedMigration { key, target, after, .. }, version)| {
            let file = files::of_key(&key, &candidates);
            let beside = file.iter().flat_map(|file| files::beside(file, &candidates)).collect();
            EngineStep { file, beside, key, target, after, version }
        })
        .collect();
    let project = driver.shown(&driver.project);
    let driven = steps.iter().map(|step| driven(&driver, step)).collect::<Vec<_>>();
    let set = MigrationSet::driven(driven, &project);
    let engine = Arc::new(ToolEngine { driver, steps, jumps });
    Ok(EngineChain { set, code: CodeMigrations::run_by(engine.clone()), engine: Some(engine) })
}

/// What the proof knows about a step. Its result depends on its file and on the commands.
fn driven(driver: &EngineDriver, step: &EngineStep) -> DrivenMigration {
    let files = step.file.iter().chain(&step.beside);
    let text: Vec<u8> = files.filter_map(|file| migrate_base::regular::read(file).ok()).flatten().collect();
    // What else it depends on, such as the models of an application, is not known: nothing is kept for others.
    let text = format!("{}\n{}\n{}", step.key, String::from_utf8_lossy(&text), driver.stamp);
    let digits = step.key.len() - step.key.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let is_version = step.version.as_str() == &step.key[..digits];
    let rest = step.key[digits..].trim_start_matches(['_', '-', '.']);
    // The name of a file often says more than its key.
    let stem = step.file.as_ref().and_then(|file| file.file_stem()).map(|stem| stem.to_string_lossy());
    let name = match &stem {
        _ if is_version && !rest.is_empty() => rest,
        Some(stem) if stem.contains(&step.key) => stem,
        _ => &step.key,
    };
    let path = driver.shown(step.file.as_ref().unwrap_or(&driver.folder));
    let beside = step.beside.iter().map(|file| driver.shown(file)).collect();
    DrivenMigration { version: step.version.clone(), name: name.to_owned(), path, beside, text }
}

/// The numbers at the start of the keys, if they are the order of the chain; otherwise the places in it.
fn versions(keys: &[String]) -> Vec<Version> {
    let number = |key: &String| {
        let end = key.find(|char: char| !char.is_ascii_digit()).unwrap_or(key.len());
        let is_whole = !key[end..].starts_with(|char: char| char.is_ascii_alphanumeric());
        key[..end].parse::<Version>().ok().filter(|_| is_whole)
    };
    let numbers: Option<Vec<Version>> = keys.iter().map(number).collect();
    match numbers {
        Some(numbers) if numbers.is_sorted_by(|one, next| one < next) => numbers,
        _ => (1..=keys.len() as u64).map(Version::from).collect(),
    }
}

/// The migrations that a command of the tool prints.
async fn listed(driver: &EngineDriver, preset: Option<ChainListing>) -> Result<Vec<ListedMigration>, ProofError> {
    let template = driver.config.list.as_deref().or_else(|| preset.and_then(ChainListing::command));
    let text = command::filled(template.unwrap_or_default(), &EngineStep::unknown(), &[], &driver.folder);
    let database = TestDatabase::create().await?;
    let address = Database::from(database.options());
    if driver.config.preset.is_some_and(EnginePreset::needs_tcp) && address.host().starts_with('/') {
        database.let_go().await?;
        return Err(needs_tcp(driver).into());
    }
    let outcome = command::run(driver, &text, &address).await;
    let probe = preset.and_then(ChainListing::probe).filter(|_| outcome.is_ok());
    let probed = match probe {
        Some(probe) => command::run(driver, probe, &address).await.unwrap_or_default(),
        None => String::new(),
    };
    database.let_go().await?;
    let output = outcome.map_err(|why| failed(&text, &why, &driver.shown(&driver.folder)))?;
    let mut all = listing::read(preset, &output);
    for one in &mut all {
        one.is_applied |= probed.split_whitespace().any(|word| word == one.key);
    }
    let mut keys = BTreeSet::new();
    if let Some(twice) = all.iter().find(|one| !keys.insert(&one.key)) {
        let message = format!("`{text}` lists {} twice, and nothing tells the two apart", twice.key);
        let finding = Finding::new(codes::ENGINE_STEP, message).at(Place::file(driver.shown(&driver.folder)));
        return Err(Error::new(ErrorKind::Code, finding.help("rename one of them that is not applied yet")).into());
    }
    match all.iter().find(|one| one.is_applied) {
        // Its next command would change that other database.
        Some(one) => {
            let message =
                format!("`{text}` says that {} is applied, and the database in DATABASE_URL is empty", one.key);
            let finding = Finding::new(codes::ENGINE_STEP, message).at(Place::file(driver.shown(&driver.folder)));
            let finding = finding.note("nothing was run: it uses another database");
            Err(Error::new(ErrorKind::Code, finding.help(USES_URL)).into())
        }
        None if all.is_empty() => Err(nothing(driver, format!("`{text}` lists no migrations")).into()),
        None => Ok(all),
    }
}

/// The keys that the names of the files give.
fn of_files(driver: &EngineDriver, listing: ChainListing) -> Result<Vec<ListedMigration>, Error> {
    let unreadable = |error: std::io::Error| {
        let finding = Finding::new(codes::FOLDER_UNREADABLE, format!("the folder cannot be read: {error}"));
        let finding = finding.at(Place::file(driver.shown(&driver.folder)));
        Error::new(ErrorKind::Files, finding.help("`migrations` in migrate.toml names the folder of the migrations"))
    };
    let names = source_files(driver, listing).map_err(unreadable)?;
    let key = |name: String| match listing {
        ChainListing::FileVersions => name.chars().take_while(char::is_ascii_digit).collect(),
        ChainListing::FileStems => PathBuf::from(&name).file_stem().map_or(name, |stem| stem.to_string_lossy().into()),
        _ => name,
    };
    let keys: Vec<String> = names.into_iter().map(key).collect();
    let all = listing::read(None, &keys.join("\n"));
    match all.is_empty() {
        true => Err(nothing(driver, format!("the folder has no migrations of {}", driver.config.name()))),
        false => Ok(all),
    }
}

/// The names of the files that the tool takes for migrations, sorted: every source file in the folder, and for a tool
/// whose files begin with a version those that do.
fn source_files(driver: &EngineDriver, listing: ChainListing) -> std::io::Result<Vec<String>> {
    let is_source = |name: &str| {
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        ["js", "ts", "mjs", "cjs", "mts", "cts", "rb", "exs", "php"].contains(&end) && !name.ends_with(".d.ts")
    };
    let begins = |name: &str| name.split_once('_').is_some_and(|(version, _)| version.parse::<Version>().is_ok());
    let is_migration = |name: &str| {
        is_source(name) && !name.starts_with('.') && (listing != ChainListing::FileVersions || begins(name))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&driver.folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        names.extend((entry.path().is_file() && is_migration(&name)).then_some(name));
    }
    names.sort();
    Ok(names)
}

/// The keys in the order in which the tool applies them.
async fn stepped(driver: &EngineDriver) -> Result<Vec<ListedMigration>, ProofError> {
    let database = TestDatabase::create().await?;
    let address = Database::from(database.options());
    let outcome = climbed(driver, &address).await;
    database.let_go().await?;
    Ok(listing::read(None, &outcome?.join("\n")))
}

async fn climbed(driver: &EngineDriver, database: &Database) -> Result<Vec<String>, Error> {
    let mut keys: Vec<String> = Vec::new();
    let mut known = driver.applied(database, false).await?;
    loop {
        let before: Vec<&str> = keys.iter().map(String::as_str).collect();
        let text = command::filled(&driver.config.up, &EngineStep::unknown(), &before, &driver.folder);
        command::run(driver, &text, database)
            .await
            .map_err(|why| failed(&text, &why, &driver.shown(&driver.folder)))?;
        let now = driver.applied(database, true).await?;
        let new: Vec<String> = now.difference(&known).cloned().collect();
        match <[String; 1]>::try_from(new) {
            Ok([key]) => keys.push(key),
            Err(new) if new.is_empty() && !keys.is_empty() => return Ok(keys),
            Err(new) if new.is_empty() => {
                let error = nothing(driver, format!("`{text}` applied nothing in an empty database"));
                return Err(error);
            }
            Err(new) => {
                let message = format!("`{text}` applied {} migrations at once: {}", new.len(), new.join(", "));
                let finding = Finding::new(codes::ENGINE_STEP, message).at(Place::file(driver.shown(&driver.folder)));
                let finding = finding.help("`up` in [engine] has to apply one migration at a time");
                return Err(Error::new(ErrorKind::Code, finding));
            }
        }
        known = now;
    }
}

/// The tool cannot connect to the shadow server.
fn needs_tcp(driver: &EngineDriver) -> Error {
    let message = format!("{} cannot use a Unix socket, and the shadow server has nothing else", driver.config.name());
    let finding = Finding::new(codes::ENGINE_FAILED, message).at(Place::file(driver.shown(&driver.folder)));
    let finding = finding.help("use a server with an address: `[environments.shadow]`, `database = \"docker\"`");
    Error::new(ErrorKind::Code, finding.help("or name one in ROUNDTRIP_TEST_SERVER"))
}

/// There are no migrations, or the tool found none.
fn nothing(driver: &EngineDriver, message: String) -> Error {
    let finding = Finding::new(codes::ENGINE_EMPTY, message).at(Place::file(driver.shown(&driver.folder)));
    Error::new(ErrorKind::Code, finding.help(USES_URL))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_order_of_the_tool_is_kept() {
        let versions = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            super::versions(&keys).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(versions(&["20240101000000_a.js", "20240102000000_b.js"]), ["20240101000000", "20240102000000"]);
        assert_eq!(versions(&["20240102000000_b.js", "20240101000000_a.js"]), ["1", "2"]);
        // Digits that only happen to be at the start of a hash are no order, even where they increase.
        assert_eq!(versions(&["19ea83b712", "27c6a30d7c24"]), ["1", "2"]);
        assert_eq!(versions(&["auth.0001_initial", "shop.0001_initial"]), ["1", "2"]);
    }
}
