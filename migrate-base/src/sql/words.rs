//! The words of a statement, and the class that they determine.

use super::StatementClass;
use super::body::quoted;
use super::lex::words;

/// Whether a statement sets something for its transaction: `SET LOCAL`, `SET CONSTRAINTS`.
pub fn is_local_setting(statement: &str) -> bool {
    let words: Vec<&str> = tokens(statement);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
    is(0, "set") && ["local", "constraints", "transaction"].iter().any(|word| is(1, word))
}

/// Determines the class of a statement from its words (tokens without whitespace and comments, as written).
pub(super) fn classify(words: &[&str]) -> StatementClass {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let any = |at: usize, list: &[&str]| list.iter().any(|word| is(at, word));
    let has = |word: &str| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    let Some(first) = words.first() else { return StatementClass::Plain };
    match first.to_ascii_lowercase().as_str() {
        "rollback" if has("to") => StatementClass::Plain,
        "begin" | "commit" | "end" | "rollback" | "abort" => StatementClass::TransactionControl,
        "start" | "prepare" if is(1, "transaction") => StatementClass::TransactionControl,
        "set" if !any(1, &["local", "constraints", "transaction"]) => StatementClass::Session,
        "reset" => StatementClass::Session,
        "call" => StatementClass::MayCommit,
        "do" if words.iter().any(|word| ends_transactions(word)) => StatementClass::MayCommit,
        "copy" if copies_with_client(words) => StatementClass::CopyWithClient,
        "create" if is(1, "index") || (is(1, "unique") && is(2, "index")) => {
            let after = if is(1, "index") { 2 } else { 3 };
            if is(after, "concurrently") { StatementClass::CreateIndexConcurrently } else { StatementClass::Plain }
        }
        "drop" if is(1, "index") && is(2, "concurrently") => StatementClass::DropIndexConcurrently,
        "create" | "drop" if any(1, &["database", "tablespace"]) => StatementClass::OutsideTransaction,
        "create" | "drop" | "alter" if is(1, "subscription") => subscription(words),
        "alter" if is(1, "system") => StatementClass::OutsideTransaction,
        "alter" if is(1, "database") && is(3, "set") && is(4, "tablespace") => StatementClass::Maintenance,
        "alter" if is(1, "table") && has("detach") && has("concurrently") => StatementClass::DetachConcurrently,
        "discard" if is(1, "all") => StatementClass::OutsideTransaction,
        "vacuum" => StatementClass::Maintenance,
        "cluster" => {
            let at = after_options(words);
            let names_table = words.len() > at + usize::from(is(at, "verbose"));
            if names_table { StatementClass::TableMaintenance } else { StatementClass::Maintenance }
        }
        "reindex" => {
            let at = after_options(words);
            match is(at + 1, "concurrently") || says(&words[..at], "concurrently") == Some(true) {
                true => StatementClass::ReindexConcurrently,
                false if any(at, &["database", "system", "schema"]) => StatementClass::Maintenance,
                false => StatementClass::TableMaintenance,
            }
        }
        _ => StatementClass::Plain,
    }
}

/// Whether a statement about a subscription contacts the publisher, which no transaction can undo.
fn subscription(words: &[&str]) -> StatementClass {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let any = |at: usize, list: &[&str]| list.iter().any(|word| is(at, word));
    let is_off = |option: &str| says(words, option) == Some(false);
    match words[0].to_ascii_lowercase().as_str() {
        "create" if is_off("connect") || is_off("create_slot") => StatementClass::Plain,
        "create" => StatementClass::OutsideTransaction,
        "drop" => StatementClass::OfSubscription,
        _ if is(3, "refresh") => StatementClass::OutsideTransaction,
        _ if any(3, &["set", "add", "drop"]) && is(4, "publication") => match is_off("refresh") {
            true => StatementClass::Plain,
            false => StatementClass::OutsideTransaction,
        },
        _ if is(3, "set") && ["failover", "two_phase"].iter().any(|name| says(words, name).is_some()) => {
            StatementClass::OfSubscription
        }
        _ => StatementClass::Plain,
    }
}

/// The index of the word after the parenthesised options that follow the first word.
fn after_options(words: &[&str]) -> usize {
    match words.get(1) {
        Some(&"(") => words.iter().position(|word| *word == ")").map_or(words.len(), |close| close + 1),
        _ => 1,
    }
}

/// The value of an option in parentheses, as the server reads an option that is on or off; `None` if it is not given.
fn says(words: &[&str], option: &str) -> Option<bool> {
    let is_option = |at: usize| {
        words[at].trim_matches('"').eq_ignore_ascii_case(option) && at > 0 && matches!(words[at - 1], "(" | ",")
    };
    let at = (0..words.len()).find(|at| is_option(*at))?;
    let value = words.get(at + 1 + usize::from(words.get(at + 1) == Some(&"=")));
    let is_off = value.is_some_and(|value| {
        ["false", "off", "0"].iter().any(|off| value.trim_matches('\'').eq_ignore_ascii_case(off))
    });
    Some(!is_off)
}

