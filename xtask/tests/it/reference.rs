//! The reference set of this repository: up, down with its data, and up again.

use crate::support::{Project, root};

#[test]
fn it_goes_up_is_seeded_goes_down_and_up_again() {
    let project = Project::new();
    let root = root();
    let (migrations, seed) = (root.join("migrations"), root.join("seeds/development.sql"));
    let folder = ["--migrations", migrations.to_str().unwrap()];
    let run = |arguments: &[&str]| project.run(&[arguments, &folder].concat()).ok();
    run(&["migrate"]);
    let tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'S') AND relnamespace = 'public'::regnamespace ORDER BY 1";
    let before = project.query(tables);
    assert!(
        ["orders", "shipments", "users", "product_overview"].iter().all(|name| before.contains(&(*name).to_owned()))
    );
    let seeded = |_: ()| {
        run(&["seed", seed.to_str().unwrap()]);
        project.query("SELECT concat_ws('|', u.*) FROM users u ORDER BY id")
    };
    let users = seeded(());
    assert_eq!(users.len(), 5);
    // Seeding again changes nothing: even the time of the last change stays as it is.
    assert_eq!(seeded(()), users);
    // Down to the point where the phone numbers got their type, and back: none of them is lost.
    let phones = "SELECT coalesce(phone, '-') FROM users ORDER BY id";
    let normal = project.query(phones);
    run(&["rollback", "--to", "20250324083000"]);
    run(&["migrate"]);
    assert_eq!(project.query(phones), normal);
    run(&["rollback", "--all"]);
    let left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace \
                UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(project.query(left), Vec::<String>::new());
    run(&["migrate"]);
    assert_eq!(project.query(tables), before);
    project.end();
}
