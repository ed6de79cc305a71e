//! The codes of commands that write migrations: what cannot be written is refused, with the place on the command line,
//! and no file is written or changed.

use std::fs;

use crate::codes::{fed, help, refused, refused_by};
use crate::repository::Repository;
use crate::support::Project;

/// A project with tables of every key, and a type of its own.
fn project() -> Project {
    let project = Project::new();
    let up = "CREATE TABLE users (id bigint PRIMARY KEY, name text);\nCREATE TABLE pair (a int, b int, PRIMARY KEY (a, b));\n\
              CREATE TYPE mood AS ENUM ('good');\n";
    project.migration(1, "users", up, "DROP TYPE mood;\nDROP TABLE pair, users;\n");
    project
}

#[test]
fn a_column_that_cannot_be_read_is_pointed_at() {
    let project = project();
    for (column, code, at, next) in [
        (":text", "column-name", 1, "name:type"),
        ("", "column-name", 1, "name:type"),
        ("total", "column-type", 1, "total:text"),
        ("total:", "column-type", 1, "total:text"),
        ("total:decimla:12,2", "column-type", 7, "did you mean `decimal`?"),
        ("total:qqqqqqqqqq", "column-type", 7, "mood"),
        ("code:varchar:1,2", "column-type", 14, "code:varchar:20"),
        ("n:int:uniqe", "column-modifier", 7, "did you mean `unique`?"),
        ("n:int:cascade", "column-modifier", 7, "n:references:users:cascade"),
        ("n:int:qqqqqqqq", "column-modifier", 7, "these can follow"),
        ("n:int:null:", "column-modifier", 12, "these can follow"),
        ("state:enum", "column-enum", 7, "pending,paid"),
        ("state:enum:a,,b", "column-enum", 7, "pending,paid"),
        ("user_id:references", "column-reference", 9, "references:users"),
        ("user_id:references:", "column-reference", 9, "references:users"),
    ] {
        let place = format!("command line:1:{at}");
        for before in [&[][..], &["id:bigint:pk"]] {
            let arguments = [&["new", "orders", "--table", "orders"][..], before, &[column]].concat();
            let finding = refused(&project, &arguments, (2, code, &place));
            assert!(help(&finding).contains(next), "{column}: {finding:#}");
        }
        // The table is not part of the word of the column.
        if code != "column-name" {
            let word = format!("users.{column}");
            refused(&project, &["new", "more", "--add-column", &word], (2, code, &place));
        }
    }
    project.end();
}

#[test]
fn what_a_table_refers_to_has_to_be_there() {
    let project = project();
    for (arguments, code, place, said) in [
        (&["--table", "t", "u:references:user"][..], "no-such-table", "command line:1:14", "did you mean `users`?"),
        (&["--table", "t", "u:references:pair"], "no-such-table", "command line:1:14", "pair"),
        (
            &["--add-column", "pair.u:references:user:null"],
            "no-such-table",
            "command line:1:14",
            "did you mean `users`?",
        ),
        (&["--add-foreign-key", "pair.a=user"], "no-such-table", "", "did you mean `users`?"),
        (&["--table", "t", "a:text", "--index", "b"], "no-such-column", "command line:1:1", "`b`"),
        (&["--table", "t", "a:text", "--index", "a,b"], "no-such-column", "command line:1:3", "`b`"),
        (&["--add-column", "users.n:int"], "column-rows", "command line:1:1", "no value"),
        (&["--add-column", "users.n:int:null:unique"], "column-rows", "command line:1:1", "unique"),
        (&["--add-column", "users.n:int:pk"], "column-rows", "command line:1:1", "unique"),
    ] {
        let finding = refused(&project, &[&["new", "more"], arguments].concat(), (2, code, place));
        assert!(finding["message"].as_str().unwrap().contains(said), "{arguments:?}: {finding:#}");
    }
    for (name, code, near) in [
        ("usres", "no-such-table", "did you mean `users`?"),
        ("qqqqqqqqqqqq", "no-such-table", "table.column"),
        ("users.nam", "no-such-column", "did you mean `users.name`?"),
    ] {
        let finding = refused(&project, &["consumers", "uses", name], (2, code, ""));
        assert!(help(&finding).contains(near), "{name}: {finding:#}");
    }
    project.end();
}

