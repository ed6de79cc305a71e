//! The settings of an environment's sessions, for a chain that is applied again to be compared with the
//! environment.
//!
//! `search_path` decides where an object without a schema is created. It can be set on the database, on the
//! role and in the URL. The shadow database gets the same path, with those of its schemas that exist without
//! any migration.

use std::sync::{Mutex, PoisonError};

use migrate_base::ident::{ident, literal, quoted};
use migrate_core::{Database, Error};

/// The settings of an environment that decide what its migrations create, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplaySettings {
    /// The schemas of the search path, in order; empty for the default path.
    path: Vec<String>,
    /// Other settings that differ from their defaults, with their values.
    settings: Vec<(String, String)>,
    /// The schemas of the path that are created before the chain.
    schemas: Vec<String>,
    /// Where tables and indexes without an explicit tablespace are stored; empty for the database's default
    /// tablespace. A shadow server does not have this tablespace, so nothing is stored there.
    tablespace: String,
}

/// The schema that every new database has.
const GIVEN: &str = "public";
/// The default search path.
const USUAL: [&str; 2] = ["$user", GIVEN];

/// Other settings on which the result of a migration depends.
const SETTINGS: [&str; 6] = [
    "default_table_access_method",
    "transform_null_equals",
    "standard_conforming_strings",
    "array_nulls",
    "xmloption",
    "intervalstyle",
];

static CURRENT: Mutex<Option<ReplaySettings>> = Mutex::new(None);

impl ReplaySettings {
    /// Asks a database for the settings of new sessions of this role. Nothing is written.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, or refuses.
    pub async fn of(database: &Database) -> Result<Self, Error> {
        let names = SETTINGS.map(literal).join(", ");
        let query = format!(
            "SELECT 'path', pg_catalog.current_setting('search_path'), CURRENT_USER::text \
             UNION ALL SELECT 'schema', s, NULL FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) AS s \
             UNION ALL SELECT 'setting', name, setting FROM pg_catalog.pg_settings \
             WHERE pg_catalog.lower(name) IN ({names}) AND setting IS DISTINCT FROM boot_val \
             UNION ALL SELECT 'tablespace', pg_catalog.current_setting('default_tablespace'), NULL"
        );
        let rows = database.ask("read the settings of its sessions", &query).await?;
        let mut replay = Self::default();
        let mut user = String::new();
        for mut row in rows {
            let mut cell = |at: usize| row.get_mut(at).and_then(Option::take).unwrap_or_default();
            match (cell(0).as_str(), cell(1), cell(2)) {
                ("path", path, role) => (replay.path, user) = (names_in(&path), role),
                ("schema", name, _) => replay.schemas.push(name),
                ("tablespace", name, _) => replay.tablespace = name,
                (_, name, value) => replay.settings.push((name, value)),
            }
        }
        // The role on a shadow server has another name.
        if replay.schemas.contains(&user) {
            replay.path.iter_mut().filter(|name| *name == USUAL[0]).for_each(|name| name.clone_from(&user));
        }
        if replay.path == USUAL {
            replay.path.clear();
        }
        replay.schemas.retain(|name| name != GIVEN && !name.starts_with("pg_") && name != "information_schema");
        Ok(replay)
    }

    /// Applies these settings to every chain that this process runs from now on.
    pub fn begin(self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self).filter(|new| *new != Self::default());
    }

    /// The schemas that were created before the chain, and not by it.
    pub fn schemas() -> Vec<String> {
        Self::current().map(|now| now.schemas).unwrap_or_default()
    }

    /// Where the environment stores objects without an explicit tablespace, if that is not its database's
    /// default.
    pub fn tablespace() -> Option<String> {
        Self::current().map(|now| now.tablespace).filter(|name| !name.is_empty())
    }

    pub(super) fn current() -> Option<Self> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// If the chain failed because a schema already existed, leaves the creation of that schema to the chain;
    /// `false` if it failed for another reason.
    pub fn give_way(error: &Error) -> bool {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = current.as_mut().filter(|now| error.sqlstate() == Some("42P06") && !now.schemas.is_empty())
        else {
            return false;
        };
        // In every language of the server, the name is in quotes.
        let said: String = error.findings().iter().map(|finding| finding.message.as_str()).collect();
        let named = |name: &String| said.contains(&format!("\"{name}\""));
        match now.schemas.iter().position(named) {
            Some(at) => drop(now.schemas.remove(at)),
            None => now.schemas.clear(),
        }
        true
    }

    /// The statements that make them the settings of new sessions of a database.
    pub(super) fn sql(&self, database: &str) -> String {
        let database = ident(database);
        let path: Vec<String> = self.path.iter().map(|name| literal(name)).collect();
        let path = match path.is_empty() {
            true => String::new(),
            false => format!("ALTER DATABASE {database} SET search_path TO {};", path.join(", ")),
        };
        let set = |(name, value): &(String, String)| {
            format!("ALTER DATABASE {database} SET {} TO {};", ident(name), literal(value))
        };
        path + &self.settings.iter().map(set).collect::<String>()
    }

    /// The statements that create the schemas, in the database itself.
    pub(super) fn schemas_sql(&self) -> String {
        self.schemas.iter().map(|name| format!("CREATE SCHEMA IF NOT EXISTS {};", ident(name))).collect()
    }

    /// Distinguishes a template that was created with these settings from others.
    pub(super) fn key(&self) -> String {
        format!("{:?} {:?} {:?}", self.path, self.settings, self.schemas)
    }
}

/// The names in a `search_path`, as the server writes it.
fn names_in(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = path.trim_start();
    while !rest.is_empty() {
        let name;
        if let Some(inside) = rest.strip_prefix('"') {
            (name, rest) = quoted(inside, '"').unwrap_or((inside.to_owned(), ""));
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name = rest[..end].trim_end().to_lowercase();
            rest = &rest[end..];
        }
        if !name.is_empty() {
            names.push(name);
        }
        rest = rest.trim_start().strip_prefix(',').unwrap_or_default().trim_start();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_path_are_read_as_the_server_writes_them() {
        assert_eq!(names_in("\"$user\", public"), ["$user", "public"]);
        assert_eq!(names_in("App,\"B \"\"c\"\", d\" , e"), ["app", "B \"c\", d", "e"]);
        assert_eq!(names_in(""), [""; 0]);
        assert_eq!(names_in("\"\", a"), ["a"]);
    }

    #[test]
    fn a_path_is_written_name_by_name() {
        let replay = ReplaySettings { path: vec!["app".into(), "o'b".into()], ..ReplaySettings::default() };
        assert_eq!(replay.sql("d"), "ALTER DATABASE \"d\" SET search_path TO 'app', 'o''b';");
    }
}
