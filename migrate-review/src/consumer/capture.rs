//! The queries that a server has seen, from `pg_stat_statements`, whose texts contain no values.
//!
//! See <https://www.postgresql.org/docs/current/pgstatstatements.html>.

use migrate_base::codes;
use migrate_base::db::ReadOnlySession;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::{self, literal};
use migrate_base::sql::{FlawKind, split};
use sha2::{Digest, Sha256};
use squawk_lexer::{LiteralKind, TokenKind};

use super::{ExportedQuery, placeholder, script};

/// The queries that a server has seen.
#[derive(Debug, Clone, Default)]
pub struct CapturedQueries {
    /// The queries, by their texts.
    pub queries: Vec<ExportedQuery>,
    /// How many statements are left out: those that are not queries, and those that read the statistics themselves.
    pub left_out: usize,
    /// The problems with what could not be read.
    pub problems: Vec<Finding>,
}

/// The placeholder for a text that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// Reads what this role has run in this database; without a role, what all roles except our own have run.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] if the extension is missing or not loaded, or the role does not exist;
/// [`ErrorKind::Connection`] if the connection is lost, or the server refuses the query.
pub async fn capture(reader: &mut ReadOnlySession, role: Option<&str>) -> Result<CapturedQueries> {
    let named = role.map_or_else(|| "NULL".to_owned(), literal);
    let server = format!(
        "SELECT (SELECT n.nspname FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = 'pg_stat_statements'), pg_catalog.current_setting('pg_stat_statements.max', true), \
         current_user, (SELECT count(*) FROM pg_catalog.pg_roles r WHERE r.rolname = {named})"
    );
    let row = reader.ask("look for pg_stat_statements", &server).await?.into_iter().next().unwrap_or_default();
    let cell = |at: usize| row.get(at).cloned().flatten();
    let ours = cell(2).unwrap_or_default();
    let schema = cell(0).ok_or_else(missing)?;
    cell(1).ok_or_else(not_loaded)?;
    if let Some(role) = role.filter(|_| cell(3).as_deref() == Some("0")) {
        let finding = Finding::new(codes::NO_ROLE, format!("there is no role {role} on this server"));
        return Err(Error::new(ErrorKind::Configuration, finding.help("check --role, or `role` of the consumer")));
    }
    let which = match role {
        Some(role) => format!("r.rolname = {}", literal(role)),
        None => "r.rolname <> current_user".to_owned(),
    };
    // Statements inside functions belong to the function. Older versions do not distinguish them.
    let statements = format!(
        "SELECT s.query, pg_catalog.sum(s.calls) FROM {}.pg_stat_statements s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.userid \
         JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = pg_catalog.current_database() \
         WHERE {which} AND coalesce((pg_catalog.to_jsonb(s) ->> 'toplevel')::boolean, true) \
         GROUP BY s.query ORDER BY s.query COLLATE \"C\"",
        ident::ident(&schema)
    );
    let rows = reader.ask("read pg_stat_statements", &statements).await?;
    let statements = rows.into_iter().map(|row| {
        let mut cells = row.into_iter();
        (cells.next().flatten(), cells.next().flatten().and_then(|calls| calls.parse().ok()).unwrap_or(0))
    });
    Ok(sorted(statements, &ours))
}

fn missing() -> Error {
    let finding =
        Finding::new(codes::NO_STATEMENTS, "the extension pg_stat_statements is not installed in this database")
            .note("without it a server does not record the queries that it runs")
            .help("as a superuser, run CREATE EXTENSION pg_stat_statements")
            .help("the server also needs `shared_preload_libraries = 'pg_stat_statements'` and a restart");
    Error::new(ErrorKind::Configuration, finding)
}

fn not_loaded() -> Error {
    let finding =
        Finding::new(codes::STATEMENTS_NOT_LOADED, "pg_stat_statements is installed, but the server does not load it")
            .help("set `shared_preload_libraries = 'pg_stat_statements'`, and restart the server");
    Error::new(ErrorKind::Configuration, finding)
}

/// Separates queries from other statements, and from those that cannot be read.
fn sorted(statements: impl Iterator<Item = (Option<String>, u64)>, ours: &str) -> CapturedQueries {
    let mut captured = CapturedQueries::default();
    let (mut hidden, mut valued, mut cut) = (0, 0, 0);
    for (text, calls) in statements {
        let Some(text) = text else {
            cut += 1;
            continue;
        };
        if text == HIDDEN {
            hidden += calls;
        } else if !script::is_query(&text) || text.contains("pg_stat_statements") {
            captured.left_out += 1;
        } else if is_cut(&text) {
            cut += 1;
        } else if has_values(&text) {
            valued += 1;
        } else {
            let text = typed(&text);
            captured.queries.push(ExportedQuery {
                name: name(&text),
                text,
                file: None,
                line: None,
                calls: Some(calls),
                expands: false,
            });
        }
    }
    if hidden > 0 {
        let finding = Finding::new(codes::STATEMENTS_HIDDEN, format!("{ours} may not see the texts of other roles"))
            .note(format!("statements that were run {hidden} times are left out"))
            .help(format!("as a superuser, run GRANT pg_read_all_stats TO {}", ident::plain(ours)));
        captured.problems.push(finding);
    }
    if valued > 0 {
        let message = format!("{valued} statements are left out because the server kept the values in them");
        let finding = Finding::new(codes::STATEMENT_VALUES, message)
            .note("values may be personal data, and this file is kept in git")
            .help("capture again later, or export the queries from the repository of the service");
        captured.problems.push(finding);
    }
    if cut > 0 {
        let finding = Finding::new(
            codes::STATEMENT_CUT,
            format!("the server has lost all or part of the text of {cut} statements"),
        );
        captured.problems.push(finding.help("capture again after they have run again"));
    }
    captured
}

