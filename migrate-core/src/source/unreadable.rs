//! Folders with the migrations of tools whose files are not SQL: one finding says so, not one for each file.

use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};

use super::files;

/// A tool whose migrations are in another language.
struct CodeTool {
    name: &'static str,
    language: &'static str,
    /// The endings of its files.
    endings: &'static [&'static str],
    /// A file that lies in the folder or in one of the two above it.
    beside: Option<&'static str>,
    /// Whether a name without its ending is that of one of its migrations.
    is_named: fn(&str) -> bool,
}

const SCRIPTS: &[&str] = &[".js", ".ts", ".mjs", ".cjs", ".mts", ".cts"];

/// The tools, those that are recognised by a file of their own first.
const TOOLS: [CodeTool; 13] = [
    CodeTool {
        name: "Knex",
        language: "JavaScript",
        endings: SCRIPTS,
        beside: Some("knexfile"),
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Sequelize",
        language: "JavaScript",
        endings: SCRIPTS,
        beside: Some(".sequelizerc"),
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Alembic",
        language: "Python",
        endings: &[".py"],
        beside: Some("alembic.ini"),
        is_named: |name| name != "env" && name != "__init__",
    },
    CodeTool {
        name: "Django",
        language: "Python",
        endings: &[".py"],
        beside: None,
        is_named: |name| begins_with(name, 4) && name.as_bytes().get(4) == Some(&b'_'),
    },
    CodeTool {
        name: "Alembic",
        language: "Python",
        endings: &[".py"],
        beside: None,
        is_named: |name| {
            name.split('_').next().is_some_and(|id| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()))
        },
    },
    CodeTool {
        name: "TypeORM",
        language: "TypeScript",
        endings: SCRIPTS,
        beside: None,
        is_named: |name| begins_with(name, 13) && name.contains('-'),
    },
    CodeTool {
        name: "node-pg-migrate",
        language: "JavaScript",
        endings: SCRIPTS,
        beside: None,
        is_named: |name| begins_with(name, 13),
    },
    CodeTool {
        name: "Knex or Sequelize",
        language: "JavaScript",
        endings: SCRIPTS,
        beside: None,
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Rails",
        language: "Ruby",
        endings: &[".rb"],
        beside: None,
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Ecto",
        language: "Elixir",
        endings: &[".exs"],
        beside: None,
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Laravel",
        language: "PHP",
        endings: &[".php"],
        beside: None,
        is_named: |name| begins_with(name, 4) && name.matches('_').count() > 3,
    },
    CodeTool {
        name: "Entity Framework",
        language: "C#",
        endings: &[".cs"],
        beside: None,
        is_named: |name| begins_with(name, 14),
    },
    CodeTool {
        name: "Liquibase",
        language: "XML or YAML",
        endings: &[".xml", ".yaml", ".yml"],
        beside: None,
        is_named: |name| name.to_ascii_lowercase().contains("changelog"),
    },
];

impl CodeTool {
    /// The name of one of its migrations without the ending.
    fn stem<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.endings.iter().find_map(|end| name.strip_suffix(end)).filter(|stem| (self.is_named)(stem))
    }
}

fn begins_with(name: &str, digits: usize) -> bool {
    name.len() > digits && name.bytes().take_while(u8::is_ascii_digit).count() == digits
}

/// The finding for a folder that has the migrations of such a tool and none of ours.
pub(super) fn finding<'n>(folder: &Path, names: impl Iterator<Item = &'n str>) -> Option<Finding> {
    let names: Vec<&str> = names.collect();
    if names.iter().any(|name| name.ends_with(".sql") || files::parse(name).is_ok()) {
        return None;
    }
    let tool = TOOLS.iter().find(|tool| {
        names.iter().any(|name| tool.stem(name).is_some()) && tool.beside.is_none_or(|file| is_beside(folder, file))
    })?;
    let found: Vec<&&str> = names.iter().filter(|name| tool.stem(name).is_some()).collect();
    let count = if found.len() == 1 { "1 file".to_owned() } else { format!("{} files", found.len()) };
    let message = format!("these are migrations of {} in {}, which Roundtrip cannot read", tool.name, tool.language);
    Some(
        Finding::new(codes::OTHER_TOOL, message)
            .at(Place::file(folder))
            .note(format!("{count}, such as {}", found.first()?))
            .help(
                "to go on in SQL: `cargo xtask baseline --migrations DIR` captures the schema that they made as the \
                 first migration of an empty folder, and `cargo xtask baseline --mark` records it",
            ),
    )
}

/// Whether a file, with any ending, lies in a folder or in one of the two above it.
fn is_beside(folder: &Path, file: &str) -> bool {
    let begins = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(file);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().take(3).any(|above| std::fs::read_dir(above).into_iter().flatten().flatten().any(begins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MigrationSet;

    #[test]
    fn a_folder_of_code_is_one_finding_that_names_the_tool() {
        for (tool, files) in [
            ("Knex or Sequelize", &["20240101000000_a.js", "20240102000000_b.ts"][..]),
            ("TypeORM", &["1704067200000-Accounts.ts"]),
            ("node-pg-migrate", &["1704067200000_accounts.js"]),
            ("Django", &["__init__.py", "0001_initial.py", "0002_cents.py"]),
            ("Alembic", &["1975ea83b712_add_accounts.py"]),
            ("Rails", &["20240101000000_create_accounts.rb"]),
            ("Ecto", &["20240101000000_create_accounts.exs", ".formatter.exs"]),
            ("Laravel", &["2014_10_12_000000_create_users_table.php"]),
            (
                "Entity Framework",
                &["20240101000000_Init.cs", "20240101000000_Init.Designer.cs", "ShopModelSnapshot.cs"],
            ),
            ("Liquibase", &["db.changelog-master.yaml"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|name| std::fs::write(folder.path().join(name), "x").unwrap());
            let error = MigrationSet::load(folder.path()).unwrap_err();
            let [finding] = error.findings() else { panic!("{tool}: {:?}", error.findings()) };
            assert_eq!(finding.code.as_str(), "other-tool");
            assert!(finding.message.contains(&format!("migrations of {tool} in")), "{}", finding.message);
        }
    }

    #[test]
    fn a_file_of_its_own_tells_a_tool_from_another() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("db/migrations");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(inside.join("20240101000000_a.js"), "x").unwrap();
        std::fs::write(folder.path().join("knexfile.ts"), "x").unwrap();
        let told = finding(&inside, ["20240101000000_a.js"].into_iter()).unwrap();
        assert!(told.message.contains("migrations of Knex in"), "{}", told.message);
    }

    #[test]
    fn beside_our_own_files_such_a_file_is_a_mistake() {
        let names = ["20240101000000_a.js", "20240102000000_b.up.sql"];
        assert!(finding(Path::new("m"), names.into_iter()).is_none());
        assert!(finding(Path::new("m"), ["notes.txt", "helper.js"].into_iter()).is_none());
    }
}
