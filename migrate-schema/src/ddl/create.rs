//! Statements that create an object.

use std::sync::Arc;

use migrate_base::ident::{literal, names, plain};

use super::name::{is_domain, parent, phrase, qualified, role};
use super::{code, far, sequence, table, types};
use crate::Schema;
use crate::object::{Id, Kind, Object};

/// The statements that create an object, without its comment and privileges; `None` if no statement can: its facts are
/// not sufficient, or contain a secret.
pub(super) fn object(schema: &Schema, object: &Object) -> Option<Vec<String>> {
    let id = &object.id;
    let fact = |name: &str| object.fact(name);
    let one = |text: String| Some(vec![text]);
    match id.kind {
        Kind::Schema => one(format!("CREATE SCHEMA {}", plain(&id.name))),
        Kind::Extension => {
            one(format!("CREATE EXTENSION {} SCHEMA {}", plain(&id.name), fact("schema").unwrap_or("public")))
        }
        Kind::Language => one(code::language(object)?),
        Kind::AccessMethod => one(code::access_method(object)?),
        Kind::Collation => one(collation(object)?),
        Kind::Conversion => one(conversion(schema, object)?),
        Kind::Type => one(types::object(schema, object)?),
        Kind::Domain => one(types::domain(object)),
        Kind::Function | Kind::Procedure => one(fact("definition")?.trim_end().to_owned()),
        Kind::Aggregate => one(code::aggregate(schema, object)?),
        Kind::Operator => one(code::operator(object)?),
        Kind::OperatorFamily => Some(code::operator_family(schema, object)),
        Kind::OperatorClass => one(code::operator_class(object)?),
        Kind::Cast => one(code::cast(schema, object)),
        Kind::Transform => one(code::transform(schema, object)),
        Kind::TextSearchParser => one(far::parser(object)?),
        Kind::TextSearchTemplate => one(far::template(object)?),
        Kind::TextSearchDictionary => one(far::dictionary(schema, object)?),
        Kind::TextSearchConfiguration => far::configuration(schema, object),
        Kind::ForeignDataWrapper => one(far::wrapper(schema, object)),
        Kind::Server => one(far::server(schema, object)?),
        Kind::Sequence => Some(sequence::sequence(object)),
        Kind::View | Kind::MaterializedView => view(schema, object),
        Kind::Constraint | Kind::Index => Some(key(schema, object).all()),
        Kind::Statistics => {
            let target = fact("statistics").map(|n| format!("ALTER {} SET STATISTICS {n}", phrase(schema, id)));
            Some([fact("definition")?.to_owned()].into_iter().chain(target).collect())
        }
        Kind::Trigger | Kind::Rule => {
            let how = fact("enabled").map(|how| enabled(id, Some(how)));
            Some([fact("definition")?.trim_end_matches(';').to_owned()].into_iter().chain(how).collect())
        }
        Kind::Policy => one(policy(object)),
        Kind::EventTrigger => far::event_trigger(schema, object),
        Kind::Publication => one(far::publication(object)),
        Kind::UserMapping => one(far::user_mapping(schema, object)?),
        // They consist only of privileges.
        Kind::DefaultPrivileges | Kind::Privileges => Some(Vec::new()),
        Kind::Table | Kind::ForeignTable | Kind::Column | Kind::Attribute | Kind::Subscription => None,
        // The surroundings of a schema are not part of it.
        Kind::Database
        | Kind::Role
        | Kind::Tablespace
        | Kind::Parameter
        | Kind::ReplicationOrigin
        | Kind::ReplicationSlot
        | Kind::LargeObject
        | Kind::BuiltIn
        | Kind::Unpopulated
        | Kind::Member
        | Kind::SequencePosition => None,
    }
}

fn view(schema: &Schema, object: &Object) -> Option<Vec<String>> {
    let fact = |name: &str| object.fact(name);
    let with = fact("options").map_or(String::new(), |options| format!(" WITH ({options})"));
    let method = fact("access method").map_or(String::new(), |name| format!(" USING {}", plain(name)));
    let space = fact("tablespace").map_or(String::new(), |name| format!(" TABLESPACE {}", plain(name)));
    let definition = fact("definition")?.trim().trim_end_matches(';');
    let name = phrase(schema, &object.id);
    let columns = schema.children(&object.id, Kind::Column).filter(|_| object.id.kind == Kind::MaterializedView);
    let column = |one: &Arc<Object>| {
        let set = [("storage", "STORAGE"), ("compression", "COMPRESSION"), ("statistics", "STATISTICS")];
        let set = set.iter().filter_map(|(fact, word)| Some(format!("SET {word} {}", one.fact(fact)?)));
        let set = set.chain(one.fact("options").map(|list| format!("SET ({list})")));
        set.map(|what| format!("ALTER {name} ALTER COLUMN {} {what}", plain(&one.id.name))).collect::<Vec<_>>()
    };
    let columns = columns.flat_map(column).collect::<Vec<_>>();
    Some([format!("CREATE {name}{method}{with}{space} AS\n{definition}")].into_iter().chain(columns).collect())
}