/// Whether a text ends inside quotes or parentheses.
fn is_cut(text: &str) -> bool {
    split(text).1.iter().any(|flaw| flaw.kind != FlawKind::UnterminatedStatement)
}

/// Whether a text contains values: strings, and for a `CALL` also numbers. Numbers in other queries are positions, as
/// in `ORDER BY 1`, and parts of types. Version 15 does not remove values from utility statements, and every version
/// keeps them if it forgot a statement while the statement ran.
fn has_values(text: &str) -> bool {
    let mut words = placeholder::words(text).peekable();
    let is_call = words.peek().is_some_and(|(_, span)| text[span.clone()].eq_ignore_ascii_case("call"));
    words.any(|(kind, _)| match kind {
        TokenKind::Literal { kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. } } => is_call,
        TokenKind::Literal { .. } => true,
        _ => false,
    })
}

/// A name that is stable as long as the text is.
fn name(text: &str) -> String {
    let word: String = text.trim_start_matches('(').chars().take_while(char::is_ascii_alphabetic).collect();
    let digest = Sha256::digest(text.as_bytes());
    let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digits}", if word.is_empty() { "query".to_owned() } else { word.to_ascii_lowercase() })
}

/// Writes `interval $1` as `$1::interval`, and `extract($1 FROM a)` as `date_part($1, a)`. The first forms remain when
/// literals are replaced by parameters, and the server does not accept its own output there.
fn typed(text: &str) -> String {
    let words: Vec<_> = placeholder::words(text).collect();
    let word = |at: usize| words.get(at).map_or("", |(_, span)| &text[span.clone()]);
    let is = |at: usize, other: &str| word(at).eq_ignore_ascii_case(other);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for at in 1..words.len() {
        let is_parameter = matches!(words[at].0, TokenKind::PositionalParam { .. });
        if is_parameter && at >= 2 && is(at - 2, "extract") && is(at - 1, "(") && is(at + 1, "from") {
            out.push_str(&text[from..words[at - 2].1.start]);
            out.push_str(&format!("date_part({},", word(at)));
            from = words[at + 1].1.end;
        } else if is_parameter && words[at - 1].0 == TokenKind::Ident && is_type(word(at - 1)) {
            let mut first = at - 1;
            // The schema before the type belongs to it, unless it was already taken.
            let is_schema = |at: usize| words[at].0 == TokenKind::Ident && words[at].1.start >= from;
            while first >= 2 && words[first - 1].0 == TokenKind::Dot && is_schema(first - 2) {
                first -= 2;
            }
            out.push_str(&text[from..words[first].1.start]);
            out.push_str(&format!("{}::{}", word(at), &text[words[first].1.start..words[at - 1].1.end]));
            from = words[at].1.end;
        }
    }
    out + &text[from..]
}

/// Whether a word before a parameter can only be the name of a type.
fn is_type(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let types = [
        "bigint",
        "bit",
        "boolean",
        "char",
        "character",
        "dec",
        "decimal",
        "float",
        "int",
        "integer",
        "interval",
        "numeric",
        "real",
        "smallint",
        "time",
        "timestamp",
        "varchar",
    ];
    let others = ["by", "zone", "escape", "set", "rows", "range", "first", "next"];
    types.contains(&&*word) || !(ident::is_keyword(&word) || others.contains(&&*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_with_its_type_is_written_as_a_cast() {
        let check = |text: &str, expected: &str| assert_eq!(typed(text), expected);
        check("SELECT now() - interval $1, date $2", "SELECT now() - $1::interval, $2::date");
        check("SELECT public.email $1", "SELECT $1::public.email");
        check("SELECT EXTRACT ($1 FROM a), extract(epoch from b)", "SELECT date_part($1, a), extract(epoch from b)");
        let same = "SELECT a FROM t WHERE b IN ($1, $2) AND c LIKE $3 ORDER BY $4 LIMIT $5 OFFSET $6";
        check(same, same);
        let same = "SELECT a AT TIME ZONE $1 FROM t WHERE NOT $2 AND b BETWEEN $3 AND $4 FETCH FIRST $5 ROWS ONLY";
        check(same, same);
    }

    #[test]
    fn what_is_no_query_is_left_out_and_what_is_lost_is_told() {
        let statements = [
            (Some("BEGIN"), 7),
            (Some("SELECT 1 FROM pg_stat_statements"), 1),
            (Some(HIDDEN), 5),
            (None, 1),
            (Some("SELECT a FROM t WHERE email = 'ada@example.org'"), 1),
            (Some("CALL pay(7)"), 1),
            (Some("SELECT (a FROM"), 1),
            (Some("SELECT a::numeric(12,2) FROM t ORDER BY 1"), 3),
            (Some("SELECT a FROM t WHERE b = $1"), 3),
        ];
        let captured = sorted(statements.into_iter().map(|(text, calls)| (text.map(str::to_owned), calls)), "ops");
        let codes: Vec<&str> = captured.problems.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!((captured.left_out, codes), (2, vec!["statements-hidden", "statement-values", "statement-cut"]));
        assert_eq!((captured.queries.len(), captured.queries[0].calls), (2, Some(3)));
        assert!(captured.queries[0].name.starts_with("select-"), "{}", captured.queries[0].name);
    }

    #[test]
    fn nothing_is_written_twice() {
        for text in ["interval $1.b $2", "extract($1 from . b $2)", "a . $1 . b $2"] {
            typed(text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "((interval|extract|from|a|by|\\(|\\.|,|\\$[1-3]|'|ü) ?){0,12}") {
            let _ = sorted([(Some(format!("SELECT {text}")), 1)].into_iter(), "ops");
        }
    }
}
