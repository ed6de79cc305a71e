-- The ledger of Roundtrip. Every event is a row; rows are never changed or removed. {ledger} and {refuse} stand for
-- quoted names. There are no CHECK constraints: the server would parse their expressions for every INSERT, which costs
-- a short migration a twentieth of its time; values are checked when rows are read.
CREATE TABLE {ledger} (
    id            bigint      NOT NULL PRIMARY KEY,
    event         text        NOT NULL,
    direction     text,
    version       text,
    name          text,
    statement     integer,
    up_checksum   text,
    down_checksum text,
    down_sql      text,
    note          text,
    fingerprint   text,
    batch         bigint      NOT NULL,
    sent_at       timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    at            timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    role          text        NOT NULL DEFAULT SESSION_USER,
    actor         text,
    host          text,
    application   text,
    git_commit    text,
    tool          text        NOT NULL
);

COMMENT ON TABLE {ledger} IS 'Every migration event of this database, oldest first; rows are only ever added (Roundtrip)';
COMMENT ON COLUMN {ledger}.id IS 'Position, without gaps; a runner writes the number after the last one it saw, so two can never both write';
COMMENT ON COLUMN {ledger}.event IS 'What happened: applied, rolled_back, baselined; started, progress, failed, resolved for migrations without a transaction; repeated for migrations without a version; observed for a schema fingerprint alone';
COMMENT ON COLUMN {ledger}.direction IS 'Which script it was about: up or down';
COMMENT ON COLUMN {ledger}.version IS 'Version of the migration, as in its file name';
COMMENT ON COLUMN {ledger}.name IS 'Name of the migration, as in its file name';
COMMENT ON COLUMN {ledger}.statement IS 'For progress and failed: the number of the statement in its script, from 1';
COMMENT ON COLUMN {ledger}.up_checksum IS 'Checksum of the up script, as algorithm:digest';
COMMENT ON COLUMN {ledger}.down_checksum IS 'Checksum of the down script, as algorithm:digest';
COMMENT ON COLUMN {ledger}.down_sql IS 'The down script itself, so that an older checkout can roll back what a newer one applied';
COMMENT ON COLUMN {ledger}.note IS 'Why: an error, a reason that was given, how something was resolved';
COMMENT ON COLUMN {ledger}.fingerprint IS 'Fingerprint of the whole schema after the event, as algorithm:digest';
COMMENT ON COLUMN {ledger}.batch IS 'The id of the first row that the same run wrote';
COMMENT ON COLUMN {ledger}.sent_at IS 'When the server received the message with this migration; it ran from then, or from the row before, until at';
COMMENT ON COLUMN {ledger}.at IS 'When the row was written, just before the commit';
COMMENT ON COLUMN {ledger}.role IS 'The database role that logged in';
COMMENT ON COLUMN {ledger}.actor IS 'The person or the CI user who ran it';
COMMENT ON COLUMN {ledger}.host IS 'The machine it was run from';
COMMENT ON COLUMN {ledger}.application IS 'The program that ran it';
COMMENT ON COLUMN {ledger}.git_commit IS 'The commit of the checkout it was run from; -dirty where files were changed';
COMMENT ON COLUMN {ledger}.tool IS 'Name and version of the runner';

CREATE FUNCTION {refuse}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $refuse$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % is not allowed', TG_OP
        USING HINT = 'Add a row that corrects an earlier one; `cargo xtask resolve` does it for you.';
END
$refuse$;
COMMENT ON FUNCTION {refuse}() IS 'Keeps the ledger append-only (Roundtrip)';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {ledger}
    FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
