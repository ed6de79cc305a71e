-- What exists once for a server that others use as well, as the statements that remove it.
SELECT format('DROP ROLE IF EXISTS %I', r.rolname) FROM pg_roles r
WHERE r.oid >= 16384 AND r.rolname NOT LIKE 'roundtrip\_owner\_%'
UNION ALL SELECT format('DROP TABLESPACE IF EXISTS %I', t.spcname) FROM pg_tablespace t WHERE t.oid >= 16384
UNION ALL SELECT format('SELECT pg_catalog.pg_replication_origin_drop(%L)', o.roname) FROM pg_replication_origin o
WHERE o.roname !~ '^pg_[0-9]+(_[0-9]+)?$'
