//! What the dry run says about several pending migrations, and what it assumes.

use migrate_base::db::ReadOnlySession;
use migrate_base::ident::plain;
use migrate_core::{CodeMigrations, Database};
use migrate_review::effect;
use migrate_review::locks::RowWork;
use migrate_test::TestDatabase;
use migrate_test::shape::ShadowDatabase;

use crate::locks::{ground, migration};

/// What one migration renames has its new name in the next, and the dry run follows; settings end with their
/// migration.
#[tokio::test]
async fn a_name_lasts_into_the_next_migration() {
    let (shadow, at, major) = ground().await;
    shadow.end().await.unwrap();
    let texts = [
        "ALTER TABLE other RENAME TO another;",
        "SET search_path TO second; ALTER TABLE public.another ALTER COLUMN a TYPE bigint;",
        "ALTER TABLE twin ALTER COLUMN v DROP NOT NULL;",
    ];
    let migrations = texts.map(migration);
    let scripts = migrations.iter().map(|one| &**one.up_script().unwrap());
    let locks = effect::locks(scripts, &at.schema, major);
    let shown =
        locks.iter().map(|all| all.iter().map(|one| format!("{} {:?}", one.table, one.work)).collect::<Vec<_>>());
    let expected = [["public.other Nothing"], ["public.other Rewrites"], ["public.twin Nothing"]];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

/// What one migration proves need not be proven in the next, and the dry run judges each on the schema that the
/// previous ones create.
#[tokio::test]
async fn a_migration_is_judged_on_the_schema_that_those_before_it_make() {
    let (shadow, at, major) = ground().await;
    shadow.end().await.unwrap();
    let works = |texts: &[&str]| {
        let migrations: Vec<_> = texts.iter().map(|text| migration(text)).collect();
        let scripts = migrations.iter().map(|one| &**one.up_script().unwrap());
        let all = effect::locks(scripts, &at.schema, major);
        all.iter().map(|all| all.iter().map(|one| one.work).max().unwrap()).collect::<Vec<_>>()
    };
    use RowWork::{Nothing, Reads, Rewrites};
    let add = "ALTER TABLE other ADD CONSTRAINT given CHECK (\"a\" is not null and a > 0) NOT VALID;";
    let validate = "ALTER TABLE other VALIDATE CONSTRAINT given;";
    let fill = "ALTER TABLE other ALTER COLUMN a SET NOT NULL;";
    assert_eq!(works(&[add, validate, fill]), [Nothing, Reads, Nothing]);
    assert_eq!(works(&[add, fill, validate]), [Nothing, Reads, Reads]);
    let back = format!("SAVEPOINT s; {validate} ROLLBACK TO s;");
    assert_eq!(works(&[add, &back, fill])[2], Reads);
    let drop = "ALTER TABLE other DROP CONSTRAINT given;";
    assert_eq!(works(&[add, validate, drop, fill])[3], Reads);
    assert_eq!(
        works(&[fill, "ALTER TABLE other ADD CHECK (a IS NOT NULL) NOT VALID;", fill]),
        [Reads, Nothing, Nothing]
    );
    let retype = |ty: &str| format!("ALTER TABLE picky ALTER COLUMN padded TYPE {ty};");
    assert_eq!(works(&[&retype("varchar(20)"), &retype("text")]), [Rewrites, Nothing]);
    assert_eq!(works(&[&retype("varchar(20)"), &retype("varchar(10)"), &retype("wide")])[1], Rewrites);
}

/// Our sessions are in UTC whatever a database sets: the table of time zones relies on it.
#[tokio::test]
async fn a_database_with_a_time_zone_of_its_own_changes_nothing() {
    let database = TestDatabase::create().await.unwrap();
    let address = Database::from(database.options());
    let mut shadow = ShadowDatabase::on(database, CodeMigrations::none()).await.unwrap();
    let (_, rows) = shadow.rehearsal().query("SELECT current_database()").await.unwrap();
    let name = rows[0][0].clone().unwrap();
    let set = format!("ALTER DATABASE {} SET timezone TO 'Europe/Berlin'", plain(&name));
    shadow.rehearsal().query(&set).await.unwrap();
    let mut reader = ReadOnlySession::open(&address).await.unwrap();
    let query = "SELECT current_setting('TimeZone'), s.setconfig::text FROM pg_db_role_setting s \
                 JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()";
    let told = reader.ask("see the time zone", query).await.unwrap();
    reader.close().await;
    shadow.end().await.unwrap();
    assert_eq!(told[0], [Some("UTC".to_owned()), Some("{TimeZone=Europe/Berlin}".to_owned())], "{told:?}");
}
