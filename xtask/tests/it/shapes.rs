//! `baseline`, `diff`, `derive` and `new`: schemas that become migrations.

use std::fs;

use crate::support::{ProgramOutput, Project, said};

/// A shop that was created by hand, with a little of everything.
const BY_HAND: &str = "
    CREATE TYPE level AS ENUM ('low', 'high');
    CREATE TABLE countries (id serial PRIMARY KEY, code text NOT NULL UNIQUE);
    INSERT INTO countries (code) VALUES ('de'), ('it''s');
    CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, fax text,
        country_id int REFERENCES countries, level level DEFAULT 'low', CHECK (name <> ''));
    CREATE INDEX users_name ON users (lower(name));
    CREATE VIEW names AS SELECT id, name FROM users;
    COMMENT ON TABLE users IS 'People; as they \"write\" themselves';
    DO $$ BEGIN CREATE ROLE roundtrip_test_reader; EXCEPTION WHEN OTHERS THEN NULL; END $$;
    GRANT SELECT ON names TO roundtrip_test_reader;
    INSERT INTO users (name) VALUES ('Ada');";

fn files(project: &Project) -> Vec<String> {
    let folder = project.path().join("migrations");
    let mut all: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

fn read(project: &Project, ending: &str) -> String {
    let name = files(project).into_iter().rfind(|name| name.ends_with(ending)).unwrap();
    fs::read_to_string(project.path().join("migrations").join(name)).unwrap()
}

/// A folder whose first migration is the database that was created by hand, marked as applied.
fn adopted() -> Project {
    let project = Project::new();
    project.query(BY_HAND);
    project.run(&["baseline"]).ok();
    project.run(&["baseline", "--mark", "--yes"]).ok();
    project
}

#[track_caller]
pub(crate) fn says(said: &ProgramOutput, words: &str) {
    assert!(said.out.contains(words) || said.err.contains(words), "{words}: {said:?}");
}

#[test]
fn a_database_made_by_hand_becomes_a_chain_that_goes_on() {
    let project = adopted();
    assert_eq!(project.run(&["status", "--exit-code"]).ok().code, 0);
    assert_eq!(project.query("SELECT event FROM roundtrip.ledger"), ["baselined"]);
    let words =
        ["new", "create_orders", "--table", "orders", "id:uuid:pk", "user_id:references:users", "total:decimal:12,2"];
    let more = ["status:enum:pending,paid,shipped,cancelled", "--timestamps", "--index", "user_id,status"];
    project.run(&[&words[..], &more[..]].concat()).ok();
    assert!(read(&project, "orders.down.sql").contains("DROP TYPE public.order_status"));
    project.run(&["new", "drop_fax"]).ok();
    let up = files(&project).into_iter().rfind(|name| name.ends_with("drop_fax.up.sql")).unwrap();
    project.write(&format!("migrations/{up}"), "ALTER TABLE users DROP COLUMN fax;\n");
    let version = up.split('_').next().unwrap();
    let unwritten = project.run(&["verify", "--all"]);
    assert_eq!(unwritten.code, 3);
    says(&unwritten, &format!("cargo xtask derive {version}"));
    project.run(&["derive", version]).ok();
    assert!(read(&project, "drop_fax.down.sql").starts_with("-- migrate: lossy the data in public.users.fax"));
    assert_eq!(project.run(&["derive", version]).code, 2, "what is there is not overwritten");
    project.run(&["verify", "--all"]).ok();
    project.run(&["migrate"]).ok();
    let types = "SELECT typname FROM pg_type WHERE typname = 'order_status'";
    assert_eq!(project.query(types), ["order_status"]);
    project.run(&["rollback", "-n", "2"]).ok();
    assert_eq!(project.query(types), Vec::<String>::new());
    project.run(&["migrate"]).ok();
    assert_eq!(project.query("SELECT name FROM users"), ["Ada"]);
    project.end();
}

#[test]
fn a_baseline_makes_the_same_schema_and_removes_it() {
    let project = adopted();
    let same = project.run_bare(&["diff", "migrations", &project.url(), "--format", "json"]).ok();
    assert_eq!(same.json()["differences"].as_array().unwrap().len(), 0);
    let again = project.run(&["baseline"]);
    assert_eq!(again.code, 2);
    let marked = project.run(&["baseline", "--mark", "--yes"]);
    says(&marked, "already has migrations");
    project.end();
}

#[test]
fn an_environment_that_differs_is_not_marked() {
    let project = Project::new();
    project.query(BY_HAND);
    project.run(&["baseline"]).ok();
    project.query("ALTER TABLE users ADD COLUMN surprise int; DROP INDEX users_name");
    let refused = project.run(&["baseline", "--mark", "--yes"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused, &format!("column public.users.surprise: only in {}", project.database.name()));
    says(&refused, "index public.users.users_name: only in the migrations");
    assert_eq!(project.query("SELECT nspname FROM pg_namespace WHERE nspname = 'roundtrip'"), Vec::<String>::new());
    project.end();
}

#[test]
fn rows_of_chosen_tables_are_part_of_it() {
    let project = Project::new();
    project.query(BY_HAND);
    let unknown = project.run(&["baseline", "--data", "countrys"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    says(&unknown, "did you mean countries?");
    project.run(&["baseline", "--data", "countries"]).ok();
    let up = read(&project, ".up.sql");
    assert!(up.contains("('2', 'it''s')") && !up.contains("Ada"), "{up}");
    let other = Project::new();
    for name in files(&project) {
        fs::copy(project.path().join("migrations").join(&name), other.path().join("migrations").join(&name)).unwrap();
    }
    other.run(&["migrate"]).ok();
    other.query("INSERT INTO countries (code) VALUES ('fr')");
    assert_eq!(other.query("SELECT id::text FROM countries ORDER BY id"), ["1", "2", "3"]);
    other.run(&["rollback", "--all"]).ok();
    assert_eq!(
        other.query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        Vec::<String>::new()
    );
    project.end();
    other.end();
}

#[test]
fn what_cannot_be_captured_is_listed_and_excused_when_marking() {
    let project = Project::new();
    project.query(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'hunter2-s3cret'); CREATE TABLE t (id int)",
    );
    let said = project.run(&["baseline"]).ok();
    says(&said, "left out user mapping far.public");
    assert!(read(&project, ".up.sql").contains("-- left out: user mapping far.public"));
    project.run(&["baseline", "--mark", "--yes"]).ok();
    project.end();
}

#[test]
fn a_difference_is_told_in_words_and_statements_and_as_migrations() {
    let project = adopted();
    let schema = BY_HAND.replace("fax text", "phone text").replace("CHECK (name <> '')", "CHECK (length(name) > 1)");
    project.write("schema.sql", format!("{schema} CREATE INDEX users_level ON users (level);"));
    let side = "file:schema.sql";
    let words = project.run_bare(&["diff", "migrations", side]);
    assert_eq!(words.code, 3, "{words:?}");
    says(&words, "column public.users.phone: only in the second");
    says(&words, "renamed: public.users.fax=phone?");
    let sql = project.run_bare(&["diff", "migrations", side, "--sql"]);
    says(&sql, "-- data is lost: the values of column public.users.fax");
    says(&sql, "-- long lock: blocks writes to table public.users during the build");
    let renamed = project.run_bare(&["diff", "migrations", side, "--sql", "--rename", "public.users.fax=phone"]);
    assert_eq!(renamed.code, 3, "{renamed:?}");
    says(&renamed, "ALTER TABLE public.users RENAME COLUMN fax TO phone;");
    assert!(!renamed.out.contains("DROP COLUMN"), "{renamed:?}");
    let written = ["diff", "migrations", side, "--write", "new_phone", "--rename", "public.users.fax=phone"];
    project.run_bare(&written).ok();
    let made: Vec<String> = files(&project).into_iter().filter(|name| name.contains("new_phone")).collect();
    assert_eq!(made.len(), 6, "{made:?}");
    assert!(read(&project, "new_phone_concurrently.up.sql").contains("CREATE INDEX CONCURRENTLY users_level"));
    assert!(read(&project, "new_phone_validate.up.sql").contains("VALIDATE CONSTRAINT"));
    project.run_bare(&["diff", "migrations", side]).ok();
    project.run(&["verify", "--all"]).ok();
    project.run(&["migrate"]).ok();
    let wrong = project.run_bare(&["diff", "migrations", "postgrse://me:hunter2-s3cret@x/y"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    project.end();
}

#[test]
fn owners_are_left_alone_and_named() {
    let project = adopted();
    let sql = "CREATE TABLE t (id integer);\nCREATE VIEW v AS SELECT id FROM t;\n";
    project.write("one.sql", sql);
    project.write("two.sql", format!("CREATE ROLE other;\n{sql}ALTER TABLE t OWNER TO other;\n"));
    for arguments in [&["diff", "file:one.sql", "file:two.sql"][..], &["diff", "file:two.sql", "file:one.sql", "--sql"]]
    {
        let said = project.run_bare(arguments).ok();
        says(&said, "table public.t belongs to ");
        says(&said, "owners are not changed");
        assert!(!said.out.contains("view public.v"), "{said:?}");
    }
    project.end();
}

#[test]
fn a_written_difference_reports_each_phase_to_programs() {
    let project = adopted();
    project.write(
        "schema.sql",
        format!("{BY_HAND} CREATE INDEX users_level ON users (level); CREATE TABLE more (id int);"),
    );
    let arguments = ["diff", "migrations", "file:schema.sql", "--write", "more"];
    let machine = project.run_bare(&[&arguments[..], &["--format", "json"]].concat()).ok();
    assert_eq!(machine.json()["files"].as_array().unwrap().len(), 4, "{machine:?}");
    let events = machine.err.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let working: Vec<_> = events.filter(|event| event["progress"] == "working").collect();
    let phases = |ending: &str| {
        let is_one = |event: &&serde_json::Value| {
            let detail = event["detail"].as_str().unwrap();
            // While a phase lasts, it is repeated with its elapsed time.
            detail.contains(ending) && !detail.ends_with(')')
        };
        working.iter().filter(is_one).count()
    };
    assert_eq!(phases("creating the first schema"), 1, "{machine:?}");
    assert_eq!(phases("_more: proving the rollback"), 1, "{machine:?}");
    assert_eq!(phases("_more_concurrently: proving the rollback"), 1, "{machine:?}");
    files(&project).iter().filter(|name| name.contains("_more")).for_each(|name| {
        fs::remove_file(project.path().join("migrations").join(name)).unwrap();
    });
    // For people, in a pipe, only long phases are reported.
    let text = project.run_bare(&arguments).ok();
    assert!(!text.out.contains("creating the first schema"), "{text:?}");
    project.write("empty.sql", "");
    let quiet = project.run_bare(&["diff", "file:empty.sql", "file:schema.sql", "--sql", "--quiet"]);
    assert!(quiet.code == 3 && quiet.err.is_empty(), "{quiet:?}");
    project.end();
}

#[test]
fn a_down_that_cannot_be_proven_is_not_written() {
    let project = adopted();
    let first = "ALTER TABLE users ADD COLUMN sure boolean NOT NULL DEFAULT true;\n";
    project.write("migrations/29990101000000_sure.up.sql", first);
    project.write("migrations/29990101000000_sure.down.sql", "ALTER TABLE users DROP COLUMN sure;\n");
    let up = "CREATE TYPE answer AS ENUM ('certainly', 'no');\nALTER TABLE users ALTER COLUMN sure DROP DEFAULT;\n\
        ALTER TABLE users ALTER COLUMN sure TYPE answer USING CASE WHEN sure THEN 'certainly'::answer ELSE 'no' END;\n";
    project.write("migrations/29990101000001_answer.up.sql", up);
    let before = files(&project);
    let said = project.run(&["derive", "29990101000001"]);
    assert_eq!((said.code, files(&project)), (3, before), "nobody knows which boolean `certainly` is: {said:?}");
    says(&said, "invalid input syntax for type boolean: \"certainly\"");
    says(&said, "nothing was written");
    project.end();
}

#[test]
fn all_downs_that_are_missing_are_derived_in_their_order() {
    let project = adopted();
    let ups = [
        // A name that another column takes over.
        ("rename", "ALTER TABLE users RENAME COLUMN fax TO old_fax;\nALTER TABLE users ADD COLUMN fax integer;\n"),
        // Columns that must become NOT NULL again: one that references a row, and one that is unique.
        (
            "required",
            "ALTER TABLE users ADD COLUMN home_id integer REFERENCES countries;\n\
             UPDATE users SET home_id = (SELECT min(id) FROM countries);\n\
             ALTER TABLE users ALTER COLUMN home_id SET NOT NULL;\nALTER TABLE users ADD COLUMN badge serial UNIQUE;\n\
             ALTER TABLE users ALTER COLUMN badge DROP DEFAULT;\nDROP SEQUENCE users_badge_seq;\n",
        ),
        ("dropped", "ALTER TABLE users DROP COLUMN home_id;\nALTER TABLE users DROP COLUMN badge;\n"),
        // Rows for two tables, where one references the other by a key that does not come from a sequence.
        ("codes", "CREATE TABLE towns (name text PRIMARY KEY, country text NOT NULL REFERENCES countries (code));\n"),
        ("rows", "INSERT INTO countries (code) VALUES ('nl'), ('be');\nINSERT INTO towns VALUES ('Delft', 'nl');\n"),
    ];
    for (n, (name, up)) in ups.iter().enumerate() {
        project.write(&format!("migrations/2999010100000{n}_{name}.up.sql"), up);
    }
    project.run(&["derive", "--dry-run"]).ok();
    assert!(!files(&project).iter().any(|name| name.ends_with("rename.down.sql")), "a dry run writes nothing");
    let said = project.run(&["derive", "--format", "json"]).ok();
    let derived = said.json()["derived"].as_array().unwrap().clone();
    assert_eq!(derived.len(), ups.len(), "{derived:?}");
    let lossy = derived[2]["lossy"].as_array().unwrap().iter().map(|lost| lost.as_str().unwrap().to_owned());
    assert_eq!(lossy.collect::<Vec<_>>(), ["public.users.badge", "public.users.home_id"]);
    let rows = read(&project, "rows.down.sql");
    assert_eq!(
        rows,
        "DELETE FROM public.towns WHERE name IN ('Delft');\nDELETE FROM public.countries WHERE code IN ('be', 'nl');\n"
    );
    project.run(&["verify", "--all"]).ok();
    project.run(&["migrate"]).ok();
    project.run(&["rollback", "-n", "5"]).ok();
    assert_eq!(project.query("SELECT code FROM countries ORDER BY id"), ["de", "it's"]);
    assert_eq!(project.query("SELECT name FROM users"), ["Ada"]);
    project.run(&["migrate"]).ok();
    // A row that is identified only by a number may be another one elsewhere: nothing is deleted by it.
    project.write("migrations/29990101000009_person.up.sql", "INSERT INTO users (name) VALUES ('Cor');\n");
    let refused = project.run(&["derive"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused, "1 row was added");
    fs::remove_file(project.path().join("migrations/29990101000009_person.up.sql")).unwrap();
    let nothing = project.run(&["derive"]).ok();
    says(&nothing, "every migration has a down");
    project.end();
}

#[test]
fn an_up_that_refuses_rows_is_no_fault_of_its_down() {
    let project = adopted();
    let up = "ALTER TABLE users ADD COLUMN age integer NOT NULL;\n";
    project.write("migrations/29990101000000_age.up.sql", up);
    let said = project.run(&["derive", "29990101000000"]).ok();
    says(&said, "contains null values");
    says(&said, "the down script is proven on empty tables");
    assert!(read(&project, "age.down.sql").contains("DROP COLUMN age"));
    assert_eq!(project.run(&["verify"]).code, 3, "the up is still wrong");
    project.end();
}

#[test]
fn usual_changes_are_written_in_the_form_that_locks_least() {
    let project = adopted();
    project.run(&["new", "by_country", "--add-index", "users.country_id,name"]).ok();
    assert!(read(&project, "by_country.up.sql").contains("CREATE INDEX CONCURRENTLY users_country_id_name_idx"));
    assert!(read(&project, "by_country.down.sql").contains("DROP INDEX CONCURRENTLY"));
    project.run(&["new", "phone", "--add-column", "users.phone:varchar:30:null:index"]).ok();
    project.run(&["new", "home", "--add-column", "users.home_id:references:countries:null"]).ok();
    assert!(read(&project, "home.up.sql").contains("NOT VALID"));
    assert!(read(&project, "home_validate.up.sql").contains("VALIDATE CONSTRAINT"));
    project.run(&["new", "middle", "--add-enum-value", "level=middle:low"]).ok();
    project.run(&["new", "full_name", "--rename-column", "users.name=full_name"]).ok();
    project.run(&["new", "no_fax", "--drop-column", "users.fax"]).ok();
    let up = project.write("up.sql", "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';\n");
    let mut typed = project.command(&["new", "one", "--derive"]);
    said(typed.stdin(fs::File::open(up).unwrap()).output().unwrap()).ok();
    assert_eq!(read(&project, "_one.down.sql"), "DROP FUNCTION public.one();\n");
    assert!(read(&project, "no_fax.down.sql").contains("lossy"));
    project.run(&["verify", "--all"]).ok();
    project.run(&["migrate"]).ok();
    let count = files(&project).len();
    let wrong = project.run(&["new", "x", "--table", "t", "id:uid:pk"]);
    assert_eq!((wrong.code, files(&project).len()), (2, count), "{wrong:?}");
    says(&wrong, "did you mean `uuid`?");
    says(&wrong, "id:uid:pk\n  |    ^^^");
    assert_eq!(project.run(&["new", "x", "--add-column", "users.age:int"]).code, 2, "rows would have nothing in it");
    project.end();
}

/// A chain of three migrations, the first two of which are squashed, on a database that has the given ones
/// before.
fn squashed(before: Option<usize>) -> Project {
    let project = Project::new();
    project.migration(
        1,
        "first",
        "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (7);\n",
        "DROP TABLE a;\n",
    );
    project.migration(
        2,
        "second",
        "CREATE TABLE b (id serial);\nALTER TABLE a ADD COLUMN x text;\n",
        "ALTER TABLE a DROP COLUMN x;\nDROP TABLE b;\n",
    );
    project.migration(3, "third", "ALTER TABLE b ADD COLUMN y int;\n", "ALTER TABLE b DROP COLUMN y;\n");
    if let Some(count) = before {
        project.run(&["migrate", "-n", &count.to_string()]).ok();
    }
    project.run(&["squash", "--to", "20250101000002"]).ok();
    assert_eq!(files(&project).len(), 4, "{:?}", files(&project));
    project
}

#[test]
fn environments_with_a_squashed_beginning_and_new_ones_end_in_the_same_place() {
    let (old, new) = (squashed(Some(2)), squashed(None));
    for project in [&old, &new] {
        let status = project.run(&["status", "--format", "json"]).ok();
        assert_eq!(status.json()["problems"].as_array().unwrap().len(), 0, "{status:?}");
        project.run(&["migrate"]).ok();
        project.run(&["verify", "--all"]).ok();
        assert_eq!(project.query("SELECT id::text FROM a"), ["7"]);
    }
    let same = new.run_bare(&["diff", &old.url(), &new.url()]);
    assert_eq!(same.code, 0, "{same:?}");
    // The old database rolls back step by step, as it was migrated; the new one in one step.
    old.run(&["rollback", "-n", "2"]).ok();
    assert_eq!(old.query("SELECT relname FROM pg_class WHERE relname IN ('a', 'b')"), ["a"]);
    let half = old.run(&["migrate"]);
    assert_eq!(half.code, 3, "{half:?}");
    says(&half, "has only some of the migrations that 20250101000002 replaces");
    new.run(&["rollback", "-n", "2"]).ok();
    assert_eq!(new.query("SELECT relname FROM pg_class WHERE relname IN ('a', 'b')"), Vec::<String>::new());
    new.run(&["migrate"]).ok();
    old.end();
    new.end();
}

#[test]
fn an_environment_with_a_part_of_what_was_squashed_is_told_to_catch_up() {
    let half = squashed(Some(1));
    let said = half.run(&["migrate"]);
    assert_eq!(said.code, 3, "{said:?}");
    says(&said, "it is at 20250101000001");
    half.end();
}

#[test]
fn the_folder_of_migrations_can_be_the_present_one() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    let folder = project.path().join("migrations");
    for migrations in [".".as_ref(), folder.as_os_str()] {
        let mut command = project.command(&["derive", "20250101000001", "--dry-run", "--migrations"]);
        let derived = said(command.arg(migrations).current_dir(&folder).output().unwrap()).ok();
        assert!(derived.out.contains("DROP TABLE public.a;"), "{derived:?}");
    }
    project.end();
}
