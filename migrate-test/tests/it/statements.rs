//! Statements that read several tables find rows in the proof, so that a rollback which does not undo them is
//! found to be broken.

use migrate_core::CodeMigrations;
use migrate_test::proof::{self, Law, Proof};
use rstest::rstest;

use crate::losses::{holds, is_found, proven, shown};
use crate::support::{ChainFolder, version};

const BASE: &str = "
    CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, name text, city text, state text, active boolean NOT NULL);
    CREATE TABLE bans (id int PRIMARY KEY, user_id int REFERENCES users (id) ON DELETE CASCADE, kind text, level int);
    CREATE TABLE y (id int PRIMARY KEY, z text, state text, amount int);
    CREATE TABLE t (id int PRIMARY KEY, y_id int, x text, kind text, amount int, code text);
    CREATE TABLE n (id int PRIMARY KEY, parent_id int REFERENCES n (id), name text NOT NULL, depth int);
    CREATE TABLE parts (id int PRIMARY KEY, t_id int NOT NULL REFERENCES t (id), kind text NOT NULL, qty int);";

/// What a statement reads in other tables exists there.
#[rstest]
#[case::using("DELETE FROM users u USING bans b WHERE b.user_id = u.id AND b.kind = 'hard' AND b.level > 7;")]
#[case::two(
    "DELETE FROM parts USING t, y WHERE parts.t_id = t.id AND t.y_id = y.id AND y.state = 'closed' AND t.code = 'c9';"
)]
#[case::from("UPDATE t SET x = y.z FROM y WHERE y.id = t.y_id AND y.state = 'closed' AND y.amount IS NULL;")]
#[case::joined(
    "UPDATE t SET x = y.z FROM y JOIN users u ON u.name = y.state WHERE y.id = t.y_id AND u.state LIKE 'gone%';"
)]
#[case::joined_by_name("DELETE FROM t WHERE amount IN (SELECT y.amount FROM y JOIN users USING (state) WHERE active);")]
#[case::a_query("DELETE FROM t WHERE y_id IN (SELECT id FROM y WHERE state = 'closed' AND amount = 0);")]
#[case::two_values("DELETE FROM t WHERE (x, kind) IN (SELECT z, state FROM y WHERE amount = 77);")]
#[case::any("UPDATE t SET kind = 'x' WHERE y_id = ANY (SELECT id FROM y WHERE state = 'closed' AND amount = 5);")]
#[case::the_last("UPDATE t SET kind = 'x' WHERE y_id = (SELECT max(id) FROM y WHERE state = 'closed' AND amount = 5);")]
#[case::exists(
    "DELETE FROM t WHERE kind = 'k' AND EXISTS (SELECT 1 FROM y WHERE y.id = t.y_id AND y.state = 'c' AND z IS NULL);"
)]
#[case::of_a_row(
    "UPDATE t SET x = (SELECT z FROM y WHERE y.id = t.y_id AND y.state = 'closed') WHERE t.kind = 'linked'
        AND EXISTS (SELECT 1 FROM y WHERE y.id = t.y_id AND y.state = 'closed');"
)]
#[case::named(
    "WITH w AS (SELECT id FROM y WHERE state = 'closed' AND amount = 0) DELETE FROM t USING w WHERE w.id = y_id;"
)]
#[case::summed(
    "UPDATE t SET amount = s.n FROM (SELECT t_id, sum(qty) AS n FROM parts WHERE kind = 'spare' GROUP BY t_id) s
        WHERE s.t_id = t.id AND t.kind = 'k' AND t.x = 'old';"
)]
#[case::merged(
    "MERGE INTO t USING y ON y_id = y.id AND state = 'closed' WHEN MATCHED AND kind = 'k' THEN UPDATE SET x = z;"
)]
#[case::without_a_match(
    "DELETE FROM users WHERE id IN (SELECT u.id FROM users u LEFT JOIN bans b ON b.user_id = u.id
        WHERE b.id IS NULL AND u.state = 'guest' AND u.city = 'Rome');"
)]
#[case::inserted("INSERT INTO y (id, z) SELECT -7000 - id % 1000, x FROM t WHERE kind = 'archived' AND amount = 0;")]
#[case::in_the_way("INSERT INTO y (id, z) VALUES (7, 'seven') ON CONFLICT (id) DO UPDATE SET z = excluded.z;")]
#[case::above(
    "UPDATE n SET depth = p.depth + 1 FROM n p WHERE p.id = n.parent_id AND n.name LIKE 'leaf%' AND p.name = 'root';"
)]
#[case::listed("UPDATE t SET x = v.b FROM (VALUES ('one', 'two')) v (a, b) WHERE v.a = t.kind AND t.code = 'c9';")]
#[case::by_a_type("ALTER TABLE t ALTER x TYPE text USING CASE WHEN kind = 'free' AND code = 'c9' THEN '' ELSE x END;")]
#[tokio::test]
async fn what_a_statement_reads_elsewhere_is_in_rows(#[case] up: &str) {
    is_found(BASE, up, "SELECT 1;").await;
}

