-- The data that was copied before rollbacks removed it, and where it is stored. {registry} is a
-- quoted name.
CREATE TABLE {registry} (
    id          bigint      NOT NULL PRIMARY KEY,
    version     text        NOT NULL,
    name        text        NOT NULL,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    transaction xid8        NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    relation    text        NOT NULL,
    what        text        NOT NULL,
    store       text,
    rows        bigint      NOT NULL DEFAULT 0,
    shape       jsonb       NOT NULL,
    restored_at timestamptz,
    restored    bigint
);
COMMENT ON TABLE {registry} IS 'Data that rollbacks with --keep-data copied aside; `cargo xtask kept` lists, restores and purges it (Roundtrip)';
COMMENT ON COLUMN {registry}.version IS 'Version of the migration whose rollback took the data away';
COMMENT ON COLUMN {registry}.relation IS 'The table or sequence, as it was called before the rollback';
COMMENT ON COLUMN {registry}.what IS 'What the table lost: rows, values of columns; or that a sequence was here';
COMMENT ON COLUMN {registry}.store IS 'The table in this schema that holds the copy: the values, the key of each row, and a digest of what was left of it; values of types that are not built in are text';
COMMENT ON COLUMN {registry}.rows IS 'How many rows the copy has';
COMMENT ON COLUMN {registry}.shape IS 'The columns, the key and the identity of the table, for bringing the data back';
COMMENT ON COLUMN {registry}.restored IS 'How many of the rows were brought back'
