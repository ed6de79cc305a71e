//! `[engine]`: another tool runs the migrations, and Roundtrip proves them by driving it.

mod preset;

use std::fmt;

use migrate_base::ident::QualifiedName;
use migrate_base::suggest;
use migrate_core::Layout;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub use preset::{ChainListing, EnginePreset};

/// The tool that runs the migrations, and how it is driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// What is known about the tool, if it is one of those that Roundtrip knows.
    pub preset: Option<&'static EnginePreset>,
    /// The name of the tool.
    name: String,
    /// The command that prints the keys of the migrations, one on each line, the oldest first.
    pub list: Option<String>,
    /// The command that applies the next migration.
    pub up: String,
    /// The command that rolls the newest migration back; `None` if there is none.
    pub down: Option<String>,
    /// The table with the ledger of the tool, if it does not have the usual name.
    pub ledger: Option<QualifiedName>,
    /// The query for the keys of the applied migrations, if Roundtrip does not know the ledger.
    pub applied: Option<String>,
    /// Variables that the commands get in addition to those that every program gets.
    pub pass: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineSection {
    tool: Option<String>,
    list: Option<String>,
    up: Option<String>,
    down: Option<String>,
    ledger: Option<String>,
    applied: Option<String>,
    #[serde(default)]
    pass: Vec<String>,
}

impl EngineConfig {
    /// The name of the tool: as it is given, or that of the program that applies a migration.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn of(section: EngineSection) -> Result<Self, String> {
        let EngineSection { tool, list, up, down, ledger, applied, pass } = section;
        // A tool that has its own commands may have any name.
        let is_described = up.is_some() && applied.is_some();
        let preset = match &tool {
            Some(tool) if is_described => EnginePreset::named(tool),
            Some(tool) => Some(preset_named(tool)?),
            // A command that calls a tool says which one it is.
            None => up.as_deref().and_then(EnginePreset::called_by),
        };
        let ledger = ledger.map(|name| {
            // A name that is not quoted may have any characters that are no mistake.
            let plain = || name.split_once('.').map_or(("public", &*name), |(schema, table)| (schema, table));
            let is_plain = |name: &str| !name.is_empty() && !name.contains(['.', '"']);
            let named =
                QualifiedName::parse(&name).or_else(|| QualifiedName::parse(&format!("public.{name}"))).or_else(|| {
                    let (schema, table) = plain();
                    (is_plain(schema) && is_plain(table)).then(|| QualifiedName::new(schema, table))
                });
            named.ok_or_else(|| format!("`{name}` is not the name of a table"))
        });
        let known = |command: fn(&EnginePreset) -> &'static str| preset.map(command).map(str::to_owned);
        let Some(up) = up.or_else(|| known(|preset| preset.up)) else {
            return Err("[engine] needs `up`, the command that applies the next migration".to_owned());
        };
        let name = match (tool, preset) {
            (Some(tool), _) if is_name(&tool) => tool,
            (Some(tool), _) => {
                return Err(format!("`{tool}` is not the name of a tool: write letters, digits and dashes"));
            }
            (None, Some(preset)) => preset.tool.to_owned(),
            (None, None) => "the engine".to_owned(),
        };
        if list.is_none() && preset.is_none() && up.contains("{revision}") {
            return Err("`up` names the {revision}, so `list` has to be the command that prints them".to_owned());
        }
        let engine = Self {
            preset,
            name,
            list,
            up,
            down: down.or_else(|| known(|preset| preset.down)),
            ledger: ledger.transpose()?,
            applied,
            pass,
        };
        match (engine.preset, &engine.applied) {
            (None, None) => Err(format!(
                "Roundtrip does not know the ledger of `{}`: `applied` is the query for the keys of the applied \
                 migrations, and `ledger` the table that has them",
                engine.up
            )),
            _ => Ok(engine),
        }
    }
}

fn is_name(tool: &str) -> bool {
    !tool.is_empty() && tool.chars().all(|char| char.is_ascii_alphanumeric() || "-_".contains(char))
}

fn preset_named(tool: &str) -> Result<&'static EnginePreset, String> {
    if let Some(preset) = EnginePreset::named(tool) {
        return Ok(preset);
    }
    if let Some(why) = preset::cannot_step(tool) {
        return Err(format!("{why}, write [engine] with `up`, `down` and `applied`"));
    }
    if tool.parse::<Layout>().is_ok() {
        return Err(format!("the files of {tool} are SQL, which Roundtrip reads: write `layout = \"{tool}\"` instead"));
    }
    let known: Vec<&str> = EnginePreset::names().collect();
    let near = suggest::nearest(tool, known.iter().copied()).map(|near| format!(" (did you mean `{near}`?)"));
    Err(format!(
        "`{tool}` is not a tool that Roundtrip can drive{}; those are {}",
        near.unwrap_or_default(),
        known.join(", ")
    ))
}

impl<'de> Deserialize<'de> for EngineConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EngineVisitor;
        impl<'de> Visitor<'de> for EngineVisitor {
            type Value = EngineSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a tool, or a section with `up` and `down`")
            }

            fn visit_str<E: de::Error>(self, tool: &str) -> Result<EngineSection, E> {
                Ok(EngineSection {
                    tool: Some(tool.to_owned()),
                    list: None,
                    up: None,
                    down: None,
                    ledger: None,
                    applied: None,
                    pass: Vec::new(),
                })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<EngineSection, M::Error> {
                EngineSection::deserialize(MapAccessDeserializer::new(map))
            }
        }
        EngineConfig::of(deserializer.deserialize_any(EngineVisitor)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EngineConfig, String> {
        #[derive(Deserialize)]
        struct File {
            engine: EngineConfig,
        }
        toml::from_str::<File>(text).map(|file| file.engine).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_name_is_enough_for_a_known_tool_and_a_command_tells_it_too() {
        let named = read("engine = \"alembic\"").unwrap();
        let section = read("[engine]\nup = \"cd api && alembic upgrade +1\"\ndown = \"alembic downgrade -1\"").unwrap();
        assert_eq!((named.name(), section.name()), ("alembic", "alembic"));
        let own =
            read("[engine]\ntool = \"our-tool\"\nup = \"cd knex && ./m up\"\napplied = \"x\"\nledger = \"my rows\"");
        let own = own.unwrap();
        assert_eq!((own.name(), own.preset), ("our-tool", None));
        assert_eq!(own.ledger.unwrap().name(), "my rows");
        assert_eq!(section.up, "cd api && alembic upgrade +1");
        assert_eq!(named.down.as_deref(), Some("alembic downgrade {target}"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        for (text, said) in [
            ("engine = \"alembick\"", "did you mean `alembic`?"),
            ("engine = \"prisma\"", "write `layout = \"prisma\"` instead"),
            ("engine = \"typeorm\"", "cannot apply one migration at a time"),
            ("[engine]\ndown = \"x\"", "[engine] needs `up`"),
            ("[engine]\nup = \"./migrate up\"", "`applied` is the query"),
            ("[engine]\nup = \"x\"\ndwon = \"x\"", "unknown field `dwon`"),
            ("[engine]\ntool = \"knex\"\nledger = \"a.b.c\"", "is not the name of a table"),
            ("[engine]\nup = \"./m {revision}\"\napplied = \"x\"", "so `list` has to be the command"),
            ("[engine]\ntool = \"a b\"\nup = \"x\"\napplied = \"x\"", "is not the name of a tool"),
            ("engine = \"golang-migrate\"", "write `layout = \"golang-migrate\"` instead"),
            ("engine = 3", "the name of a tool, or a section"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
