-- Records the DDL of a database, whoever runs it and however. {…} stand for quoted names. Nothing in here may interfere
-- with the recorded command: it does not wait for other sessions, and if it fails, it is silent.
CREATE TABLE IF NOT EXISTS {table} (
    -- No key: an insert would wait for another one with the same key.
    id           bigint      NOT NULL GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME {sequence}),
    at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    transaction  bigint      NOT NULL DEFAULT pg_catalog.pg_current_xact_id()::text::bigint,
    session_role text        NOT NULL DEFAULT SESSION_USER,
    set_role     text,
    application  text,
    client       text,
    pid          integer     NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    event        text        NOT NULL,
    command      text        NOT NULL,
    object_type  text,
    schema       text,
    object       text,
    statement    text
);

COMMENT ON TABLE {table} IS 'Every DDL command of this database while the recording is on, oldest first; rows are only ever added (Roundtrip)';
COMMENT ON COLUMN {table}.id IS 'Order of the rows; a transaction that was rolled back leaves a gap';
COMMENT ON COLUMN {table}.at IS 'When the command had run, before its transaction was committed';
COMMENT ON COLUMN {table}.transaction IS 'The transaction, as pg_current_xact_id() counts them; for one of our runs, xmin of its row in the ledger';
COMMENT ON COLUMN {table}.session_role IS 'The role that logged in';
COMMENT ON COLUMN {table}.set_role IS 'The role of SET ROLE, where there was one; a function that is SECURITY DEFINER does not show';
COMMENT ON COLUMN {table}.application IS 'application_name of the session';
COMMENT ON COLUMN {table}.client IS 'The address of the client; none for a local socket';
COMMENT ON COLUMN {table}.pid IS 'The server process of the session';
COMMENT ON COLUMN {table}.event IS 'ddl_command_end, sql_drop; install and uninstall for the recording itself';
COMMENT ON COLUMN {table}.command IS 'The command tag, such as ALTER TABLE';
COMMENT ON COLUMN {table}.object_type IS 'What kind of object; none for GRANT and REVOKE';
COMMENT ON COLUMN {table}.schema IS 'The schema of the object';
COMMENT ON COLUMN {table}.object IS 'The object with its schema, quoted where it needs it';
COMMENT ON COLUMN {table}.statement IS 'The message of the client, its first 4000 characters; none where it may hold a password';

CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $guard$
BEGIN
    RAISE EXCEPTION 'the record of DDL is append-only: % is not allowed', TG_OP;
END
$guard$;
COMMENT ON FUNCTION {guard}() IS 'Keeps the record of DDL append-only (Roundtrip)';

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {guard}();

CREATE OR REPLACE FUNCTION {record}() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $record$
DECLARE
    said text := left(current_query(), 4000);
    role text := NULLIF(current_setting('role'), 'none');
BEGIN
    -- Do not wait for a lock on the table: the command continues, and is not recorded.
    LOCK TABLE {table} IN ROW EXCLUSIVE MODE NOWAIT;
    -- A table that somebody substituted for ours may have a trigger, which would run with the privileges of our owner.
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = {table_name}::regclass AND relkind = 'r' AND pg_get_userbyid(relowner) = CURRENT_USER) THEN
        RETURN;
    END IF;
    IF said ~* 'password\s*(=|:)?\s*(e?''|\$)|password\s*=|://[^/\s]*:[^/\s]*@' THEN
        said := NULL;
    END IF;
    IF TG_EVENT = 'sql_drop' THEN
        INSERT INTO {table} (set_role, application, client, event, command, object_type, schema, object, statement)
        SELECT role, current_setting('application_name'), host(inet_client_addr()), TG_EVENT, TG_TAG,
               object_type, schema_name, object_identity, said
        FROM pg_event_trigger_dropped_objects() WHERE (original OR normal) AND NOT is_temporary;
    ELSE
        INSERT INTO {table} (set_role, application, client, event, command, object_type, schema, object, statement)
        SELECT role, current_setting('application_name'), host(inet_client_addr()), TG_EVENT, command_tag,
               object_type, schema_name, object_identity, said
        FROM pg_event_trigger_ddl_commands() WHERE NOT in_extension AND schema_name IS DISTINCT FROM 'pg_temp';
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE LOG 'roundtrip: a command is not on record in %: %', {table_name}, SQLERRM;
END
$record$;
COMMENT ON FUNCTION {record}() IS 'Records the DDL of this database, and lets it go on where that fails (Roundtrip)';
REVOKE ALL ON FUNCTION {record}() FROM PUBLIC;

-- The role that runs migrations needs it to find out who caused a conflict.
DO $grant$
BEGIN
    EXECUTE (SELECT format({grant}, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = {ledger_name}::regclass);
END
$grant$;
INSERT INTO {table} (application, client, event, command)
VALUES (pg_catalog.current_setting('application_name'), pg_catalog.host(pg_catalog.inet_client_addr()), 'install', 'INSTALL');

DROP EVENT TRIGGER IF EXISTS {on_command};
DROP EVENT TRIGGER IF EXISTS {on_drop};
CREATE EVENT TRIGGER {on_command} ON ddl_command_end EXECUTE FUNCTION {record}();
CREATE EVENT TRIGGER {on_drop} ON sql_drop EXECUTE FUNCTION {record}();
COMMENT ON EVENT TRIGGER {on_command} IS 'Records the DDL of this database (Roundtrip)';
COMMENT ON EVENT TRIGGER {on_drop} IS 'Records the DDL of this database (Roundtrip)';
