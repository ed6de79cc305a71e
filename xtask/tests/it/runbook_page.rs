//! docs/ROLLBACK_RUNBOOK.md is true: each of its SQL blocks is run with psql, in the situation that it is for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::runbook::{psql, tables, three, version};
use crate::support::{ProgramOutput, Project, root, said};

/// The blocks of the page by name, and which of them were run.
struct RunbookPage {
    blocks: BTreeMap<String, String>,
    used: RefCell<BTreeSet<String>>,
}

impl RunbookPage {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/ROLLBACK_RUNBOOK.md")).unwrap();
        let mut blocks = BTreeMap::new();
        for block in text.split("\n```sql ").skip(1) {
            let (name, rest) = block.split_once('\n').unwrap();
            let sql = rest.split_once("\n```").unwrap().0;
            assert_eq!(blocks.insert(name.to_owned(), format!("{sql}\n")), None, "{name} is there twice");
        }
        Self { blocks, used: RefCell::default() }
    }

    /// Runs blocks in one session; text that is not the name of a block is sent as it is.
    fn run(&self, project: &Project, names: &[&str]) -> ProgramOutput {
        let block = |name: &&str| {
            self.used.borrow_mut().insert((*name).to_owned());
            self.blocks.get(*name).cloned().unwrap_or_else(|| format!("{name}\n"))
        };
        project.write("page.sql", names.iter().map(block).collect::<String>());
        said(psql(project, &["-At", "-v", "ON_ERROR_STOP=1", "-f", "page.sql"]).output().unwrap())
    }
}

fn set(number: u64) -> String {
    format!("\\set version {}", version(number))
}

/// What the user types once, at the beginning.
const WHO: &str = "\\set who 'ann o''neill'\n\\set why 'INC-4711: it''s broken'";

#[test]
fn the_page_is_what_the_command_writes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let said =
        said(command.args(["runbook", "--page", "--env", "production"]).current_dir(root()).output().unwrap()).ok();
    let page = fs::read_to_string(root().join("docs/ROLLBACK_RUNBOOK.md")).unwrap();
    assert!(
        said.out == page,
        "write it again: cargo xtask runbook --page --env production -o docs/ROLLBACK_RUNBOOK.md"
    );
}

#[test]
fn every_block_of_the_page_is_true() {
    let page = RunbookPage::read();
    by_hand(&page);
    stuck(&page);
    blocked(&page);
    half_applied(&page);
    without_a_transaction(&page);
    kept(&page);
    saved(&page);
    timed_out(&page);
    let used = page.used.borrow();
    let unused: Vec<&String> = page.blocks.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no test runs {unused:?}");
}

/// Section 4, from the first block to the last.
fn by_hand(page: &RunbookPage) {
    let project = three();
    let wrong = page.run(&project, &["lock", WHO, &set(1), "rollback"]);
    assert!(wrong.code == 3 && wrong.err.contains("division by zero"), "{wrong:?}");
    let nobody = page.run(&project, &["lock", &set(3), "rollback"]);
    assert!(nobody.code == 3 && nobody.err.contains("syntax error"), "{nobody:?}");
    let blocks = [WHO, "where", "state", "program", "lock", &set(3), "look", "rollback", "verify", "release"];
    let said = page.run(&project, &blocks).ok();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines.contains(&"t|t") && lines.contains(&"DROP TABLE c;") && lines.contains(&&*version(2)), "{said:?}");
    assert!(
        lines.iter().any(|line| line.contains("rolled_back") && line.contains("INC-4711: it's broken")),
        "{said:?}"
    );
    assert!(said.out.contains(&format!("roundtrip {}|", env!("CARGO_PKG_VERSION"))), "{said:?}");
    assert_eq!(project.query("SELECT actor FROM roundtrip.ledger ORDER BY id DESC LIMIT 1"), ["ann o'neill"]);
    assert_eq!(tables(&project), ["a", "b"]);
    let undone = project.run(&["status", "--format", "json"]).ok().json();
    assert_eq!((&undone["version"], undone["problems"].as_array().unwrap().len()), (&version(2).into(), 0), "{undone}");
    project.run(&["migrate"]).ok();
    project.run(&["rollback", "--all"]).ok();
    let none = page.run(&project, &["lock", WHO, &set(3), "rollback"]);
    assert!(none.code == 3 && none.err.contains("division by zero"), "{none:?}");
    project.run(&["migrate"]).ok();
    project.query("CREATE VIEW in_the_way AS SELECT id FROM c");
    let failed = page.run(&project, &["lock", WHO, &set(3), "rollback"]);
    assert!(failed.code == 3 && failed.err.contains("in_the_way"), "{failed:?}");
    assert_eq!(project.run(&["status", "--format", "json"]).ok().json()["version"], version(3));
    project.end();
}