fn conversion(schema: &Schema, object: &Object) -> Option<String> {
    let default = if object.fact("default") == Some("true") { "DEFAULT " } else { "" };
    let (from, to) = (literal(object.fact("from")?), literal(object.fact("to")?));
    Some(format!("CREATE {default}{} FOR {from} TO {to} FROM {}", phrase(schema, &object.id), object.fact("function")?))
}

/// The statement that sets when a trigger or a rule fires; `None` is the state in which it is created.
pub(super) fn enabled(id: &Id, how: Option<&str>) -> String {
    let how = match how {
        Some("no") => "DISABLE",
        Some("replica") => "ENABLE REPLICA",
        Some(_) => "ENABLE ALWAYS",
        None => "ENABLE",
    };
    // The trigger of a partition may fire when that of its parent does not.
    format!("ALTER TABLE ONLY {} {how} {} {}", parent(id), id.kind.as_str().to_uppercase(), plain(&id.name))
}

fn collation(object: &Object) -> Option<String> {
    let provider = match object.fact("collprovider")? {
        "c" => "libc",
        "i" => "icu",
        "b" => "builtin",
        _ => return None,
    };
    let mut parts = vec![format!("PROVIDER = {provider}")];
    let facts = [
        ("LOCALE", "colllocale"),
        ("LOCALE", "colliculocale"),
        ("LC_COLLATE", "collcollate"),
        ("LC_CTYPE", "collctype"),
        ("RULES", "collicurules"),
    ];
    for (word, fact) in facts {
        parts.extend(object.fact(fact).map(|value| format!("{word} = {}", literal(value))));
    }
    if object.fact("collisdeterministic") == Some("false") {
        parts.push("DETERMINISTIC = false".to_owned());
    }
    Some(format!("CREATE COLLATION {} ({})", qualified(&object.id), parts.join(", ")))
}

/// The statements for a constraint or an index, in groups.
pub(super) struct KeyStatements {
    /// Create it.
    pub(super) own: Vec<String>,
    /// Attach it to the key of the parent table.
    pub(super) attach: Option<String>,
    /// Set its properties once it exists.
    pub(super) facts: Vec<String>,
}

impl KeyStatements {
    fn all(self) -> Vec<String> {
        self.own.into_iter().chain(self.attach).chain(self.facts).collect()
    }
}

/// The statement groups of a constraint or an index.
pub(super) fn key(schema: &Schema, object: &Object) -> KeyStatements {
    match object.id.kind {
        Kind::Index => index(object),
        _ => constraint(schema, object),
    }
}

/// A constraint of a table or a domain. An inherited constraint is not created.
fn constraint(schema: &Schema, object: &Object) -> KeyStatements {
    let id = &object.id;
    let definition = optioned(object.fact("definition").unwrap_or_default(), object.fact("options"));
    let mut own = Vec::new();
    if comes_alone(object) {
        let what = if is_domain(schema, id) { "DOMAIN" } else { "TABLE" };
        let only = if table::is_own_index_of_partitioned(schema, object) { "ONLY " } else { "" };
        let space =
            object.fact("tablespace").map_or(String::new(), |name| format!(" USING INDEX TABLESPACE {}", plain(name)));
        own.push(format!("ALTER {what} {only}{} ADD CONSTRAINT {} {definition}{space}", parent(id), plain(&id.name)));
    }
    let comment = object.fact("comment on its index");
    let comment = comment.map(|text| format!("COMMENT ON INDEX {} IS {}", qualified(id), literal(text)));
    let triggers = object.fact("triggers").filter(|_| comes_alone(object)).map(|how| checking(id, Some(how)));
    KeyStatements {
        own,
        attach: attach(object),
        facts: index_facts(object).into_iter().chain(comment).chain(triggers).collect(),
    }
}