/// Rows that are deleted together with others exist, so that a rollback which forgets them is found.
#[rstest]
#[case::gone("CASCADE", "WHERE state = 'gone' AND city = 'Rome'")]
#[case::forgotten("SET NULL", "WHERE state = 'gone' AND city = 'Rome'")]
#[tokio::test]
async fn what_refers_to_deleted_rows_is_there(#[case] on_delete: &str, #[case] taken: &str) {
    let base = BASE.replace("ON DELETE CASCADE", &format!("ON DELETE {on_delete}"));
    let up = format!("CREATE TABLE old AS SELECT * FROM users {taken}; DELETE FROM users {taken};");
    is_found(&base, &up, "INSERT INTO users SELECT * FROM old; DROP TABLE old;").await;
}

/// What is copied elsewhere is restored.
#[rstest]
#[case::aside(
    "CREATE TABLE old AS SELECT * FROM users WHERE state = 'gone' AND city = 'Rome';
     CREATE TABLE old_bans AS SELECT b.* FROM bans b JOIN old ON old.id = b.user_id;
     DELETE FROM users WHERE id IN (SELECT id FROM old);",
    "INSERT INTO users SELECT * FROM old; INSERT INTO bans SELECT * FROM old_bans; DROP TABLE old, old_bans;"
)]
#[case::of_another_table(
    "ALTER TABLE t ADD z text; UPDATE t SET z = y.z FROM y WHERE y.id = t.y_id AND y.state = 'closed';",
    "ALTER TABLE t DROP z;"
)]
#[case::looked_up(
    "CREATE TABLE kinds (id serial PRIMARY KEY, name text UNIQUE NOT NULL); ALTER TABLE t ADD kind_id int REFERENCES kinds;
     INSERT INTO kinds (name) SELECT DISTINCT kind FROM t WHERE kind IS NOT NULL;
     UPDATE t SET kind_id = k.id FROM kinds k WHERE k.name = t.kind; ALTER TABLE t DROP kind;",
    "ALTER TABLE t ADD kind text; UPDATE t SET kind = k.name FROM kinds k WHERE k.id = t.kind_id;
     ALTER TABLE t DROP kind_id; DROP TABLE kinds;"
)]
#[tokio::test]
async fn what_is_kept_beside_comes_back(#[case] up: &str, #[case] down: &str) {
    holds(BASE, up, down).await;
    let proven = proven(BASE, up, down, 0).await;
    assert!(proven.rests.idle.is_empty(), "{}", shown(&proven));
}

/// A table that is created from no rows proves nothing about its rows.
#[tokio::test]
async fn a_copy_of_no_row_is_said() {
    let up = "CREATE TABLE old AS SELECT * FROM t WHERE x = z_of(y_id) || 'never';";
    let base =
        format!("{BASE} CREATE FUNCTION z_of(int) RETURNS text LANGUAGE sql AS 'SELECT z FROM y WHERE id = $1';");
    let proven = proven(&base, up, "DROP TABLE old;", 0).await;
    assert_eq!(proven.rests.idle.len(), 1, "{}", shown(&proven));
}

