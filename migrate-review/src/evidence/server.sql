-- The server itself: its version, whether it only replays, its clock, the size of the database, and the invalid
-- indexes, which no query uses.
SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
       pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       pg_catalog.pg_database_size(pg_catalog.current_database()),
       (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), ', ' ORDER BY n.nspname, c.relname)
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i'),
       -- If there is no ledger yet, it will be created. Whether that is allowed turns out then.
       coalesce((SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = {schema} AND c.relname = {table}), true),
       pg_catalog.current_schema(),
       coalesce(pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE'), true),
       pg_catalog.current_setting('transaction_read_only') = 'on' AND pg_catalog.current_setting('default_transaction_read_only') = 'on'
