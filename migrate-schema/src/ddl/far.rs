//! Objects that reach beyond the schema: foreign servers, publications, event triggers, default privileges.

use migrate_base::ident::{first_name, literal, plain};
use migrate_base::sql::lex::words;

use super::alter::{AlterMethod, FactDifferences};
use super::name::{phrase, qualified};
use super::privilege::PrivilegeTarget;
use super::{DdlStatement, grant};
use crate::Schema;
use crate::acl::array_items;
use crate::object::Object;

pub(super) fn wrapper(schema: &Schema, object: &Object) -> String {
    let clause = |word: &str, name: &str| object.fact(name).map_or(String::new(), |value| format!(" {word} {value}"));
    let (handler, validator) = (clause("HANDLER", "handler"), clause("VALIDATOR", "validator"));
    let options = options(object.fact("options").map(json_list));
    format!("CREATE {}{handler}{validator}{options}", phrase(schema, &object.id))
}

pub(super) fn server(schema: &Schema, object: &Object) -> Option<String> {
    let clause =
        |word: &str, name: &str| object.fact(name).map_or(String::new(), |v| format!(" {word} {}", literal(v)));
    let wrapper = plain(object.fact("wrapper")?);
    let (kind, version) = (clause("TYPE", "type"), clause("VERSION", "version"));
    let options = options(object.fact("options").map(json_list));
    Some(format!("CREATE {}{kind}{version} FOREIGN DATA WRAPPER {wrapper}{options}", phrase(schema, &object.id)))
}

/// A user mapping; `None` if its options are unknown, because they may contain a password.
pub(super) fn user_mapping(schema: &Schema, object: &Object) -> Option<String> {
    let listed = (!has_unknown_options(object)).then(|| options(object.fact("options").map(json_list)))?;
    Some(format!("CREATE {}{listed}", phrase(schema, &object.id)))
}

/// Whether a user mapping has options of which only a digest is read.
pub(super) fn has_unknown_options(mapping: &Object) -> bool {
    mapping.fact("options").is_some_and(|options| !options.starts_with('{'))
}

pub(super) fn dictionary(schema: &Schema, object: &Object) -> Option<String> {
    let options = object.fact("options").map_or(String::new(), |options| format!(", {options}"));
    Some(format!("CREATE {} (TEMPLATE = {}{options})", phrase(schema, &object.id), object.fact("template")?))
}

/// A text search configuration with its dictionaries, by token type.
pub(super) fn configuration(schema: &Schema, object: &Object) -> Option<Vec<String>> {
    let name = phrase(schema, &object.id);
    let mut all = vec![format!("CREATE {name} (PARSER = {})", object.fact("parser")?)];
    let mappings = object.fact("mappings").into_iter().flat_map(|list| list.split("; "));
    for (token, dictionaries) in mappings.filter_map(|mapping| mapping.split_once(' ')) {
        all.push(format!("ALTER {name} ADD MAPPING FOR {} WITH {dictionaries}", plain(token)));
    }
    Some(all)
}

pub(super) fn parser(object: &Object) -> Option<String> {
    let fact = |name: &str| object.fact(name).filter(|value| *value != "-");
    let headline = fact("headline").map_or(String::new(), |name| format!(", HEADLINE = {name}"));
    Some(format!(
        "CREATE TEXT SEARCH PARSER {} (START = {}, GETTOKEN = {}, END = {}, LEXTYPES = {}{headline})",
        qualified(&object.id),
        fact("start")?,
        fact("token")?,
        fact("end")?,
        fact("types")?
    ))
}

pub(super) fn template(object: &Object) -> Option<String> {
    let fact = |name: &str| object.fact(name).filter(|value| *value != "-");
    let init = fact("init").map_or(String::new(), |name| format!("INIT = {name}, "));
    Some(format!("CREATE TEXT SEARCH TEMPLATE {} ({init}LEXIZE = {})", qualified(&object.id), fact("lexize")?))
}