/// A word that names no column, or only one side, says which form was expected.
#[test]
fn a_word_that_names_no_column_is_pointed_at() {
    let project = project();
    for (option, word) in [
        ("--drop-column", "users"),
        ("--drop-column", "users."),
        ("--add-column", "name:text:null"),
        ("--rename-column", "users.name"),
        ("--rename-column", "users=more"),
        ("--add-index", ".name"),
        ("--add-foreign-key", "pair.a="),
        ("--add-enum-value", "mood"),
    ] {
        let finding = refused(&project, &["new", "more", option, word], (2, "word", "command line:1:1"));
        assert!(help(&finding).starts_with("write "), "{option} {word}: {finding:#}");
    }
    project.end();
}

/// A file that is not text, or whose effects no statement can undo, does not become a migration.
#[test]
fn an_up_script_that_cannot_be_used_is_not_written() {
    let project = project();
    for (up, exit, code) in [
        (&b"ALTER TABLE users ADD a int; -- \xfc"[..], 2, "up-unreadable"),
        (b"SELECT lo_create(4711);\n", 1, "not-proven"),
        (b"ALTER TABLE users DROP name;\nSELECT lo_create(4711);\n", 1, "not-proven"),
    ] {
        let command = || project.command(&["new", "more", "--derive", "--format", "json"]);
        let finding = refused_by(&project, (exit, code, ""), || fed(command(), up));
        assert_ne!(help(&finding), "", "{finding:#}");
    }
    project.end();
}

#[test]
fn what_is_written_already_is_not_written_again() {
    let project = project();
    let derived = refused(&project, &["derive", "20250101000001"], (2, "down-exists", ""));
    assert!(help(&derived).contains("--force"), "{derived:#}");
    let baseline = refused(&project, &["baseline"], (2, "baseline-first", ""));
    assert!(baseline["message"].as_str().unwrap().contains("20250101000001_users.up.sql"), "{baseline:#}");
    for from in ["migrations@20250101000001", "env:development", "file:schema.sql"] {
        let diff = refused(&project, &["diff", from, "migrations", "--write", "more"], (2, "write-from", ""));
        assert!(help(&diff).contains("diff migrations migrations --write"), "{diff:#}");
    }
    project.end();
}

#[test]
fn a_version_that_is_in_no_file_names_no_migration() {
    let project = project();
    for arguments in [
        &["verify", "20250101000007"][..],
        &["derive", "20250101000007"],
        &["diff", "migrations@20250101000007", "migrations"],
        &["diff", "migrations", "migrations@20250101000007"],
        &["squash", "--to", "20250101000007"],
        &["baseline", "--mark", "--to", "20250101000007"],
    ] {
        let finding = refused(&project, arguments, (2, "no-migration", ""));
        assert!(finding["message"].as_str().unwrap().contains("20250101000007"), "{arguments:?}: {finding:#}");
        assert!(help(&finding).contains("status"), "{arguments:?}: {finding:#}");
    }
    fs::create_dir(project.path().join("empty")).unwrap();
    let nothing = refused(&project, &["baseline", "--mark", "--migrations", "empty"], (2, "no-migration", ""));
    assert!(help(&nothing).contains("baseline"), "{nothing:#}");
    project.end();
}

#[test]
fn a_chain_is_squashed_only_where_it_becomes_shorter_and_stays_the_same() {
    let project = project();
    refused(&project, &["squash", "--to", "20250101000001"], (2, "squash-one", ""));
    // The only migration in Rust that the executable has.
    project.write("migrations/20250331120000_normalize_phone_numbers.rs", "//! In Rust.\n");
    let code = refused(&project, &["squash", "--to", "20250331120000"], (2, "squash-code", ""));
    assert!(code["message"].as_str().unwrap().contains("20250331120000"), "{code:#}");
    project.end();
}