/// The statement that sets when the triggers of a constraint fire. Their names contain a number that differs from
/// database to database, so the server has to find them.
pub(super) fn checking(id: &Id, how: Option<&str>) -> String {
    let how = how.unwrap_or_default().split(", ").filter_map(|one| one.split_once(' '));
    let how: String = how
        .map(|(function, letter)| {
            let word = match letter {
                "D" => "DISABLE",
                "R" => "ENABLE REPLICA",
                _ => "ENABLE ALWAYS",
            };
            format!(" WHEN {} THEN '{word}'", literal(function))
        })
        .collect();
    let how = if how.is_empty() { "'ENABLE'".to_owned() } else { format!("CASE p.proname{how} ELSE 'ENABLE' END") };
    let body = format!(
        "\nDECLARE command text;\nBEGIN\n  FOR command IN\n    SELECT format('ALTER TABLE ONLY %s %s TRIGGER %I', \
         g.tgrelid::regclass, {how}, g.tgname)\n    FROM pg_catalog.pg_constraint k\n    \
         JOIN pg_catalog.pg_trigger g ON g.tgconstraint = k.oid AND g.tgisinternal\n    \
         JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid\n    \
         WHERE k.conrelid = {}::regclass AND k.conname = {}\n  LOOP\n    EXECUTE command;\n  END LOOP;\nEND\n",
        literal(&parent(id)),
        literal(&id.name)
    );
    let tag = (0..).map(|n| if n == 0 { "$$".to_owned() } else { format!("$t{n}$") }).find(|tag| !body.contains(tag));
    let tag = tag.unwrap_or_default();
    format!("DO {tag}{body}{tag}")
}

/// The definition of a key with the options of its index, which follow its columns.
fn optioned(definition: &str, options: Option<&str>) -> String {
    let Some(options) = options else { return definition.to_owned() };
    let mut end = bracket_end(definition);
    if let Some((before, _)) = definition.split_at_checked(end)
        && let Some(rest) = definition.get(end..).filter(|rest| rest.starts_with(" INCLUDE ("))
    {
        end = before.len() + bracket_end(rest);
    }
    let (columns, rest) = definition.split_at_checked(end).unwrap_or((definition, ""));
    format!("{columns} WITH ({options}){rest}")
}

/// The end of the first bracket of a text.
fn bracket_end(text: &str) -> usize {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => continue,
        }
        if depth == 0 && c == ')' {
            return at + 1;
        }
    }
    text.len()
}

fn attach(object: &Object) -> Option<String> {
    let to = object.fact("attached to")?;
    Some(format!("ALTER INDEX {to} ATTACH PARTITION {}", qualified(&object.id)))
}

/// Whether a constraint or a trigger is created by its own statement, and not by a statement on a parent of its table.
pub(super) fn comes_alone(object: &Object) -> bool {
    object.fact("inherited") != Some("only") || object.fact("attached to").is_some()
}

fn index(object: &Object) -> KeyStatements {
    let id = &object.id;
    let space = object.fact("tablespace");
    let space = space.map(|space| format!("ALTER INDEX {} SET TABLESPACE {}", qualified(id), plain(space)));
    let own = object.fact("definition").map(str::to_owned).into_iter().chain(space).collect();
    let statistics = object.fact("statistics").into_iter().flat_map(|list| list.split(", "));
    let column =
        |text: &str| text.split_once(' ').map(|(column, n)| format!("ALTER COLUMN {column} SET STATISTICS {n}"));
    let statistics = statistics.filter_map(column).map(|what| format!("ALTER INDEX {} {what}", qualified(id)));
    KeyStatements { own, attach: attach(object), facts: index_facts(object).into_iter().chain(statistics).collect() }
}

/// The properties of an index that are set on its table.
fn index_facts(object: &Object) -> Vec<String> {
    let (table, name) = (parent(&object.id), plain(&object.id.name));
    let clustered = object.fact("clustered").map(|_| format!("ALTER TABLE {table} CLUSTER ON {name}"));
    let identity = object.fact("replica identity");
    let identity = identity.map(|_| format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}"));
    clustered.into_iter().chain(identity).collect()
}

fn policy(object: &Object) -> String {
    let id = &object.id;
    let roles = names(object.fact("roles").unwrap_or("public"));
    let roles = roles.iter().map(|name| role(name)).collect::<Vec<_>>().join(", ");
    let mut text = format!("CREATE POLICY {} ON {}", plain(&id.name), parent(id));
    text += if object.fact("permissive") == Some("no") { " AS RESTRICTIVE" } else { "" };
    text += &format!(" FOR {} TO {roles}", object.fact("command").unwrap_or("all").to_uppercase());
    text += &object.fact("using").map_or(String::new(), |test| format!(" USING ({test})"));
    text + &object.fact("check").map_or(String::new(), |test| format!(" WITH CHECK ({test})"))
}