pub(super) fn event_trigger(schema: &Schema, object: &Object) -> Option<Vec<String>> {
    let tags = object.fact("tags").map(json_list).unwrap_or_default();
    let tags: Vec<String> = tags.iter().map(|tag| literal(tag)).collect();
    let when = if tags.is_empty() { String::new() } else { format!(" WHEN TAG IN ({})", tags.join(", ")) };
    let (name, function) = (phrase(schema, &object.id), object.fact("function")?);
    let mut all = vec![format!("CREATE {name} ON {}{when} EXECUTE FUNCTION {function}", object.fact("event")?)];
    all.extend(match object.fact("enabled") {
        Some("D") => Some(format!("ALTER {name} DISABLE")),
        Some("R") => Some(format!("ALTER {name} ENABLE REPLICA")),
        Some("A") => Some(format!("ALTER {name} ENABLE ALWAYS")),
        _ => None,
    });
    Some(all)
}

pub(super) fn publication(object: &Object) -> String {
    let what = match is_of_all(object) {
        true => "ALL TABLES".to_owned(),
        false => published_objects(object),
    };
    let what = if what.is_empty() { String::new() } else { format!(" FOR {what}") };
    let mut with = vec![publish(object)];
    with.extend(object.fact("pubviaroot").filter(|via| *via == "true").map(|_| via_root(object)));
    with.extend(object.fact("pubgencols").filter(|how| *how == "s").map(|_| generated(object)));
    format!("CREATE PUBLICATION {}{what} WITH ({})", plain(&object.id.name), with.join(", "))
}

/// How a publication becomes another one of the same name. FOR ALL TABLES can only be set on creation.
pub(super) fn changed_publication(differing: &FactDifferences<'_>, new: &Object) -> AlterMethod {
    let lists = differing.has("tables") || differing.has("schemas");
    let is_known = |fact: &str| {
        let kinds = ["pubinsert", "pubupdate", "pubdelete", "pubtruncate"];
        kinds.contains(&fact) || ["tables", "schemas", "pubviaroot", "pubgencols"].contains(&fact)
    };
    let objects = published_objects(new);
    if !differing.names().all(is_known) || (lists && (objects.is_empty() || is_of_all(new))) {
        return AlterMethod::Remake;
    }
    let kinds = ["pubinsert", "pubupdate", "pubdelete", "pubtruncate"].iter().any(|kind| differing.has(kind));
    let with = [
        kinds.then(|| publish(new)),
        differing.has("pubviaroot").then(|| via_root(new)),
        differing.has("pubgencols").then(|| generated(new)),
    ];
    let with: Vec<String> = with.into_iter().flatten().collect();
    let with = (!with.is_empty()).then(|| format!("({})", with.join(", ")));
    let name = plain(&new.id.name);
    let all = lists.then_some(objects).into_iter().chain(with);
    let statements = all.map(|what| DdlStatement::new(format!("ALTER PUBLICATION {name} SET {what}"))).collect();
    AlterMethod::InPlace { statements, disturbs: false }
}

fn is_of_all(publication: &Object) -> bool {
    publication.fact("puballtables") == Some("true")
}

/// The objects in a publication: `TABLE ONLY s.t, TABLES IN SCHEMA s`.
fn published_objects(publication: &Object) -> String {
    let tables = publication.fact("tables").map(|tables| format!("TABLE {}", published(tables)));
    let schemas = publication.fact("schemas").map(|schemas| format!("TABLES IN SCHEMA {schemas}"));
    tables.into_iter().chain(schemas).collect::<Vec<_>>().join(", ")
}

fn publish(publication: &Object) -> String {
    let kinds =
        [("insert", "pubinsert"), ("update", "pubupdate"), ("delete", "pubdelete"), ("truncate", "pubtruncate")];
    let is_published = |fact: &str| publication.fact(fact) == Some("true");
    let kinds: Vec<&str> = kinds.iter().filter(|(_, fact)| is_published(fact)).map(|(word, _)| *word).collect();
    format!("publish = {}", literal(&kinds.join(", ")))
}

fn via_root(publication: &Object) -> String {
    format!("publish_via_partition_root = {}", publication.fact("pubviaroot").unwrap_or("false"))
}

fn generated(publication: &Object) -> String {
    let how = if publication.fact("pubgencols") == Some("s") { "stored" } else { "none" };
    format!("publish_generated_columns = {how}")
}

/// The tables of a publication, written for a statement: each with ONLY, because the tables that inherit from it are
/// listed too.
fn published(tables: &str) -> String {
    let (mut text, mut end, mut depth) = (String::from("ONLY "), 0, 0_usize);
    for (_, span) in words(tables) {
        text += tables.get(end..span.start).unwrap_or_default();
        end = span.end;
        match &tables[span] {
            "," if depth == 0 => text += ", ONLY",
            "where" if depth == 0 => text += "WHERE",
            word => {
                depth = match word {
                    "(" => depth + 1,
                    ")" => depth.saturating_sub(1),
                    _ => depth,
                };
                text += word;
            }
        }
    }
    text
}