/// The effect of a migration on existing rows must not make the next one hold: the next one gets its own rows,
/// as if it were proven alone.
#[rstest]
#[case::rounded(
    "-- migrate: lossy they are rounded\nUPDATE t SET p = round(p);",
    "SELECT 1;",
    "ALTER TABLE t ALTER p TYPE int;",
    "ALTER TABLE t ALTER p TYPE numeric(8, 3);"
)]
#[case::lowered(
    "-- migrate: lossy they are in lower case\nUPDATE t SET a = lower(a);",
    "SELECT 1;",
    "CREATE FUNCTION low(a text) RETURNS text LANGUAGE sql AS 'SELECT lower(a)'; UPDATE t SET a = low(a); DROP FUNCTION low;",
    "SELECT 1;"
)]
#[case::wider(
    "ALTER TABLE t ALTER c TYPE text;",
    "ALTER TABLE t ALTER c TYPE varchar(3);",
    "ALTER TABLE t ALTER c TYPE varchar(9) USING (c || '')::varchar(9);",
    "ALTER TABLE t ALTER c TYPE text;"
)]
#[case::no_check(
    "ALTER TABLE t DROP CONSTRAINT small;",
    "ALTER TABLE t ADD CONSTRAINT small CHECK (n BETWEEN 0 AND 5);",
    "ALTER TABLE t ALTER n TYPE smallint USING (n % 32768)::smallint;",
    "ALTER TABLE t ALTER n TYPE int;"
)]
#[tokio::test]
async fn a_chain_is_proven_like_each_of_its_migrations(
    #[case] before: &str,
    #[case] before_down: &str,
    #[case] up: &str,
    #[case] down: &str,
) {
    let base = "CREATE TABLE t (id int PRIMARY KEY, a text, c varchar(3), p numeric(8, 3), n int CONSTRAINT small CHECK (n BETWEEN 0 AND 5));";
    let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE t;")]);
    let directive = before.lines().next().filter(|line| line.starts_with("--")).unwrap_or_default();
    chain.write(2, "before", before, &format!("{directive}\n{before_down}"));
    chain.write(3, "change", up, down);
    for seed in 0..2 {
        for only in [None, Some([version(3)].into())] {
            let proof = Proof { only, keep: false, seed, walks: 0, ..Proof::default() };
            let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
            let change = report.migrations.last().unwrap();
            assert!(change.laws[&Law::Data].is_broken(), "seed {seed}: {}", shown(change));
        }
    }
}

const NAMED: &str = "CREATE TABLE u (id bigserial PRIMARY KEY, name text UNIQUE NOT NULL);
    CREATE TABLE t (id bigserial PRIMARY KEY, name text NOT NULL, n int);";

/// If a key by name is replaced by a key by number, rows with a name that nobody has are not a fault of the
/// migration.
#[rstest]
#[case::from("UPDATE t SET u_id = u.id FROM u WHERE u.name = t.name;")]
#[case::subquery("UPDATE t SET u_id = (SELECT id FROM u WHERE u.name = t.name);")]
#[tokio::test]
async fn a_column_that_is_filled_from_another_table_becomes_not_null(#[case] update: &str) {
    let up = format!(
        "ALTER TABLE t ADD u_id bigint; {update} ALTER TABLE t DROP name, ALTER u_id SET NOT NULL;
         ALTER TABLE t ADD FOREIGN KEY (u_id) REFERENCES u;"
    );
    let down = "ALTER TABLE t ADD name text; UPDATE t SET name = u.name FROM u WHERE u.id = t.u_id;
        ALTER TABLE t DROP u_id, ALTER name SET NOT NULL;";
    holds(NAMED, &up, down).await;
    let proven = proven(NAMED, &up, down, 0).await;
    assert!(proven.notes.iter().any(|note| note.contains("have no match in another table")), "{:?}", proven.notes);
    is_found(NAMED, &up, "ALTER TABLE t ADD name text NOT NULL DEFAULT 'nobody', DROP u_id;").await;
}

/// If no row can be found in the other table, the column is NULL in each row.
#[tokio::test]
async fn a_column_that_is_filled_from_rows_that_cannot_be_does_not_become_not_null() {
    let base = "CREATE TABLE u (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b')), x int NOT NULL);
        CREATE TABLE t (id int PRIMARY KEY, u_id int);";
    let up = "ALTER TABLE t ADD x int; UPDATE t SET x = u.x FROM u WHERE u.id = t.u_id AND u.kind = 'zzz';
        ALTER TABLE t ALTER x SET NOT NULL;";
    is_found(base, up, "ALTER TABLE t DROP x;").await;
}
