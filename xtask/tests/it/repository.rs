//! A project in a small git repository.

use std::process::Command;

use crate::support::Project;

/// A project in a git repository whose `main` has two migrations.
pub(crate) struct Repository(pub(crate) Project);

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self(Project::new());
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.0.write(".gitignore", "home\n");
        repository.0.migration(1, "shops", "CREATE TABLE shops (id bigint PRIMARY KEY);\n", "DROP TABLE shops;\n");
        repository.0.migration(
            2,
            "name",
            "ALTER TABLE shops ADD COLUMN name text;\n",
            "ALTER TABLE shops DROP COLUMN name;\n",
        );
        repository.commit("two migrations");
        repository
    }

    /// The same on a new branch.
    pub(crate) fn branched() -> Self {
        let repository = Self::new();
        repository.git(&["checkout", "--quiet", "-b", "topic"]);
        repository
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments)
            .current_dir(self.0.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Names the database of this test as an environment, and applies the migrations.
    pub(crate) fn staging(&self) {
        self.0.write("migrate.toml", "[environments.staging]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
        self.0.run_bare(&["migrate", "--env", "staging"]).ok();
    }

    pub(crate) fn path(&self, number: u64, name: &str) -> String {
        format!("migrations/{}_{name}", 20_250_101_000_000 + number)
    }
}
