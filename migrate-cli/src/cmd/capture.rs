//! `adopt --capture`: write the chain that another tool runs as SQL, proven to make the same, step by step.

use std::path::Path;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::split;
use migrate_core::foreign::ForeignTool;
use migrate_core::{CodeMigrations, MigrationSet, Version};
use migrate_test::engine::{self, CapturedStep, EngineChain};
use migrate_test::proof::{self, Law, MigrationProof, Proof, Verdict};
use migrate_test::{RowLoss, shape};
use serde::Serialize;

use super::convert;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{self, FileDraft};
use crate::output::style::{self, BOLD, DIM, GOOD, PLAIN, WARN, paint};
use crate::output::{DocumentJson, TextTable};
use crate::shadow;

#[derive(Serialize)]
struct CaptureJson {
    tool: String,
    folder: String,
    migrations: Vec<CapturedJson>,
}

#[derive(Serialize)]
struct CapturedJson {
    version: String,
    name: String,
    key: String,
    file: String,
    statements: usize,
    /// Where the down script comes from: `own`, `derived`, or `none`.
    down: &'static str,
    /// The data that a rollback loses.
    #[serde(skip_serializing_if = "Option::is_none")]
    lossy: Option<String>,
    /// How many statements the tool computes from rows, which are not in the script.
    computed: usize,
    notes: Vec<String>,
    /// Whether a law is broken: the same as with the tool.
    broken: bool,
}

/// Where a down script comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DownOrigin {
    /// The tool sent it.
    Own,
    Derived,
    None,
}

/// The files of a migration, as they are about to be written.
struct CapturedFiles<'s> {
    step: &'s CapturedStep,
    version: String,
    name: String,
    down: Option<String>,
    origin: DownOrigin,
    lossy: Option<String>,
    irreversible: Option<String>,
    /// Why the rollback of the tool is not used.
    no_down: Option<String>,
    /// Whether a law is broken that no declaration makes good.
    is_broken: bool,
}

pub(super) async fn run(context: &Context<'_>, folder: &Path) -> Result<Exit> {
    let Some(config) = &context.config.engine else {
        return Err(Failure::usage(codes::NO_ENGINE, "no other tool runs the migrations of this project")
            .help("`engine = \"TOOL\"` in migrate.toml names it; `cargo xtask explain engine-failed` has the tools"));
    };
    refuse_full(folder)?;
    let chain = super::run::unless_stopped(shadow::provable(context, CodeMigrations::none())).await?;
    let phases = context.output.phases();
    let work = async {
        let mut hear = |one: &migrate_core::Migration| phases.begin(&format!("capturing {}", title(one)));
        let steps = engine::capture(&chain, &mut hear).await?;
        let mut all = files_of(&chain, &steps);
        for at in 0..all.len() {
            if all[at].down.is_none() && all[at].irreversible.is_none() {
                phases.begin(&format!("deriving the down script of {}", all[at].stem()));
                derive(folder, &mut all, at).await?;
            }
        }
        let mut hear = |one: &migrate_core::Migration| phases.begin(&format!("comparing {}", title(one)));
        let set = load(folder, &all)?;
        if let Some((at, told)) = engine::differences(&steps, &set, &mut hear).await? {
            return Err(differs(config.name(), &steps[at], &told));
        }
        let mut hear = |proven: &MigrationProof| phases.begin(&format!("proved {}_{}", proven.version, proven.name));
        declare_losses(folder, &mut all, &mut hear).await?;
        Ok(all.iter().map(|one| (one.document(), one.drafts())).collect::<Vec<_>>())
    };
    let outcome = tokio::select! {
        outcome = phases.during(work) => outcome,
        () = super::run::asked_to_stop() => {
            Err(Failure::failed(codes::INTERRUPTED, "interrupted before the chain was captured; nothing was written"))
        }
    };
    let (migrations, drafts): (Vec<CapturedJson>, Vec<Vec<FileDraft>>) = outcome?.into_iter().unzip();
    std::fs::create_dir_all(folder).map_err(|error| files::cannot(folder, &error))?;
    super::replace::replace(folder, &drafts.concat(), &[])?;
    let document = CaptureJson { tool: config.name().to_owned(), folder: folder.display().to_string(), migrations };
    tell(context, &document);
    let exit = if document.migrations.iter().any(|one| one.broken) { Exit::Found } else { Exit::Done };
    context.output.document(&DocumentJson::new("adopt-capture", &context.name, document));
    Ok(exit)
}

fn title(one: &migrate_core::Migration) -> String {
    one.version().title(one.name())
}

/// Refuses a folder that has files: they would be part of the chain.
fn refuse_full(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| files::cannot(folder, &error))?,
    };
    match entries.flatten().any(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        true => Err(Failure::usage(codes::FOLDER, format!("{} has files already", folder.display()))
            .help("name a folder that is empty, or does not exist yet")),
        false => Ok(()),
    }
}

