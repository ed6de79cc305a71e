-- Runs a command and returns the server's objection to it: the constraint, the column, the message.
-- Deferred constraints are checked immediately.
CREATE OR REPLACE FUNCTION pg_temp.roundtrip_try(command text) RETURNS text
LANGUAGE plpgsql AS $try$
DECLARE
    n bigint;
    con text;
    col text;
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE command;
    GET DIAGNOSTICS n = ROW_COUNT;
    SET CONSTRAINTS ALL IMMEDIATE;
    IF n = 0 AND command LIKE '%INSERT INTO%' THEN
        RETURN E'\x1f\x1fthe row was accepted, and not stored';
    END IF;
    RETURN '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS con = CONSTRAINT_NAME, col = COLUMN_NAME;
    RETURN con || E'\x1f' || col || E'\x1f' || SQLERRM;
END
$try$;