/// Whether a quoted body contains a word that ends a transaction, or calls something that may.
fn ends_transactions(body: &str) -> bool {
    let Some(body) = quoted(body) else { return false };
    let words = tokens(&body);
    words.iter().enumerate().any(|(at, word)| {
        let is = |word: &str, others: &[&str]| others.iter().any(|other| word.eq_ignore_ascii_case(other));
        // A temporary table can be created `ON COMMIT DROP`.
        is(word, &["commit", "rollback", "call"]) && !(at > 0 && is(words[at - 1], &["on"]))
    })
}

/// Whether a `COPY` reads from or writes to the client rather than a file or a program.
fn copies_with_client(words: &[&str]) -> bool {
    words.windows(2).any(|pair| {
        (pair[0].eq_ignore_ascii_case("from") && pair[1].eq_ignore_ascii_case("stdin"))
            || (pair[0].eq_ignore_ascii_case("to") && pair[1].eq_ignore_ascii_case("stdout"))
    })
}

/// The tokens of a statement without whitespace and comments.
pub fn tokens(statement: &str) -> Vec<&str> {
    words(statement).map(|(_, span)| &statement[span]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, class: StatementClass) {
        let words: Vec<&str> = sql.split(' ').collect();
        assert_eq!(classify(&words), class, "{sql}");
    }

    #[test]
    fn statements_are_classified_by_their_words() {
        check("create table begin", StatementClass::Plain);
        check("BEGIN", StatementClass::TransactionControl);
        check("start TRANSACTION", StatementClass::TransactionControl);
        check("rollback to savepoint a", StatementClass::Plain);
        check("prepare plan as select", StatementClass::Plain);
        check("create unique index concurrently a on b", StatementClass::CreateIndexConcurrently);
        check("create index concurrently_named on b", StatementClass::Plain);
        check("drop index concurrently a", StatementClass::DropIndexConcurrently);
        check("vacuum full a", StatementClass::Maintenance);
        check("cluster a using b", StatementClass::TableMaintenance);
        check("cluster verbose a", StatementClass::TableMaintenance);
        check("cluster ( verbose ) a", StatementClass::TableMaintenance);
        check("cluster ( verbose )", StatementClass::Maintenance);
        check("cluster verbose", StatementClass::Maintenance);
        check("reindex table a", StatementClass::TableMaintenance);
        check("reindex ( verbose ) index schema", StatementClass::TableMaintenance);
        check("reindex ( concurrently off ) table a", StatementClass::TableMaintenance);
        check("reindex table concurrently a", StatementClass::ReindexConcurrently);
        check("reindex ( verbose , CONCURRENTLY ) schema a", StatementClass::ReindexConcurrently);
        check("reindex schema a", StatementClass::Maintenance);
        check("alter database a set tablespace b", StatementClass::Maintenance);
        check("alter database a set work_mem = 1", StatementClass::Plain);
        check("create subscription a connection 'b' publication c", StatementClass::OutsideTransaction);
        check(
            "create subscription a connection 'b' publication c with ( connect )",
            StatementClass::OutsideTransaction,
        );
        check(
            "create subscription a connection 'b' publication c with ( CONNECT = Off , d = 1 )",
            StatementClass::Plain,
        );
        check(
            "create subscription a connection 'b' publication c with ( d = 1 , create_slot = 'false' )",
            StatementClass::Plain,
        );
        check("drop subscription a", StatementClass::OfSubscription);
        check("alter subscription a refresh publication", StatementClass::OutsideTransaction);
        check("alter subscription a add publication b with ( copy_data = off )", StatementClass::OutsideTransaction);
        check("alter subscription a set publication b with ( refresh = 0 )", StatementClass::Plain);
        check("alter subscription a set ( failover = true )", StatementClass::OfSubscription);
        check("alter subscription a disable", StatementClass::Plain);
        check("alter table a detach partition b concurrently", StatementClass::DetachConcurrently);
        check("alter table a detach partition b finalize", StatementClass::Plain);
        check("copy a from stdin", StatementClass::CopyWithClient);
        check("copy a from 'file'", StatementClass::Plain);
        check("call p ( )", StatementClass::MayCommit);
        check("do $$begin;commit;end$$", StatementClass::MayCommit);
        check("do $$begin;end$$", StatementClass::Plain);
        check("do $a$begin\tROLLBACK/**/;end$a$", StatementClass::MayCommit);
        check("do 'begin\tcall\tp();end'", StatementClass::MayCommit);
        check("do $$begin/*commit*/create\ttemp\ttable\tt()on\tcommit\tdrop;recall();end$$", StatementClass::Plain);
        check("set role a", StatementClass::Session);
        check("set local role a", StatementClass::Plain);
    }
}