fn files_of<'s>(chain: &EngineChain, steps: &'s [CapturedStep]) -> Vec<CapturedFiles<'s>> {
    let versions = convert::versions(&chain.set);
    let one = |(step, version): (&'s CapturedStep, String)| {
        // The number is in the version, and the key in the head of the file.
        let words = step.name.replacen(&step.from.key, "", usize::from(step.name != step.from.key));
        let down = step.down.as_ref().map(|statements| script(statements));
        CapturedFiles {
            step,
            version,
            name: convert::name(&words),
            origin: if down.is_some() { DownOrigin::Own } else { DownOrigin::None },
            down,
            lossy: step.lossy.clone(),
            irreversible: step.irreversible.clone(),
            no_down: step.no_down.clone(),
            is_broken: false,
        }
    };
    steps.iter().zip(versions).map(one).collect()
}

impl CapturedFiles<'_> {
    fn stem(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    fn drafts(&self) -> Vec<FileDraft> {
        let stem = self.stem();
        let up = (format!("{stem}.up.sql"), self.up());
        let down = match (&self.down, &self.irreversible) {
            (Some(down), _) => Some(down.clone()),
            (None, Some(_)) => None,
            // Any statement will do until it is derived.
            (None, None) => Some("SELECT;\n".to_owned()),
        };
        std::iter::once(up).chain(down.map(|down| (format!("{stem}.down.sql"), down))).collect()
    }

    /// The up script: what it was, what it declares, what is not in it, and its statements.
    fn up(&self) -> String {
        let step = self.step;
        // Only a known tool has a ledger that can be adopted.
        let is_known = ForeignTool::named(&step.from.tool).is_some();
        let mut head = match is_known {
            true => format!("{}\n", step.from),
            false => format!("-- It was {} of {}.\n", step.from.key, step.from.tool),
        };
        let declared = [("lossy", &self.lossy), ("irreversible", &self.irreversible)];
        for (limit, reason) in declared.into_iter().filter_map(|(limit, reason)| Some((limit, reason.as_ref()?))) {
            head += &format!("-- migrate: {limit} {}\n", reason.replace('\n', " "));
        }
        if step.file.is_file() {
            head += &format!("-- From {}\n", step.file.display());
        }
        if !step.computed.is_empty() {
            head += "-- NOT COMPLETE: it computes rows in code. With generated rows, it also sent statements such as\n";
            let lines = step.computed.iter().take(MOST_COMPUTED).flat_map(|statement| statement.lines());
            lines.for_each(|line| head += &format!("--   {}\n", line.trim()));
            head += "-- Write them as one statement that does the same for all rows.\n";
        }
        head + &script(&step.up)
    }

    fn document(&self) -> CapturedJson {
        CapturedJson {
            version: self.version.clone(),
            name: self.name.clone(),
            key: self.step.from.key.clone(),
            file: self.step.file.display().to_string(),
            statements: self.step.up.len(),
            down: match self.origin {
                DownOrigin::Own => "own",
                DownOrigin::Derived => "derived",
                DownOrigin::None => "none",
            },
            lossy: self.lossy.clone(),
            computed: self.step.computed.len(),
            broken: self.is_broken,
            notes: self.step.notes.iter().cloned().chain(self.no_down.clone()).collect(),
        }
    }
}

/// How many of the statements that a migration computes are shown.
const MOST_COMPUTED: usize = 4;

/// Statements as a file, which says so if one of them cannot run in a transaction.
fn script(statements: &[String]) -> String {
    if statements.is_empty() {
        return "SELECT;\n".to_owned();
    }
    let is_apart = |text: &String| split(text).0.iter().any(|statement| statement.class.needs_no_transaction());
    let mut text = String::new();
    if statements.iter().any(is_apart) {
        text += "-- migrate: no-transaction\n";
    }
    for statement in statements {
        text += statement;
        text += ";\n";
    }
    text
}

