//! What a text does to the whole server rather than to one database: roles, memberships, tablespaces, other databases.
//!
//! Such a text is tried on its own server. A false positive costs a moment; after a false negative, one database finds
//! what another one was given. A `DO` block can build a statement at run time, so strings are read like bodies.

use super::body::quoted;
use super::lex::words;

/// How far a script reaches beyond its database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerUse {
    /// It affects only its database.
    #[default]
    None,
    /// It runs statements that are built at run time, and the text does not show which.
    Unclear,
    /// A body or a string in it affects the server, perhaps only if something is missing.
    Inside,
    /// A statement of the script itself affects the server.
    Open,
}

/// The limit for nested bodies; deeper nesting is unclear.
const DEEPEST: usize = 4;
const VERBS: [&str; 3] = ["create", "alter", "drop"];
/// Objects that exist once per server.
const SHARED: [&str; 7] = ["role", "user", "group", "tablespace", "database", "subscription", "system"];
/// The catalogs of the server that a superuser can write to.
const CATALOGS: [&str; 6] =
    ["pg_authid", "pg_auth_members", "pg_database", "pg_db_role_setting", "pg_roles", "pg_shdescription"];
/// Functions that leave something on the server.
const FUNCTIONS: [&str; 4] = [
    "pg_replication_origin_create",
    "pg_replication_origin_drop",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
];

/// How far a text reaches beyond its database.
pub fn server_use(text: &str) -> ServerUse {
    read(text, 0)
}

/// The database that a text names: `ALTER DATABASE shop SET …`, `GRANT CONNECT ON DATABASE shop TO …`.
pub fn named_database(text: &str) -> Option<String> {
    let words: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
    words.windows(3).find_map(|three| {
        let is = |at: usize, others: &[&str]| is_any(three[at], others);
        (is(0, &["alter", "on"]) && is(1, &["database"])).then(|| name(three[2])).flatten()
    })
}

/// An identifier as the server reads it.
pub(super) fn name(word: &str) -> Option<String> {
    if let Some(inside) = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Some(inside.replace("\"\"", "\""));
    }
    word.starts_with(|c: char| c.is_alphabetic() || c == '_').then(|| word.to_lowercase())
}

fn read(text: &str, depth: usize) -> ServerUse {
    if !may_matter(text) {
        return ServerUse::None;
    }
    let words: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
    // Only in a body can a statement start after other words: `ALTER TABLE t ALTER role SET DEFAULT` is about a column.
    let own = match depth {
        0 if (0..words.len()).any(|at| is_start(&words, at) && (reaches(&words, at) || writes(&words, at))) => {
            ServerUse::Open
        }
        0 if (0..words.len()).any(|at| writes(&words, at)) => ServerUse::Inside,
        0 => ServerUse::None,
        _ if (0..words.len()).any(|at| reaches(&words, at) || writes(&words, at)) => ServerUse::Inside,
        _ => ServerUse::None,
    };
    let bodies = words.iter().filter_map(|word| quoted(word));
    let inside = bodies.map(|body| match depth < DEEPEST {
        true => read(&body, depth + 1).min(ServerUse::Inside),
        false => ServerUse::Unclear,
    });
    let inside = inside.max().unwrap_or_default();
    let unclear = if depth > 0 && is_put_together(&words) { ServerUse::Unclear } else { ServerUse::None };
    own.max(inside).max(unclear)
}

pub(super) fn is_any(word: &str, others: &[&str]) -> bool {
    others.iter().any(|other| word.eq_ignore_ascii_case(other))
}

fn is_start(words: &[&str], at: usize) -> bool {
    at == 0 || words[at - 1] == ";"
}

/// Whether a statement that starts at this word is about the server.
fn reaches(words: &[&str], at: usize) -> bool {
    let next = |n: usize| words.get(at + n).copied().unwrap_or_default();
    let is = |n: usize, others: &[&str]| is_any(next(n), others);
    if is(0, &["drop", "reassign"]) && is(1, &["owned"]) {
        return true;
    }
    if is(0, &VERBS) {
        // A column can have one of these names: `DROP COLUMN role` does not start like this.
        return is(1, &SHARED) && !is(2, &["mapping"]);
    }
    if is(0, &["comment", "label"]) && is(1, &["on"]) {
        return is(2, &["role", "database", "tablespace", "subscription"]);
    }
    if is(0, &["security"]) && is(1, &["label"]) {
        return words[at..].iter().take(8).any(|word| is_any(word, &["role", "database", "tablespace"]));
    }
    if is(0, &["grant", "revoke"]) && !is(1, &["option"]) {
        return grants(&words[at + 1..]);
    }
    false
}

/// Whether these words write to a catalog of the server, or call a function that creates something there. A part of a
/// statement is enough for that.
fn writes(words: &[&str], at: usize) -> bool {
    let next = |n: usize| words.get(at + n).copied().unwrap_or_default();
    let is = |n: usize, others: &[&str]| is_any(next(n), others);
    if is(0, &["update", "into"]) || (is(0, &["from"]) && at > 0 && is_any(words[at - 1], &["delete"])) {
        let name = if next(2) == "." { next(3) } else { next(1) };
        return is_any(name, &CATALOGS);
    }
    is(0, &FUNCTIONS)
}

/// Whether a grant is about a membership, or about something that belongs to the server.
fn grants(rest: &[&str]) -> bool {
    let rest = rest.iter().take_while(|word| **word != ";");
    let rest: Vec<&str> = rest.copied().collect();
    match rest.iter().position(|word| is_any(word, &["on"])) {
        // `GRANT a TO b`: a membership.
        None => rest.iter().any(|word| is_any(word, &["to", "from"])) || rest.len() < 2,
        Some(on) => rest.get(on + 1).is_some_and(|word| is_any(word, &["database", "tablespace", "parameter"])),
    }
}

