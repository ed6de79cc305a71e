//! Objects that reach beyond the schema: foreign servers, publications, event triggers, default privileges.

use super::grant;
use super::name::{phrase, qualified};
use super::privilege::On;
use crate::ident::{literal, plain};
use crate::schema::Schema;
use crate::schema::acl::array_items;
use crate::schema::object::Object;
use crate::sql::lex::words;

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

/// A user mapping; `None` where its options are not known, for they may hold a password.
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

/// A text search configuration with its dictionaries, by the kind of token.
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
    let yes = |name: &str| object.fact(name) == Some("true");
    let mut what: Vec<String> = Vec::new();
    if yes("puballtables") {
        what.push("ALL TABLES".to_owned());
    }
    what.extend(object.fact("tables").map(|tables| format!("TABLE {}", published(tables))));
    what.extend(object.fact("schemas").map(|schemas| format!("TABLES IN SCHEMA {schemas}")));
    let what = if what.is_empty() { String::new() } else { format!(" FOR {}", what.join(", ")) };
    let kinds =
        [("insert", "pubinsert"), ("update", "pubupdate"), ("delete", "pubdelete"), ("truncate", "pubtruncate")];
    let kinds: Vec<&str> = kinds.iter().filter(|(_, fact)| yes(fact)).map(|(word, _)| *word).collect();
    let mut with = format!("publish = {}", literal(&kinds.join(", ")));
    if yes("pubviaroot") {
        with += ", publish_via_partition_root = true";
    }
    if object.fact("pubgencols") == Some("s") {
        with += ", publish_generated_columns = stored";
    }
    format!("CREATE PUBLICATION {}{what} WITH ({with})", plain(&object.id.name))
}

/// The tables of a publication as its statement takes them: each alone, for those that inherit from it are listed as well.
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

/// Whose default privileges these are, in which schema, on what: `role in schema on tables`.
pub(super) fn whose(name: &str) -> (&str, Option<&str>, &str) {
    let (whose, on) = name.rsplit_once(" on ").unwrap_or((name, "tables"));
    let (who, space) = whose.split_once(" in ").map_or((whose, None), |(who, space)| (who, Some(space)));
    (who, space, on)
}

/// What default privileges are for, by what they are called.
pub(super) fn default_on(on: &str) -> On {
    match on {
        "functions" => On::Function,
        "types" => On::Type,
        "sequences" => On::Sequence,
        "schemas" => On::Schema,
        "large objects" => On::LargeObject,
        _ => On::Table,
    }
}

/// The statements that lead from some default privileges to others, on a server of this version.
pub(super) fn default_privileges(name: &str, was: Option<&str>, now: Option<&str>, version: u32) -> Vec<String> {
    let (who, space, on) = whose(name);
    // Those of a schema come on top of the others, and begin with nothing.
    let grants = |list: Option<&str>| match (list, space) {
        (None, Some(_)) => grant::Grants::new(),
        (Some(list), _) => grant::listed(list, who),
        (None, None) => grant::first(default_on(on), version),
    };
    let inside = space.map_or(String::new(), |space| format!(" IN SCHEMA {space}"));
    let head = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{inside}", plain(who));
    let all = grant::statements(&grants(was), &grants(now), &on.to_uppercase(), "");
    all.into_iter().map(|text| format!("{head} {}", text.replace("CURRENT_USER", &plain(who)))).collect()
}

/// The options of a foreign object: `{host=a}`.
pub(super) fn options(items: Option<Vec<String>>) -> String {
    let pair = |item: &String| item.split_once('=').map(|(name, value)| format!("{} {}", plain(name), literal(value)));
    let pairs: Vec<String> = items.iter().flatten().filter_map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!(" OPTIONS ({})", pairs.join(", ")) }
}

/// A list as the catalog queries give it: JSON, or PostgreSQL's own form.
pub(super) fn json_list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| array_items(text).into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_tables_stand_alone_and_their_filters_stay_as_they_are() {
        let tables = "public.a (b, \"where\") where (note = ' where x, y'::text), \"where\".c";
        let expected = "ONLY public.a (b, \"where\") WHERE (note = ' where x, y'::text), ONLY \"where\".c";
        assert_eq!(published(tables), expected);
    }
}