fn load(folder: &Path, all: &[CapturedFiles<'_>]) -> Result<MigrationSet> {
    let drafts: Vec<FileDraft> = all.iter().flat_map(CapturedFiles::drafts).collect();
    Ok(MigrationSet::load_with(folder, &drafts)?)
}

/// Derives a down script; if it cannot be proven, the migration has none.
async fn derive(folder: &Path, all: &mut [CapturedFiles<'_>], at: usize) -> Result<()> {
    let down = format!("{}.down.sql", all[at].stem());
    let version: Option<Version> = all[at].version.parse().ok();
    let Some(version) = version else { return Ok(()) };
    let drafts: Vec<FileDraft> = all.iter().flat_map(CapturedFiles::drafts).filter(|(name, _)| *name != down).collect();
    let with = |text: &str| {
        let drafts: Vec<FileDraft> = drafts.iter().cloned().chain([(down.clone(), text.to_owned())]).collect();
        MigrationSet::load_with(folder, &drafts)
    };
    let derived = shape::derive(&with, &CodeMigrations::none(), &version, &mut |_| {}).await?;
    let one = &mut all[at];
    if derived.is_proven() {
        (one.down, one.origin) = (Some(derived.text), DownOrigin::Derived);
    } else {
        let why = one.no_down.as_deref().unwrap_or("it has no rollback").replace('\n', " ");
        one.irreversible = Some(format!("{} has no rollback that could be proven: {why}", one.step.from.tool));
    }
    Ok(())
}

/// Proves the chain, and declares what a rollback loses.
async fn declare_losses(
    folder: &Path,
    all: &mut [CapturedFiles<'_>],
    hear: &mut dyn FnMut(&MigrationProof),
) -> Result<()> {
    let set = load(folder, all)?;
    let proof = Proof { keep: false, walks: 1, ..Proof::default() };
    let report = proof::prove(&set, &CodeMigrations::none(), &proof, hear).await?;
    for (at, proven) in report.migrations.iter().enumerate() {
        let one = &mut all[at];
        let broken: Vec<Law> = Law::ALL.into_iter().filter(|law| is_broken(proven, *law)).collect();
        let losses = proven.laws.get(&Law::Data).and_then(Verdict::story).map(|story| &*story.losses);
        let losses = losses.filter(|losses| !losses.is_empty() && losses.iter().all(|loss| !loss.came));
        match (&*broken, losses) {
            ([], _) => {}
            ([Law::Data], Some(losses)) if one.lossy.is_none() => {
                one.lossy = Some(losses.iter().map(RowLoss::place).collect::<Vec<_>>().join(", "));
            }
            _ if one.origin == DownOrigin::Own => {
                one.no_down = Some(format!("its rollback breaks the {} law", broken[0]));
                (one.down, one.origin) = (None, DownOrigin::None);
                derive(folder, all, at).await?;
            }
            _ => {
                one.no_down = Some(format!("`cargo xtask verify` shows why the {} law is broken", broken[0]));
                one.is_broken = true;
            }
        }
    }
    Ok(())
}

fn is_broken(proven: &MigrationProof, law: Law) -> bool {
    proven.laws.get(&law).is_some_and(Verdict::is_broken)
}

/// The statements that were sent do not make what the tool made.
fn differs(tool: &str, step: &CapturedStep, told: &[String]) -> Failure {
    let message = format!("what {tool} sent for {} does not make what {tool} made", step.from.key);
    let finding = Finding::new(codes::CAPTURE_DIFFERS, message).at(Place::file(&step.file));
    let finding = told.iter().take(20).fold(finding, |finding, line| finding.note(line.clone()));
    let finding = finding
        .note("nothing was written")
        .help(format!("go on with {tool}: `cargo xtask verify` proves its chain as it is"))
        .help(
            "or begin with the schema as it is: without `engine` in migrate.toml, `cargo xtask baseline --migrations \
             DIR` captures it",
        );
    Failure::Core(Error::new(ErrorKind::Code, finding))
}

fn tell(context: &Context<'_>, document: &CaptureJson) {
    let output = context.output;
    let mut table = TextTable::default();
    for one in &document.migrations {
        let down = match one.down {
            "own" => (GOOD, format!("down from {}", document.tool)),
            "derived" => (GOOD, "down derived".to_owned()),
            _ => (WARN, "no down".to_owned()),
        };
        let mut more: Vec<String> = one.lossy.iter().map(|lossy| format!("loses {lossy}")).collect();
        more.extend((one.computed > 0).then(|| "computes rows in code".to_owned()));
        table.row([
            (BOLD, one.version.clone()),
            (PLAIN, one.name.clone()),
            (DIM, style::count(one.statements, "statement")),
            down,
            (WARN, more.join("; ")),
        ]);
    }
    output.lines(&table.lines());
    let count = style::count(document.migrations.len(), "migration");
    output.line(format!("\n{} {count} of {}, proven to make the same", paint(GOOD, "captured"), document.tool));
    let incomplete: Vec<&CapturedJson> = document.migrations.iter().filter(|one| one.computed > 0).collect();
    for one in &incomplete {
        let file = Path::new(&document.folder).join(format!("{}_{}.up.sql", one.version, one.name));
        let file = file.display();
        output
            .line(format!("  {} {file} does not have the rows that it computes in code", paint(WARN, "not complete:")));
    }
    for (one, note) in document.migrations.iter().flat_map(|one| one.notes.iter().map(move |note| (one, note))) {
        output.line(format!("  {DIM}{}_{}: {note}{DIM:#}", one.version, one.name));
    }
    let newest = document.migrations.last().map(|one| one.version.as_str()).unwrap_or_default();
    let records = match ForeignTool::named(&document.tool) {
        Some(_) => format!("`cargo xtask adopt --env NAME` takes over the ledger of {} in", document.tool),
        None => format!("`cargo xtask baseline --mark --to {newest} --env NAME` records that they are applied in"),
    };
    output.next(format!(
        "review the files; in migrate.toml, replace [engine] with `migrations = \"{}\"`; then {records} each database",
        document.folder
    ));
}