/// Section 6: an unknown run holds the lock.
fn stuck(page: &RunbookPage) {
    let project = three();
    let holder = project.hold(&page.blocks["lock"]);
    let said = page.run(&project, &["lock", "holder"]).ok();
    assert!(said.out.starts_with("f|f\n") && said.out.contains("|lock|") && said.out.contains("|fence|"), "{said:?}");
    page.run(&project, &["terminate"]).ok();
    while !page.run(&project, &["holder"]).ok().out.is_empty() {}
    assert!(page.run(&project, &["lock"]).ok().out.starts_with("t|t"));
    drop(holder);
    project.end();
}

/// Section 6: a statement waits for a table.
fn blocked(page: &RunbookPage) {
    let project = three();
    let holder = project.hold("BEGIN; LOCK TABLE a");
    let mut waiting = psql(&project, &["-c", "DROP TABLE a"]).spawn().unwrap();
    let shown = loop {
        let said = page.run(&project, &["waiting"]).ok();
        if !said.out.is_empty() {
            break said.out;
        }
    };
    assert!(shown.contains("DROP TABLE a") && shown.contains("LOCK TABLE a"), "{shown}");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    drop(holder);
    project.end();
}

/// Section 5: an index could not be built.
fn half_applied(page: &RunbookPage) {
    let project = Project::new();
    let up = "-- migrate: no-transaction\nCREATE TABLE t (a int);\nINSERT INTO t VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);";
    project.migration(1, "it", up, "DROP TABLE t;");
    assert_eq!(project.run(&["migrate"]).code, 1);
    let said = page.run(&project, &["lock", "unfinished", "invalid", "drop-invalid", "invalid"]).ok();
    assert!(said.out.contains(&format!("{}|it|up|2|", version(1))), "{said:?}");
    assert_eq!(said.out.matches("t_a|t\n").count(), 1, "{said:?}");
    page.run(&project, &["lock", WHO, &set(1), "\\set counts_as down", "DROP TABLE t;", "resolve", "release"]).ok();
    assert_eq!(page.run(&project, &["unfinished"]).ok().out, "");
    let status = project.run(&["status", "--format", "json"]).ok().json();
    assert_eq!((&status["unfinished"], &status["pending"][0]["name"]), (&serde_json::Value::Null, &"it".into()));
    // The other way: what is missing is done by hand, and the migration counts as applied, with its rollback.
    assert_eq!(project.run(&["migrate"]).code, 1);
    let mend = "DELETE FROM t; CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);";
    page.run(&project, &["lock", "drop-invalid", mend, WHO, &set(1), "\\set counts_as up", "resolve", "release"]).ok();
    project.run(&["status", "--exit-code"]).ok();
    project.run(&["rollback"]).ok();
    assert_eq!(tables(&project), Vec::<String>::new());
    project.end();
}

/// Section 5: the rollback commits statement by statement.
fn without_a_transaction(page: &RunbookPage) {
    let project = Project::new();
    let down = "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY t_a;\nDROP TABLE t;";
    project.migration(1, "it", "CREATE TABLE t (a int); CREATE INDEX t_a ON t (a);", down);
    project.run(&["migrate"]).ok();
    let statements = ["DROP INDEX CONCURRENTLY t_a;", "DROP TABLE t;"];
    let said = page.run(
        &project,
        &["lock", WHO, &set(1), "look", "begin-stepwise", statements[0], statements[1], "end-stepwise", "release"],
    );
    assert!(said.ok().out.contains("migrate: no-transaction"));
    assert_eq!(
        project.query("SELECT concat_ws(' ', event, batch) FROM roundtrip.ledger WHERE direction = 'down' ORDER BY id"),
        ["started 2", "rolled_back 2"]
    );
    assert!(project.run(&["status"]).ok().out.contains("pending"));
    project.run(&["migrate"]).ok();
    project.end();
}