/// The role, schema and object type of default privileges.
pub(super) struct DefaultPrivilegeScope {
    pub(super) role: String,
    pub(super) schema: Option<String>,
    pub(super) on: String,
}

impl DefaultPrivilegeScope {
    /// Parses their name: `role in schema on tables`, with names as in SQL.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (role, rest) = first_name(name)?;
        let inside = rest.strip_prefix(" in ").map(first_name);
        let (schema, rest) = match inside {
            Some(inside) => inside.map(|(schema, rest)| (Some(schema), rest))?,
            None => (None, rest),
        };
        Some(Self { role, schema, on: rest.strip_prefix(" on ")?.to_owned() })
    }

    /// The kind of object that they apply to.
    pub(super) fn kind(&self) -> PrivilegeTarget {
        match self.on.as_str() {
            "functions" => PrivilegeTarget::Function,
            "types" => PrivilegeTarget::Type,
            "sequences" => PrivilegeTarget::Sequence,
            "schemas" => PrivilegeTarget::Schema,
            "large objects" => PrivilegeTarget::LargeObject,
            _ => PrivilegeTarget::Table,
        }
    }
}

/// The statements that lead from some default privileges to others, on a server of this version.
pub(super) fn default_privileges(name: &str, was: Option<&str>, now: Option<&str>, version: u32) -> Vec<String> {
    let Some(whose) = DefaultPrivilegeScope::parse(name) else { return Vec::new() };
    // Those of a schema are added to the global ones, and start empty.
    let grants = |list: Option<&str>| match (list, &whose.schema) {
        (None, Some(_)) => grant::Grants::new(),
        // The role is named like any other: it need not be the role that runs the statements.
        (Some(list), _) => grant::listed(list, ""),
        (None, None) => grant::with_owner(grant::first(whose.kind(), version), &whose.role),
    };
    let inside = whose.schema.as_deref().map_or(String::new(), |space| format!(" IN SCHEMA {}", plain(space)));
    let head = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{inside}", plain(&whose.role));
    let all = grant::statements(&grants(was), &grants(now), &whose.on.to_uppercase(), "");
    all.into_iter().map(|text| format!("{head} {text}")).collect()
}

/// The options of a foreign object: `{host=a}`.
pub(super) fn options(items: Option<Vec<String>>) -> String {
    let pair = |item: &String| item.split_once('=').map(|(name, value)| format!("{} {}", plain(name), literal(value)));
    let pairs: Vec<String> = items.iter().flatten().filter_map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!(" OPTIONS ({})", pairs.join(", ")) }
}

/// A list as returned by the catalog queries: JSON, or PostgreSQL's own form.
pub(super) fn json_list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| array_items(text).into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_role_is_never_taken_for_more() {
        for (name, expected) in [
            ("\"john in sales\" on tables", ("john in sales", None, "tables")),
            ("\"x in public on y; --\" in \"a on b\" on types", ("x in public on y; --", Some("a on b"), "types")),
            ("app in sales on large objects", ("app", Some("sales"), "large objects")),
        ] {
            let whose = DefaultPrivilegeScope::parse(name).unwrap();
            assert_eq!((&*whose.role, whose.schema.as_deref(), &*whose.on), expected);
        }
        assert!(DefaultPrivilegeScope::parse("john in sales").is_none());
        assert_eq!(
            default_privileges("\"CURRENT_USER\" on tables", None, Some("x=r/\"CURRENT_USER\""), 15),
            [
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"CURRENT_USER\" REVOKE SELECT, INSERT, UPDATE, DELETE, TRUNCATE, \
                 REFERENCES, TRIGGER ON TABLES FROM \"CURRENT_USER\"",
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"CURRENT_USER\" GRANT SELECT ON TABLES TO x"
            ]
        );
    }

    #[test]
    fn published_tables_stand_alone_and_their_filters_stay_as_they_are() {
        let tables = "public.a (b, \"where\") where (note = ' where x, y'::text), \"where\".c";
        let expected = "ONLY public.a (b, \"where\") WHERE (note = ' where x, y'::text), ONLY \"where\".c";
        assert_eq!(published(tables), expected);
    }
}
