DECLARE
    deadline CONSTANT timestamptz := pg_catalog.clock_timestamp() + interval '{patience} milliseconds';
    key      bigint;
    holder   text;
BEGIN
    FOREACH key IN ARRAY ARRAY[{lock}, {work}] LOOP
        WHILE NOT pg_catalog.pg_try_advisory_lock(key) LOOP
            IF pg_catalog.clock_timestamp() > deadline THEN
                holder := (
                    SELECT pg_catalog.format('pid %s (%s, role %s, from %s, since %s)', a.pid, a.application_name, a.usename,
                               coalesce(pg_catalog.host(a.client_addr), 'this machine'), a.backend_start)
                    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
                    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_catalog.pg_backend_pid()
                      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
                      AND (l.classid::bigint << 32) | l.objid::bigint = key LIMIT 1);
                IF key = {work} THEN
                    PERFORM pg_catalog.pg_advisory_unlock({lock});
                END IF;
                RAISE EXCEPTION USING
                    MESSAGE = pg_catalog.format('another run holds the migration lock: %s', coalesce(holder, 'it has just ended')),
                    HINT = 'Nothing was run. Wait for it to end. If it is dead, SELECT pg_terminate_backend() with its pid.';
            END IF;
            -- An open transaction holds a snapshot, for which CREATE INDEX CONCURRENTLY would wait forever.
            COMMIT;
            PERFORM pg_catalog.pg_sleep(0.2);
        END LOOP;
    END LOOP;
END