/// Whether a body executes texts whose beginning it does not show.
fn is_put_together(words: &[&str]) -> bool {
    let runs = words.iter().enumerate().any(|(at, word)| {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let after = words.get(at + 1).copied().unwrap_or_default();
        is_any(word, &["execute"])
            && !is_any(after, &["function", "procedure", "on"])
            && !is_any(before, &["grant", "revoke", "all"])
    });
    if !runs {
        return false;
    }
    let bodies: Vec<String> = words.iter().filter_map(|word| quoted(word)).map(|body| body.into_owned()).collect();
    let verbs = || VERBS.iter().chain(&["grant", "revoke"]);
    let is_verb = |word: &str| verbs().any(|verb| word.eq_ignore_ascii_case(verb));
    let begins = |body: &String| body.trim_start().starts_with(|c: char| c.is_ascii_alphabetic());
    let is_cut = |body: &String| {
        let parts: Vec<&str> = body.split_whitespace().collect();
        parts.last().is_some_and(|last| is_verb(last))
            || parts.windows(2).any(|two| is_verb(two[0]) && two[1].starts_with('%'))
    };
    !bodies.iter().any(begins) || bodies.iter().any(is_cut)
}

/// A quick check, so that most texts need not be read.
fn may_matter(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "role",
        "user",
        "group",
        "tablespace",
        "database",
        "grant",
        "revoke",
        "owned",
        "execute",
        "system",
        "pg_",
        "subscription",
    ];
    has_any(text, &WORDS)
}

/// Whether a text contains any of these words, given in lower case, in any spelling.
pub(super) fn has_any(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_server_is_seen_in_every_spelling() {
        for (text, expected) in [
            ("CREATE ROLE a", ServerUse::Open),
            ("SELECT 1; create\tuser \"a\" PASSWORD 'x'", ServerUse::Open),
            ("ALTER /* c */ GROUP a ADD USER b", ServerUse::Open),
            ("ALTER ROLE a SET search_path = b", ServerUse::Open),
            ("GRANT a, b TO c WITH ADMIN OPTION", ServerUse::Open),
            ("REVOKE a FROM b", ServerUse::Open),
            ("GRANT CONNECT ON DATABASE shop TO a", ServerUse::Open),
            ("GRANT SET ON PARAMETER work_mem TO a", ServerUse::Open),
            ("DROP OWNED BY a", ServerUse::Open),
            ("REASSIGN OWNED BY a TO b", ServerUse::Open),
            ("COMMENT ON ROLE a IS 'x'", ServerUse::Open),
            ("SECURITY LABEL FOR p ON ROLE a IS 'x'", ServerUse::Open),
            ("ALTER SYSTEM SET work_mem = '1MB'", ServerUse::Open),
            ("WITH a AS (SELECT 1) UPDATE pg_database SET datconnlimit = 3", ServerUse::Inside),
            ("SELECT 1, pg_replication_origin_create('o')", ServerUse::Inside),
            ("UPDATE pg_catalog.pg_database SET datconnlimit = 3", ServerUse::Open),
            ("DO $$ BEGIN CREATE ROLE a; EXCEPTION WHEN duplicate_object THEN NULL; END $$", ServerUse::Inside),
            ("DO $$ BEGIN EXECUTE format('CREATE ROLE %I', 'a'); END $$", ServerUse::Inside),
            ("DO $$ BEGIN EXECUTE format('GRANT %I TO %I', 'a', 'b'); END $$", ServerUse::Inside),
            ("SELECT dblink_exec('', 'DROP USER a')", ServerUse::Inside),
            ("DO $$ BEGIN EXECUTE 'CREATE ' || 'ROLE a'; END $$", ServerUse::Unclear),
            ("DO $$ BEGIN EXECUTE format('CREATE %s a', 'ROLE'); END $$", ServerUse::Unclear),
            ("DO $$ DECLARE t text; BEGIN SELECT x INTO t FROM y; EXECUTE t; END $$", ServerUse::Unclear),
        ] {
            assert_eq!(server_use(text), expected, "{text}");
        }
    }

    #[test]
    fn ordinary_scripts_stay_in_their_database() {
        for text in [
            "CREATE TABLE users (role text, \"user\" text, \"group\" text);",
            "ALTER TABLE users DROP COLUMN role, ADD COLUMN user_id int;",
            "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA app TO PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;",
            "CREATE USER MAPPING FOR CURRENT_USER SERVER s; DROP USER MAPPING FOR CURRENT_USER SERVER s;",
            "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();",
            "GRANT EXECUTE ON FUNCTION f() TO PUBLIC; SET ROLE a; RESET ROLE;",
            "GRANT SELECT ON t TO a WITH GRANT OPTION; REVOKE GRANT OPTION FOR SELECT ON t FROM a;",
            "DO $$ BEGIN EXECUTE format('ALTER TABLE %I ADD COLUMN a int', 't'); END $$",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;",
            "ALTER TABLE users ALTER role SET DEFAULT 'x', ALTER user DROP NOT NULL, DROP group, DROP role;",
            "SELECT rolname FROM pg_roles; COMMENT ON TABLE t IS 'who may';",
            "-- CREATE ROLE a\nSELECT 1;",
        ] {
            assert_eq!(server_use(text), ServerUse::None, "{text}");
        }
    }

    #[test]
    fn the_database_that_a_text_names_is_found() {
        assert_eq!(named_database("ALTER DATABASE \"My Shop\" SET a = 1").as_deref(), Some("My Shop"));
        assert_eq!(named_database("GRANT CONNECT ON DATABASE Shop TO a").as_deref(), Some("shop"));
        assert_eq!(named_database("CREATE TABLE database (on int)"), None);
    }
}
