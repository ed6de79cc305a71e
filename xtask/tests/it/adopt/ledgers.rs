//! The ledgers of other tools, as each tool creates its tables, with rows for the same two migrations. `{accounts}` and
//! `{cents}` stand for the texts of their files.

/// A tool, and the SQL that leaves its ledger.
pub(super) const LEDGERS: [(&str, &str); 37] = [
    (
        "sqlx",
        "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz \
         NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
         INSERT INTO _sqlx_migrations VALUES (20240101000000, 'accounts', now(), true, sha384('{accounts}'), 1), \
         (20240201000000, 'cents', now(), true, sha384('{cents}'), 1);",
    ),
    (
        "diesel",
        "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT \
         CURRENT_TIMESTAMP);
         INSERT INTO __diesel_schema_migrations VALUES ('20240101000000'), ('20240201000000');",
    ),
    (
        "refinery",
        "CREATE TABLE refinery_schema_history (version bigint PRIMARY KEY, name varchar(255), applied_on varchar(255), \
         checksum varchar(255));
         INSERT INTO refinery_schema_history VALUES (20240101000000, 'accounts', '2024-01-01T00:00:00Z', NULL), \
         (20240201000000, 'cents', '2024-02-01T00:00:00Z', NULL);",
    ),
    (
        "sea-orm",
        "CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL);
         INSERT INTO seaql_migrations VALUES ('m20240101_000000_accounts', 1), ('m20240201_000000_cents', 2);",
    ),
    (
        "flyway",
        "CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description \
         varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by \
         varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success \
         boolean NOT NULL);
         CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
         INSERT INTO flyway_schema_history VALUES (1, '20240101000000', 'accounts', 'SQL', 'a', NULL, 'ann', now(), 1, \
         true), (2, '20240201000000', 'cents', 'SQL', 'b', NULL, 'ann', now(), 1, true);",
    ),
    (
        "knex",
        "CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch int, migration_time timestamptz);
         CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked int);
         INSERT INTO knex_migrations_lock (is_locked) VALUES (0);
         INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('20240101000000_accounts.js', 1, now()), \
         ('20240201000000_cents.js', 1, now());",
    ),
    (
        "node-pg-migrate",
        "CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
         INSERT INTO pgmigrations (name, run_on) VALUES ('20240101000000_accounts', now()), ('20240201000000_cents', \
         now());",
    ),
    (
        "prisma",
        "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at \
         timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, started_at \
         timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0);
         INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('1', \
         encode(sha256('{accounts}'), 'hex'), now(), '20240101000000_accounts'), ('2', encode(sha256('{cents}'), \
         'hex'), now(), '20240201000000_cents');",
    ),
    (
        "typeorm",
        "CREATE TABLE migrations (id serial PRIMARY KEY, \"timestamp\" bigint NOT NULL, name varchar NOT NULL);
         INSERT INTO migrations (\"timestamp\", name) VALUES (20240101000000, 'Accounts'), (20240201000000, 'Cents');",
    ),
    (
        "laravel",
        "CREATE TABLE migrations (id serial PRIMARY KEY, migration varchar(255) NOT NULL, batch int NOT NULL);
         INSERT INTO migrations (migration, batch) VALUES ('2024_01_01_000000_accounts', 1), \
         ('2024_02_01_000000_cents', 1);",
    ),
    (
        "sequelize",
        "CREATE TABLE \"SequelizeMeta\" (name varchar(255) PRIMARY KEY);
         INSERT INTO \"SequelizeMeta\" VALUES ('20240101000000-accounts.js'), ('20240201000000-cents.js');",
    ),
    (
        "graphile-migrate",
        "CREATE SCHEMA graphile_migrate;
         CREATE TABLE graphile_migrate.migrations (hash text PRIMARY KEY, previous_hash text REFERENCES \
         graphile_migrate.migrations, filename text NOT NULL, date timestamptz NOT NULL DEFAULT now());
         CREATE TABLE graphile_migrate.current (filename text PRIMARY KEY DEFAULT 'current.sql', content text NOT NULL, \
         date timestamptz NOT NULL DEFAULT now());
         INSERT INTO graphile_migrate.migrations VALUES ('sha1:1', NULL, '20240101000000_accounts.sql'), ('sha1:2', \
         'sha1:1', '20240201000000_cents.sql');",
    ),
    (
        "supabase",
        "CREATE SCHEMA supabase_migrations;
         CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
         INSERT INTO supabase_migrations.schema_migrations VALUES ('20240101000000', '{}', 'accounts'), \
         ('20240201000000', '{}', 'cents');",
    ),
    (
        "yoyo",
        "CREATE TABLE _yoyo_migration (migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), \
         applied_at_utc timestamp);
         CREATE TABLE _yoyo_log (id varchar(36) PRIMARY KEY, migration_hash varchar(64), migration_id varchar(255), \
         operation varchar(10), username varchar(255), hostname varchar(255), comment varchar(255), created_at_utc \
         timestamp);
         CREATE TABLE _yoyo_version (version int PRIMARY KEY, installed_at_utc timestamp);
         CREATE TABLE yoyo_lock (locked int DEFAULT 1 PRIMARY KEY, ctime timestamp, pid int NOT NULL);
         INSERT INTO _yoyo_migration VALUES ('a', '20240101000000_accounts', now()), ('b', '20240201000000_cents', \
         now() + interval '1s');",
    ),
    (
        "sqitch",
        "CREATE SCHEMA sqitch;
         CREATE TABLE sqitch.projects (project text PRIMARY KEY);
         CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text, change text NOT NULL, project text \
         NOT NULL REFERENCES sqitch.projects, note text NOT NULL, committed_at timestamptz NOT NULL, committer_name \
         text NOT NULL, committer_email text NOT NULL, planned_at timestamptz NOT NULL, planner_name text NOT NULL, \
         planner_email text NOT NULL);
         INSERT INTO sqitch.projects VALUES ('shop');
         INSERT INTO sqitch.changes VALUES ('a', 'x', '20240101000000_accounts', 'shop', '', now(), 'ann', '', \
         '2024-01-01 00:00:00Z', 'ann', ''), ('b', 'y', '20240201000000_cents', 'shop', '', now() + interval '1s', 'ann', '', \
         '2024-02-01 00:00:00Z', 'ann', '');",
    ),
    (
        "atlas",
        "CREATE SCHEMA atlas_schema_revisions;
         CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (version varchar PRIMARY KEY, description varchar \
         NOT NULL, type bigint NOT NULL DEFAULT 2, applied bigint NOT NULL DEFAULT 0, total bigint NOT NULL DEFAULT 0, \
         executed_at timestamptz NOT NULL, execution_time bigint NOT NULL, error text, error_stmt text, hash varchar \
         NOT NULL, partial_hashes jsonb, operator_version varchar NOT NULL);
         INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('.atlas_cloud_identifier', 'x', 0, 0, 0, \
         now(), 0, '', '', '', 'null', ''), ('20240101000000', 'accounts', 2, 1, 1, now(), 1, '', '', 'h', 'null', \
         ''), ('20240201000000', 'cents', 2, 1, 1, now(), 1, '', '', 'h', 'null', '');",
    ),
    (
        "pgroll",
        "CREATE SCHEMA pgroll;
         CREATE TABLE pgroll.migrations (schema name NOT NULL, name text NOT NULL, migration jsonb NOT NULL, created_at \
         timestamp DEFAULT now(), updated_at timestamp DEFAULT now(), parent text, done boolean NOT NULL DEFAULT \
         false, PRIMARY KEY (schema, name));
         CREATE FUNCTION pgroll.latest_version(schemaname name) RETURNS text LANGUAGE sql STABLE AS 'SELECT 1::text';
         INSERT INTO pgroll.migrations VALUES ('public', '20240101000000_accounts', '{}', now(), now(), NULL, true), \
         ('public', '20240201000000_cents', '{}', now() + interval '1s', now(), '20240101000000_accounts', true);",
    ),
    (
        "entity-framework",
        "CREATE TABLE \"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" \
         varchar(32) NOT NULL);
         INSERT INTO \"__EFMigrationsHistory\" VALUES ('20240101000000_Accounts', '8.0.0'), ('20240201000000_Cents', \
         '8.0.0');",
    ),
    (
        "goose",
        "CREATE TABLE goose_db_version (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT \
         NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
         INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (20240101000000, true), \
         (20240201000000, true), (20240201000000, false), (20240201000000, true), (20240301000000, true), \
         (20240301000000, false);",
    ),
    (
        "sql-migrate",
        "CREATE TABLE gorp_migrations (id text PRIMARY KEY, applied_at timestamptz);
         INSERT INTO gorp_migrations VALUES ('20240101000000_accounts.sql', now()), ('20240201000000_cents.sql', now());",
    ),
    (
        "golang-migrate",
        "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
         INSERT INTO schema_migrations VALUES (20240201000000, false);",
    ),
    (
        "ecto",
        "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0));
         INSERT INTO schema_migrations VALUES (20240101000000, now()), (20240201000000, now());",
    ),
    (
        "rails",
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
         CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar, created_at timestamp(6) NOT NULL, \
         updated_at timestamp(6) NOT NULL);
         INSERT INTO schema_migrations VALUES ('20240101000000'), ('20240201000000');",
    ),
    (
        "dbmate",
        "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);
         INSERT INTO schema_migrations VALUES ('20240101000000'), ('20240201000000');",
    ),
    (
        "tern",
        "CREATE TABLE schema_version (version int4 NOT NULL);
         INSERT INTO schema_version VALUES (2);",
    ),
    (
        "postgrator",
        "CREATE TABLE schemaversion (version bigint PRIMARY KEY, name text, md5 text, run_at timestamptz);
         INSERT INTO schemaversion VALUES (0, NULL, NULL, now()), (20240101000000, 'accounts', 'x', now()), \
         (20240201000000, 'cents', 'y', now());",
    ),
    (
        "liquibase",
        "CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) \
         NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL, exectype varchar(10) NOT NULL, md5sum \
         varchar(35), description varchar(255), comments varchar(255), tag varchar(255), liquibase varchar(20), \
         contexts varchar(255), labels varchar(255), deployment_id varchar(10));
         CREATE TABLE databasechangeloglock (id int PRIMARY KEY, locked boolean NOT NULL, lockgranted timestamp, \
         lockedby varchar(255));
         INSERT INTO databasechangeloglock VALUES (1, false);
         INSERT INTO databasechangelog VALUES ('1', 'ann', 'a.xml', now(), 1, 'EXECUTED', '9:x', 'createTable'), ('2', \
         'ann', 'a.xml', now(), 2, 'EXECUTED', '9:y', 'sql');",
    ),
    (
        "django",
        "CREATE TABLE django_migrations (id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, app varchar(255) NOT \
         NULL, name varchar(255) NOT NULL, applied timestamptz NOT NULL);
         INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0001_initial', now()), ('shop', \
         '0002_cents', now());",
    ),
    (
        "alembic",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY \
         (version_num));
         INSERT INTO alembic_version VALUES ('1975ea83b712');",
    ),
    (
        "drizzle",
        "CREATE SCHEMA drizzle;
         CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
         INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('a', 1704067200000), ('b', 1706745600000);",
    ),
    (
        // Flyway before 5.
        "flyway",
        "CREATE TABLE schema_version (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT \
         NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT \
         NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);
         INSERT INTO schema_version VALUES (1, '20240101000000', '<< Flyway Baseline >>', 'BASELINE', 'b', NULL, 'ann', \
         now(), 0, true), (2, '20240201000000', 'cents', 'SQL', 'b', NULL, 'ann', now(), 1, true);",
    ),
    (
        "entity-framework-snake-case",
        "CREATE TABLE \"__EFMigrationsHistory\" (migration_id varchar(150) PRIMARY KEY, product_version varchar(32) NOT \
         NULL);
         INSERT INTO \"__EFMigrationsHistory\" VALUES ('20240101000000_Accounts', '8.0.0'), ('20240201000000_Cents', \
         '8.0.0');",
    ),
    (
        "kysely",
        "CREATE TABLE kysely_migration (name varchar(255) PRIMARY KEY, timestamp varchar(255) NOT NULL);
         CREATE TABLE kysely_migration_lock (id varchar(255) PRIMARY KEY, is_locked int NOT NULL DEFAULT 0);
         INSERT INTO kysely_migration_lock VALUES ('migration_lock');
         INSERT INTO kysely_migration VALUES ('20240101000000_accounts', '2024-01-01T00:00:00Z'), \
         ('20240201000000_cents', '2024-02-01T00:00:00Z');",
    ),
    (
        "mikro-orm",
        "CREATE TABLE mikro_orm_migrations (id serial PRIMARY KEY, name varchar(255), executed_at timestamptz DEFAULT \
         now());
         INSERT INTO mikro_orm_migrations (name) VALUES ('20240101000000_accounts'), ('20240201000000_cents');",
    ),
    (
        "db-migrate",
        "CREATE TABLE migrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
         INSERT INTO migrations (name, run_on) VALUES ('/20240101000000-accounts', now()), ('/20240201000000-cents', \
         now());",
    ),
    (
        "doctrine",
        "CREATE TABLE doctrine_migration_versions (version varchar(191) PRIMARY KEY, executed_at timestamp, \
         execution_time int);
         INSERT INTO doctrine_migration_versions VALUES ('DoctrineMigrations\\Version20240101000000', now(), 1);",
    ),
    (
        "phinx",
        "CREATE TABLE phinxlog (version bigint PRIMARY KEY, migration_name varchar(100), start_time timestamp, end_time \
         timestamp, breakpoint boolean NOT NULL DEFAULT false);
         INSERT INTO phinxlog VALUES (20240101000000, 'Accounts', now(), now()), (20240201000000, 'Cents', now(), now());",
    ),
];
