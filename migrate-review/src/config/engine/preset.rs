//! The tools whose commands Roundtrip knows.

/// How a known tool is driven.
#[derive(Debug, PartialEq, Eq)]
pub struct EnginePreset {
    /// The name of the tool, as for its ledger.
    pub tool: &'static str,
    /// The word in a command that calls it.
    program: &'static str,
    /// How the keys of the chain are found, the oldest first.
    pub listing: ChainListing,
    /// The command that applies one migration.
    pub up: &'static str,
    /// The command that rolls one migration back.
    pub down: &'static str,
    /// Whether `up` also applies everything that comes before the migration, in its app if keys have one.
    pub jumps: bool,
}

/// How the keys of a chain are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainListing {
    /// From the names of the files: all of a name, as in `20240101000000_users.js`.
    FileNames,
    /// From the digits at the start of the names of the files.
    FileVersions,
    /// From the names of the files without their endings.
    FileStems,
    /// From the output of `alembic history`.
    AlembicHistory,
    /// From the output of Django's `showmigrations --plan`.
    DjangoPlan,
    /// From the output of `yoyo list`.
    YoyoList,
    /// From the output of `liquibase status`.
    LiquibaseStatus,
}

/// A command of Liquibase on the database that the variables of libpq name. What the virtual machine is given wins over
/// `liquibase.properties`, and is not in the list of processes, as arguments are.
macro_rules! liquibase {
    ($command:literal) => {
        concat!(
            "JAVA_TOOL_OPTIONS=\"-Dliquibase.command.url=jdbc:postgresql://$PGHOST:$PGPORT/$PGDATABASE ",
            "-Dliquibase.command.username=$PGUSER -Dliquibase.command.password=$PGPASSWORD\" liquibase ",
            $command
        )
    };
}

impl ChainListing {
    /// The command whose output has the keys; `None` if they come from the files.
    pub fn command(self) -> Option<&'static str> {
        match self {
            Self::FileNames | Self::FileVersions | Self::FileStems => None,
            Self::AlembicHistory => Some("alembic history"),
            Self::DjangoPlan => Some("python manage.py showmigrations --plan --no-color"),
            Self::LiquibaseStatus => Some(liquibase!("status --verbose")),
            Self::YoyoList => Some("yoyo list --batch --no-config-file --database \"$DATABASE_URL\" {folder}"),
        }
    }
}

impl ChainListing {
    /// The command that prints what is applied, and nothing in an empty database, if the list does not say it.
    pub fn probe(self) -> Option<&'static str> {
        (self == Self::AlembicHistory).then_some("alembic current")
    }
}

/// The tools. In a command, `{revision}` is the key of the migration, `{previous}` that of the one before, `{target}`
/// what Alembic rolls back to, `{app}` and `{name}` the parts of a key of Django, `{file}` the file, and `{folder}` the
/// folder of the migrations.
const PRESETS: [EnginePreset; 9] = [
    EnginePreset {
        tool: "alembic",
        program: "alembic",
        listing: ChainListing::AlembicHistory,
        up: "alembic upgrade {revision}",
        down: "alembic downgrade {target}",
        jumps: true,
    },
    EnginePreset {
        tool: "django",
        program: "manage.py",
        listing: ChainListing::DjangoPlan,
        up: "python manage.py migrate --no-input --no-color {app} {name}",
        down: "python manage.py migrate --no-input --no-color {app} {previous}",
        jumps: true,
    },
    EnginePreset {
        tool: "yoyo",
        program: "yoyo",
        listing: ChainListing::YoyoList,
        up: "yoyo apply --batch --no-config-file --database \"$DATABASE_URL\" --revision {revision} {folder}",
        down: "yoyo rollback --batch --no-config-file --database \"$DATABASE_URL\" --revision {revision} {folder}",
        jumps: false,
    },
    EnginePreset {
        tool: "knex",
        program: "knex",
        listing: ChainListing::FileNames,
        up: "npx knex migrate:up {revision}",
        down: "npx knex migrate:down {revision}",
        jumps: false,
    },
    EnginePreset {
        tool: "sequelize",
        program: "sequelize-cli",
        listing: ChainListing::FileNames,
        up: "npx sequelize-cli db:migrate --to {revision}",
        down: "npx sequelize-cli db:migrate:undo --name {revision}",
        jumps: true,
    },
    EnginePreset {
        tool: "rails",
        program: "rails",
        listing: ChainListing::FileVersions,
        // Without the dump of the schema that each of them would write into the working tree.
        up: "SCHEMA=/dev/null DISABLE_SPRING=1 bin/rails db:migrate:up VERSION={revision}",
        down: "SCHEMA=/dev/null DISABLE_SPRING=1 bin/rails db:migrate:down VERSION={revision}",
        jumps: false,
    },
    EnginePreset {
        tool: "ecto",
        program: "ecto.migrate",
        listing: ChainListing::FileVersions,
        up: "mix ecto.migrate --to {revision}",
        down: "mix ecto.rollback --to {revision}",
        jumps: true,
    },
    EnginePreset {
        tool: "laravel",
        program: "artisan",
        listing: ChainListing::FileStems,
        up: "php artisan migrate --force --realpath --path={file}",
        down: "php artisan migrate:rollback --force --step=1 --realpath --path={file}",
        jumps: false,
    },
    EnginePreset {
        tool: "liquibase",
        program: "liquibase",
        listing: ChainListing::LiquibaseStatus,
        up: liquibase!("update-count --count=1"),
        down: liquibase!("rollback-count --count=1"),
        jumps: false,
    },
];

impl EnginePreset {
    /// The tool with this name.
    pub fn named(tool: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.tool == tool)
    }

    /// Whether packages bring migrations of their own.
    pub fn has_packages(&self) -> bool {
        self.listing == ChainListing::DjangoPlan
    }

    /// Whether the tool cannot use a Unix socket.
    pub fn needs_tcp(&self) -> bool {
        self.listing == ChainListing::LiquibaseStatus
    }

    /// The names of all tools that can be driven.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.tool)
    }

    /// The tool that a command calls. A folder that it goes to may have the name of a tool.
    pub(super) fn called_by(command: &str) -> Option<&'static Self> {
        let words: Vec<&str> = command.split(|char: char| char.is_whitespace() || "/;&|()'\"".contains(char)).collect();
        let is_called = |at: usize| at == 0 || words[at - 1] != "cd";
        let called = (0..words.len()).filter(|at| is_called(*at)).map(|at| words[at]);
        called.into_iter().find_map(|word| PRESETS.iter().find(|preset| preset.program == word))
    }
}

/// Why the commands of a tool cannot be driven as they are.
pub(super) fn cannot_step(tool: &str) -> Option<&'static str> {
    match tool {
        "typeorm" => Some("the command line of TypeORM cannot apply one migration at a time"),
        _ => None,
    }
}
