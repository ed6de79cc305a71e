//! A chain of small, realistic, reversible migrations.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

/// Writes a chain of this length into a folder of its own.
pub(crate) fn write(size: usize) -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for n in 0..size {
        let (up, down) = migration(n % 8, n / 8);
        let stem = format!("{}_step_{n}", 20_250_101_000_000 + n);
        fs::write(folder.path().join(format!("{stem}.up.sql")), up)?;
        fs::write(folder.path().join(format!("{stem}.down.sql")), down)?;
    }
    Ok(folder)
}

/// The version of the newest migration of [`on_schema`].
pub(crate) const NEWEST: &str = "20250101000001";

/// Writes a chain of two: one that makes a whole schema of so many tables, and a new one.
pub(crate) fn on_schema(tables: usize, first: &str) -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let (mut up, mut down) = (first.to_owned(), String::new());
    for t in 0..tables / 2 {
        for kind in [0, 1, 2, 3, 4, 5, 7] {
            let (one, back) = migration(kind, t);
            up += &one;
            down.insert_str(0, &back);
        }
    }
    if !first.is_empty() {
        down += "DROP EXTENSION btree_gist;\n";
    }
    let (new, back) = migration(0, tables);
    for (stem, up, down) in [("20250101000000_schema", up, down), ("20250101000001_new", new, back)] {
        fs::write(folder.path().join(format!("{stem}.up.sql")), up)?;
        fs::write(folder.path().join(format!("{stem}.down.sql")), down)?;
    }
    Ok(folder)
}

/// One of eight kinds of change, for the `t`-th table.
fn migration(kind: usize, t: usize) -> (String, String) {
    let pair = |up: &str, down: &str| (up.replace("{t}", &t.to_string()), down.replace("{t}", &t.to_string()));
    match kind {
        0 => pair(
            "CREATE TABLE account_{t} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    email text NOT NULL UNIQUE,\n    \
             name text NOT NULL CHECK (name <> ''),\n    balance numeric(12,2) NOT NULL DEFAULT 0 CHECK (balance >= 0),\n    \
             created_at timestamptz NOT NULL DEFAULT now()\n);\n",
            "DROP TABLE account_{t};\n",
        ),
        1 => pair(
            "CREATE TYPE state_{t} AS ENUM ('new', 'open', 'closed');\nALTER TABLE account_{t} ADD COLUMN state state_{t} NOT NULL DEFAULT 'new';\n",
            "ALTER TABLE account_{t} DROP COLUMN state;\nDROP TYPE state_{t};\n",
        ),
        2 => pair(
            "CREATE INDEX account_{t}_name_idx ON account_{t} (lower(name));\n",
            "DROP INDEX account_{t}_name_idx;\n",
        ),
        3 => pair(
            "CREATE FUNCTION touch_{t}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n    NEW.created_at := now();\n    RETURN NEW;\nEND\n$$;\n\
             CREATE TRIGGER touch BEFORE UPDATE ON account_{t} FOR EACH ROW EXECUTE FUNCTION touch_{t}();\n",
            "DROP TRIGGER touch ON account_{t};\nDROP FUNCTION touch_{t}();\n",
        ),
        4 => pair(
            "CREATE TABLE entry_{t} (\n    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),\n    \
             account_id bigint NOT NULL REFERENCES account_{t} (id) ON DELETE CASCADE,\n    amount numeric(12,2) NOT NULL\n);\n\
             CREATE INDEX entry_{t}_account_idx ON entry_{t} (account_id);\n",
            "DROP TABLE entry_{t};\n",
        ),
        5 => pair(
            "CREATE VIEW balance_{t} AS\n    SELECT a.id, a.name, sum(e.amount) AS total\n    FROM account_{t} a LEFT JOIN entry_{t} e ON e.account_id = a.id\n    GROUP BY a.id, a.name;\n",
            "DROP VIEW balance_{t};\n",
        ),
        6 => pair(
            "INSERT INTO account_{t} (email, name) SELECT 'u' || g || '@example.org', 'user ' || g FROM generate_series(1, 5) g;\n",
            "DELETE FROM account_{t} WHERE email LIKE 'u%@example.org';\n",
        ),
        _ => pair(
            "ALTER TABLE entry_{t} ADD CONSTRAINT entry_{t}_amount_check CHECK (amount <> 0) NOT VALID;\nCOMMENT ON TABLE entry_{t} IS 'Movements';\n",
            "COMMENT ON TABLE entry_{t} IS NULL;\nALTER TABLE entry_{t} DROP CONSTRAINT entry_{t}_amount_check;\n",
        ),
    }
}

/// The scripts of one direction as psql runs them: one process, a transaction for each file,
/// with a small ledger of the kind that people write themselves.
pub(crate) fn psql_script(folder: &std::path::Path, ending: &str) -> std::io::Result<String> {
    let up = ending == ".up.sql";
    let mut script = String::new();
    if up {
        script.push_str("CREATE TABLE schema_migrations (version text PRIMARY KEY, at timestamptz DEFAULT now());\n");
    }
    for (version, path) in files(folder, ending)? {
        let ledger = match up {
            true => format!("INSERT INTO schema_migrations (version) VALUES ('{version}');"),
            false => format!("DELETE FROM schema_migrations WHERE version = '{version}';"),
        };
        // Writing to a String cannot fail.
        let _ = write!(script, "BEGIN;\n\\i {}\n{ledger}\nCOMMIT;\n", path.display());
    }
    Ok(script)
}

/// Everything in one message and one transaction: the least that a server can be asked.
pub(crate) fn one_message(folder: &std::path::Path) -> std::io::Result<String> {
    let mut message =
        "BEGIN; CREATE TABLE schema_migrations (version text PRIMARY KEY, at timestamptz DEFAULT now());".to_owned();
    for (version, path) in files(folder, ".up.sql")? {
        message.push_str(&fs::read_to_string(path)?);
        let _ = write!(message, "INSERT INTO schema_migrations (version) VALUES ('{version}');");
    }
    message.push_str("COMMIT;");
    Ok(message)
}

/// The files of one direction with their versions, in the order in which they run.
fn files(folder: &std::path::Path, ending: &str) -> std::io::Result<Vec<(String, std::path::PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(ending) {
            files.push((name.split('_').next().unwrap_or_default().to_owned(), path));
        }
    }
    files.sort();
    if ending == ".down.sql" {
        files.reverse();
    }
    Ok(files)
}