#[test]
fn a_squash_removes_only_what_git_has() {
    let repository = Repository::new();
    let project = &repository.0;
    project.migration(3, "three", "CREATE TABLE three ();\n", "DROP TABLE three;\n");
    repository.commit("three");
    project.migration(3, "three", "CREATE TABLE three (id int);\n", "DROP TABLE three;\n");
    project.migration(4, "four", "CREATE TABLE four ();\n", "DROP TABLE four;\n");
    let squash = ["squash", "--to", "20250101000004"];
    let said = project.run_bare(&squash);
    assert_eq!(said.code, 2, "{said:?}");
    let files = ["20250101000003_three.up.sql", "20250101000004_four.down.sql", "20250101000004_four.up.sql"];
    assert!(said.err.contains("[not-committed]") && said.err.contains("3 files"), "{said:?}");
    assert!(files.iter().all(|file| said.err.contains(file)), "{said:?}");
    assert!(!said.err.contains("_three.down.sql"), "{said:?}");
    repository.commit("four");
    let look = project.run_bare(&[&squash[..], &["--dry-run"]].concat()).ok();
    assert!(look.out.contains("would remove  8 files"), "{look:?}");
    let done = project.run_bare(&squash).ok();
    assert!(done.out.contains("removed  8 files"), "{done:?}");
    repository.0.end();
}

/// Only the layout of this tool has a place for what these write.
#[test]
fn a_folder_of_another_tool_is_not_rewritten() {
    let project = project();
    for layout in ["sqlx", "golang-migrate"] {
        for command in [&["rebase"][..], &["squash", "--to", "20250101000001"]] {
            let finding = refused(&project, &[command, &["--layout", layout]].concat(), (2, "layout", ""));
            assert!(finding["message"].as_str().unwrap().contains("roundtrip layout"), "{finding:#}");
        }
    }
    project.end();
}

/// The rows of a wrong table would be in every new database.
#[test]
fn a_baseline_takes_the_rows_of_one_table_or_of_none() {
    let project = Project::new();
    project.query("CREATE SCHEMA other");
    for table in ["public.lands", "other.lands"] {
        project.query(&format!("CREATE TABLE {table} (id int PRIMARY KEY)"));
    }
    let baseline = |table: &str, code: &str| refused(&project, &["baseline", "--data", table], (2, code, ""));
    assert!(help(&baseline("lands", "two-tables")).contains("with its schema"));
    assert!(help(&baseline("land", "no-such-table")).contains("did you mean lands?"));
    assert_eq!(help(&baseline("third.lands", "no-such-table")), "");
    project.run(&["baseline", "--data", "other.lands"]).ok();
    project.end();
}

/// A server where each attempt loses one more object. The function is evaluated when an index on it is built, and
/// refuses the first one of each session, which its lock marks.
#[test]
fn a_schema_that_a_server_refuses_piece_by_piece_is_given_up() {
    let project = Project::new();
    let first = "CREATE TABLE t (id int);
        CREATE FUNCTION first() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = 4711
                           AND pid = pg_catalog.pg_backend_pid()) THEN
                PERFORM pg_catalog.pg_advisory_lock(4711);
                RAISE 'not the first';
            END IF;
            RETURN 1;
        END $$;";
    let indexes: String = (10..40).map(|n| format!("CREATE INDEX i{n} ON t ((id + public.first()));\n")).collect();
    project.query(&format!("SELECT pg_advisory_lock(4711); {first} {indexes}"));
    let finding = refused(&project, &["baseline"], (1, "baseline", ""));
    assert!(help(&finding).contains("ROUNDTRIP_TEST_SERVER"), "{finding:#}");
    project.end();
}
