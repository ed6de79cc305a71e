//! The real tools, where they are installed: `ROUNDTRIP_TEST_TOOLS` names the folder of their programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use migrate_core::Database;

use super::captured;
use crate::support::{ProgramOutput, Project, said};

/// A tool that is installed, in a project of its own.
struct Installed {
    project: Project,
    path: String,
}

impl Installed {
    /// `None` if the tool is not installed here. Where the folder of the tools is given, it has to be.
    fn find(program: &str) -> Option<Self> {
        let given = std::env::var("ROUNDTRIP_TEST_TOOLS").unwrap_or_default();
        let path = format!("{given}:{}", std::env::var("PATH").unwrap());
        let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        assert!(is_there || given.is_empty(), "{program} is not in {given}");
        if !is_there {
            eprintln!("NOT TESTED: {program} is not installed");
            return None;
        }
        Some(Self { project: Project::new(), path })
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.project.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn xtask(&self, arguments: &[&str]) -> ProgramOutput {
        said(self.project.command(arguments).env("PATH", &self.path).output().unwrap())
    }

    /// Runs the tool itself on the database of the test.
    fn tool(&self, line: &str) {
        self.tool_on(&self.project, line);
    }

    /// The same on the database of another test.
    fn tool_on(&self, project: &Project, line: &str) {
        let database = Database::from(project.database.options());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).current_dir(self.project.path()).env("PATH", &self.path);
        let output = shell.envs(database.variables()).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

/// What every tool goes through. `broken` is the number of the migration whose rollback is wrong, and `up` is the
/// command that applies all of them.
fn goes_through(tool: &Installed, name: &str, count: usize, broken: &str, up: &str) {
    let proven = tool.xtask(&["verify", "--all", "--format", "json"]);
    assert_eq!(proven.code, 3, "{proven:?}");
    for one in proven.json()["migrations"].as_array().unwrap() {
        let holds = one["holds"].as_bool().unwrap();
        let title = format!("{}_{}", one["version"].as_str().unwrap(), one["name"].as_str().unwrap());
        assert_eq!(holds, !title.contains(broken), "{one:#}");
    }
    let output = tool.xtask(&["adopt", "--capture", "sql"]).ok();
    assert!(
        output.out.contains(&format!("captured {count} migrations of {name}, proven to make the same")),
        "{output:?}"
    );
    assert!(output.out.contains("computes rows in code") && output.out.contains("down derived"), "{output:?}");
    assert!(captured(&tool.project).values().any(|text| text.contains("-- NOT COMPLETE")), "{name}");
    // The database that the tool made is taken over, and the tool still works.
    tool.tool(up);
    let rest = ["--migrations", "sql", "--database", "env:TEST_DATABASE_URL", "--env", "development"];
    tool.write("migrate.toml", "migrations = \"sql\"\n");
    let run = |arguments: &[&str]| tool.xtask(&[arguments, &rest].concat());
    let looked = run(&["migrate"]);
    assert!(looked.code == 3 && looked.err.contains("other-ledger"), "{looked:?}");
    run(&["adopt", "--yes"]).ok();
    assert!(run(&["migrate"]).ok().out.contains("nothing to do"), "{name}");
    assert!(run(&["drift"]).ok().out.contains("no drift"), "{name}");
    run(&["verify", "--all"]).ok();
    tool.tool(up);
    tool.write("sql/20300101000000_more.up.sql", "CREATE TABLE more (a int);");
    tool.write("sql/20300101000000_more.down.sql", "DROP TABLE more;");
    run(&["migrate"]).ok();
    run(&["rollback"]).ok();
}

/// A tool whose settings do not read the address of the shadow database: nothing is run in the other one.
fn uses_another_database(tool: &Installed, settings: &str, up: &str, ledger: &str) {
    let text = fs::read_to_string(tool.project.path().join(settings)).unwrap();
    let other = Project::new();
    tool.tool_on(&other, up);
    let rows = || other.query(&format!("SELECT l::text FROM {ledger} l ORDER BY 1"));
    let before = rows();
    let variables = Database::from(other.database.options()).variables();
    let elsewhere = variables.iter().find(|(name, _)| *name == "DATABASE_URL").map(|(_, url)| format!("'{url}'"));
    tool.write(settings, &text.replace("os.environ['DATABASE_URL']", &elsewhere.unwrap()));
    let refused = tool.xtask(&["verify", "--all"]);
    assert!(refused.code != 0 && refused.err.contains("error[engine-step]"), "{refused:?}");
    assert!(refused.err.contains("nothing was run: it uses another database"), "{refused:?}");
    assert_eq!(rows(), before);
    tool.write(settings, &text);
    other.end();
}

#[test]
fn alembic() {
    let Some(tool) = Installed::find("alembic") else { return };
    tool.write(
        "alembic.ini",
        "[alembic]\nscript_location = alembic\n[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n\
         [logger_root]\nlevel = WARN\nhandlers =\n",
    );
    tool.write(
        "alembic/env.py",
        "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine\n\
         url = os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+psycopg2:')\n\
         with create_engine(url).connect() as connection:\n    \
         context.configure(connection=connection)\n    with context.begin_transaction():\n        context.run_migrations()\n",
    );
    let head = "from alembic import op\nimport sqlalchemy as sa\n";
    let file = |name: &str, before: &str, up: &str, down: &str| {
        let (id, _) = name.split_once('_').unwrap();
        let text = format!(
            "{head}revision = '{id}'\ndown_revision = {before}\ndef upgrade():\n{up}\ndef downgrade():\n{down}\n"
        );
        tool.write(&format!("alembic/versions/{name}.py"), &text);
    };
    file(
        "1975ea83b712_accounts",
        "None",
        "    op.create_table('accounts', sa.Column('id', sa.Integer, primary_key=True), sa.Column('total', sa.Numeric(8, 2)))",
        "    op.drop_table('accounts')",
    );
    file(
        "27c6a30d7c24_cents",
        "'1975ea83b712'",
        "    op.add_column('accounts', sa.Column('cents', sa.BigInteger))\n    c = op.get_bind()\n    \
         for row in c.execute(sa.text('SELECT id, total FROM accounts WHERE total IS NOT NULL')).all():\n        \
         c.execute(sa.text('UPDATE accounts SET cents = :c WHERE id = :i'), {'c': int(row.total * 100), 'i': row.id})",
        "    op.drop_column('accounts', 'cents')",
    );
    file(
        "19ab3cd45ef6_wrong",
        "'27c6a30d7c24'",
        "    op.add_column('accounts', sa.Column('a', sa.Text))\n    op.create_index('by_cents', 'accounts', ['cents'])",
        "    op.drop_column('accounts', 'a')",
    );
    tool.write("migrate.toml", "engine = \"alembic\"\nmigrations = \"alembic/versions\"\n");
    uses_another_database(&tool, "alembic/env.py", "alembic upgrade head", "alembic_version");
    goes_through(&tool, "alembic", 3, "19ab3cd45ef6", "alembic upgrade head");
    tool.project.end();
}

#[test]
fn django() {
    let Some(tool) = Installed::find("django-admin") else { return };
    tool.write(
        "manage.py",
        "import os\nfrom urllib.parse import urlparse, parse_qs\nimport django.conf\n\
         u = urlparse(os.environ['DATABASE_URL'])\nq = {k: v[0] for k, v in parse_qs(u.query).items()}\n\
         django.conf.settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth', 'shop'],\n    \
         USE_TZ=True, DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',\n    \
         DATABASES={'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': u.path[1:], 'USER': q.get('user') or u.username,\n    \
         'PASSWORD': u.password or '', 'HOST': q.get('host') or u.hostname, 'PORT': q.get('port') or u.port}})\n\
         from django.core.management import execute_from_command_line\nimport sys\nexecute_from_command_line(sys.argv)\n",
    );
    tool.write("shop/__init__.py", "");
    tool.write("shop/migrations/__init__.py", "");
    let file = |name: &str, body: &str| {
        let head = "from django.db import migrations, models\n";
        tool.write(&format!("shop/migrations/{name}.py"), &format!("{head}{body}"));
    };
    file(
        "0001_initial",
        "class Migration(migrations.Migration):\n    initial = True\n    dependencies = [('auth', '0001_initial')]\n    \
         operations = [migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), \
         ('total', models.DecimalField(max_digits=8, decimal_places=2))])]\n",
    );
    file(
        "0002_cents",
        "def fill(apps, editor):\n    for one in apps.get_model('shop', 'Order').objects.all():\n        \
         one.cents = int(one.total * 100)\n        one.save()\nclass Migration(migrations.Migration):\n    \
         dependencies = [('shop', '0001_initial')]\n    operations = [migrations.AddField('Order', 'cents', \
         models.BigIntegerField(null=True)), migrations.RunPython(fill, migrations.RunPython.noop)]\n",
    );
    file(
        "0003_wrong",
        "class Migration(migrations.Migration):\n    dependencies = [('shop', '0002_cents')]\n    operations = [\
         migrations.RunSQL('CREATE INDEX by_cents ON shop_order (cents)', migrations.RunSQL.noop)]\n",
    );
    tool.write("migrate.toml", "engine = \"django\"\n");
    uses_another_database(&tool, "manage.py", "python manage.py migrate --no-input", "django_migrations");
    // A project without a folder of this name has packages too.
    let _ = fs::remove_dir(tool.project.path().join("migrations"));
    let listed = tool.xtask(&["verify", "--all", "-v"]);
    assert!(listed.err.contains("of packages, without a file in this project"), "{listed:?}");
    let count = 3 + 2 + 12;
    goes_through(&tool, "django", count, "0003_wrong", "python manage.py migrate --no-input");
    tool.project.end();
}

#[test]
fn yoyo() {
    let Some(tool) = Installed::find("yoyo") else { return };
    tool.write(
        "m/0001.accounts.py",
        "from yoyo import step\nsteps = [step('CREATE TABLE accounts (id serial PRIMARY KEY, name text)', 'DROP TABLE accounts')]\n",
    );
    tool.write("m/0002.mail.sql", "-- depends: 0001.accounts\nALTER TABLE accounts ADD mail text;\n");
    tool.write("m/0002.mail.rollback.sql", "ALTER TABLE accounts DROP mail;\n");
    tool.write(
        "m/0003.fill.py",
        "from yoyo import step\n__depends__ = {'0002.mail'}\n# migrate: lossy the mails are computed\ndef up(conn):\n    \
         c = conn.cursor()\n    c.execute('SELECT id, name FROM accounts')\n    for i, n in c.fetchall():\n        \
         c.execute('UPDATE accounts SET mail = %s WHERE id = %s', (str(n) + '@x', i))\n\
         def down(conn):\n    conn.cursor().execute('UPDATE accounts SET mail = NULL')\nsteps = [step(up, down)]\n",
    );
    tool.write(
        "m/0004.wrong.py",
        "from yoyo import step\n__depends__ = {'0003.fill'}\nsteps = [step('CREATE INDEX by_mail ON accounts (mail)')]\n",
    );
    tool.write("migrate.toml", "engine = \"yoyo\"\nmigrations = \"m\"\n");
    let up = "yoyo apply --batch --no-config-file --database \"$DATABASE_URL\" m";
    goes_through(&tool, "yoyo", 4, "0004", up);
    tool.project.end();
}

/// The command that a preset calls does what `rails` does, with the real ActiveRecord.
const RAILS: &str = r#"#!/usr/bin/env ruby
require "uri"
require "active_record"
u = URI.parse(ENV["DATABASE_URL"])
q = URI.decode_www_form(u.query || "").to_h
ActiveRecord::Base.establish_connection(adapter: "postgresql", database: u.path[1..], host: q["host"] || u.host,
  port: q["port"] || u.port, username: q["user"] || u.user, password: u.password)
ActiveRecord::Migration.verbose = false
arguments = ["db/migrate"]
arguments << ActiveRecord::SchemaMigration if ActiveRecord::VERSION::MAJOR < 7
context = ActiveRecord::MigrationContext.new(*arguments)
version = ENV["VERSION"].to_i
version = ARGV.grep(/^VERSION=/).map { |word| word[8..].to_i }.first || version
case ARGV[0]
when "db:migrate:up" then context.run(:up, version)
when "db:migrate:down" then context.run(:down, version)
when "db:migrate" then context.migrate
else abort "unknown: #{ARGV}"
end
"#;

#[test]
fn rails() {
    let has = |feature: &str| {
        let ruby = Command::new("ruby").args(["-r", feature, "-e", "1"]).output();
        ruby.is_ok_and(|output| output.status.success())
    };
    if !has("active_record") || !has("pg") {
        assert!(std::env::var_os("ROUNDTRIP_TEST_TOOLS").is_none(), "ActiveRecord is not installed");
        eprintln!("NOT TESTED: ActiveRecord is not installed");
        return;
    }
    let tool = Installed { project: Project::new(), path: std::env::var("PATH").unwrap() };
    tool.write("bin/rails", RAILS);
    let script = tool.project.path().join("bin/rails");
    executable(&script);
    let file = |name: &str, class: &str, body: &str| {
        let text = format!("class {class} < ActiveRecord::Migration[6.1]\n{body}end\n");
        tool.write(&format!("db/migrate/{name}.rb"), &text);
    };
    file(
        "20240101000000_create_accounts",
        "CreateAccounts",
        "  def change\n    create_table :accounts do |t|\n      t.decimal :total, precision: 8, scale: 2\n      t.timestamps\n    end\n  end\n",
    );
    file(
        "20240201000000_cents",
        "Cents",
        "  class Account < ActiveRecord::Base\n  end\n  def up\n    add_column :accounts, :cents, :bigint\n    \
         Account.reset_column_information\n    Account.find_each { |a| a.update_columns(cents: ((a.total || 0) * 100).to_i) }\n  \
         end\n  def down\n    remove_column :accounts, :cents\n  end\n",
    );
    file(
        "20240301000000_wrong",
        "Wrong",
        "  def up\n    add_index :accounts, :cents, name: 'by_cents'\n  end\n  def down\n  end\n",
    );
    tool.write("migrate.toml", "engine = \"rails\"\nmigrations = \"db/migrate\"\n");
    goes_through(&tool, "rails", 3, "wrong", "bin/rails db:migrate");
    tool.project.end();
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