/// Section 7: kept rows and values are restored.
fn kept(page: &RunbookPage) {
    let project = three();
    project.migration(
        4,
        "note",
        "ALTER TABLE a ADD PRIMARY KEY (id), ADD note text;",
        "ALTER TABLE a DROP CONSTRAINT a_pkey, DROP note;",
    );
    // What its up script overwrites is in the copy as well, and left to a person.
    let up = "ALTER TABLE a ADD word text; UPDATE a SET note = upper(note);";
    project.migration(5, "words", up, "ALTER TABLE a DROP word;");
    project.migration(6, "d", "CREATE TABLE d (id int GENERATED ALWAYS AS IDENTITY, at date);", "DROP TABLE d;");
    project.run(&["migrate"]).ok();
    project.query("INSERT INTO a VALUES (1, 'x', 'it''s'), (2, 'y', NULL)");
    project.query("INSERT INTO d (at) VALUES ('2024-02-29'), (NULL)");
    project.run(&["rollback", "-n", "2", "--keep-data"]).ok();
    assert_eq!(page.run(&project, &["kept"]).ok().out.lines().count(), 3);
    project.run(&["migrate", "--leave-kept"]).ok();
    page.run(&project, &["lock", &set(5), "kept-restore", &set(6), "kept-restore", "release"]).ok();
    assert_eq!(project.query("SELECT concat_ws('|', id, note, word) FROM a ORDER BY id"), ["1|X|it's", "2|Y"]);
    assert_eq!(project.query("SELECT concat_ws('|', id, at) FROM d ORDER BY id"), ["1|2024-02-29", "2"]);
    let listed = project.run(&["kept", "--format", "json"]).ok().json();
    let restored = listed["kept"].as_array().unwrap().iter().filter(|copy| !copy["restored_at"].is_null());
    assert_eq!(restored.count(), 3, "{listed}");
    project.query("INSERT INTO d DEFAULT VALUES");
    assert_eq!(project.query("SELECT max(id) FROM d"), ["3"]);
    project.end();
}

/// Sections 4 and 7: a destructive rollback, with a copy of what it destroys.
fn saved(page: &RunbookPage) {
    let project = three();
    let up = "CREATE TABLE \"Odd.Name\" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, n int GENERATED ALWAYS AS (1) STORED); \
              ALTER TABLE a ADD note text;";
    project.migration(4, "loses", up, "DROP TABLE \"Odd.Name\"; ALTER TABLE A DROP note;");
    project.run(&["migrate"]).ok();
    project.query("INSERT INTO \"Odd.Name\" (t) VALUES ('x'), ('y'); INSERT INTO a (id, note) VALUES (1, 'kept')");
    let named = page.run(&project, &[&set(4), "named"]).ok();
    assert!(named.out.contains("\"Odd.Name\"|") && named.out.contains("a|") && !named.out.contains("b|"), "{named:?}");
    // If the rollback fails, the copy is removed as well.
    project.query("CREATE VIEW in_the_way AS SELECT * FROM \"Odd.Name\"");
    assert_eq!(page.run(&project, &["lock", WHO, &set(4), "save", "rollback"]).code, 3);
    assert_eq!(project.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'saved%'"), ["0"]);
    project.query("DROP VIEW in_the_way");
    page.run(&project, &["lock", WHO, &set(4), "look", "save", "rollback", "verify", "release"]).ok();
    assert_eq!(tables(&project), ["a", "b", "c"]);
    let saved = page.run(&project, &[&set(4), "saved"]).ok();
    assert_eq!(saved.out.lines().count(), 2, "{saved:?}");
    project.run(&["migrate"]).ok();
    page.run(&project, &[&set(4), "saved-restore"]).ok();
    assert_eq!(project.query("SELECT concat_ws('|', id, t, n) FROM \"Odd.Name\" ORDER BY id"), ["1|x|1", "2|y|1"]);
    project.query("INSERT INTO \"Odd.Name\" (t) VALUES ('z')");
    assert_eq!(project.query("SELECT max(id) FROM \"Odd.Name\""), ["3"]);
    let note = format!("SELECT note FROM saved_{}.\"public.a\" WHERE id = 1", version(4));
    assert_eq!(project.query(&note), ["kept"]);
    project.end();
}

/// Section 6: the lock was not available, and nobody is waiting any more.
fn timed_out(page: &RunbookPage) {
    let project = three();
    project.migration(
        4,
        "child",
        "ALTER TABLE a ADD PRIMARY KEY (id); CREATE TABLE child (a int REFERENCES a);",
        "DROP TABLE child;",
    );
    project.run(&["migrate"]).ok();
    let other = project.hold("BEGIN; SELECT FROM b");
    // The rollback names only `child`, but its foreign key needs a lock on `a` as well.
    let holder = project.hold("BEGIN; SELECT 'mine' FROM a");
    let failed = page.run(&project, &["where", "SET lock_timeout = '50ms';", "lock", WHO, &set(4), "rollback"]);
    assert!(failed.code == 3 && failed.err.contains("lock timeout"), "{failed:?}");
    assert_eq!(page.run(&project, &["waiting"]).ok().out, "");
    let shown = page.run(&project, &[&set(4), "blockers", "open-transactions"]).ok();
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(
        lines[0].contains("|t|") && lines[0].contains("idle in transaction") && lines[0].contains("a AccessShareLock")
    );
    assert!(lines[0].contains("SELECT 'mine' FROM a") && lines[1].contains("|f|"), "{shown:?}");
    assert_eq!(lines.len(), 4, "{shown:?}");
    // Without a version, everybody is listed.
    assert_eq!(page.run(&project, &["blockers"]).ok().out.lines().count(), 2);
    drop((holder, other));
    project.end();
}
