-- Removes the audit; the records stay. {…} stand for quoted names.
DROP EVENT TRIGGER IF EXISTS {on_command};
DROP EVENT TRIGGER IF EXISTS {on_drop};
DROP FUNCTION IF EXISTS {record}();
DO $mark$
BEGIN
    IF pg_catalog.to_regclass({table_name}) IS NOT NULL THEN
        INSERT INTO {table} (application, client, event, command)
        VALUES (pg_catalog.current_setting('application_name'), pg_catalog.host(pg_catalog.inet_client_addr()), 'uninstall', 'UNINSTALL');
    END IF;
END
$mark$;
