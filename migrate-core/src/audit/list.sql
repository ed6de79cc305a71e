-- The newest records of the audit, and the migration that each belongs to. A run of ours is
-- recognized by its ledger row, which the same transaction wrote; a migration without a transaction
-- by its program and role, between its start and its end.
WITH ours AS MATERIALIZED (
    SELECT DISTINCT ON (l.xmin::text) l.xmin::text::bigint AS transaction, l.role,
        CASE WHEN l.version LIKE 'R\_\_%' THEN l.version ELSE l.version || '_' || l.name END AS migration
    FROM {ledger} l
    WHERE l.version IS NOT NULL
    ORDER BY l.xmin::text, l.id DESC),
stepwise AS MATERIALIZED (
    SELECT s.role, s.application, s.at AS began, s.version || '_' || s.name AS migration,
        coalesce((
            SELECT pg_catalog.min(e.at) FROM {ledger} e
            WHERE e.id > s.id AND e.version = s.version
              AND e.event IN ('applied', 'rolled_back', 'resolved')), 'infinity') AS ended
    FROM {ledger} s
    WHERE s.event = 'started')
SELECT pg_catalog.to_char(d.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    d.transaction, d.session_role, d.set_role, d.application, d.client, d.event, d.command,
    d.object_type, d.object, d.statement,
    coalesce(o.migration, (
        SELECT s.migration FROM stepwise s
        WHERE s.role = d.session_role AND s.application = d.application
          AND d.at BETWEEN s.began AND s.ended
        LIMIT 1))
FROM (SELECT * FROM {table} d WHERE {conditions} ORDER BY d.id DESC {limit}) AS d
LEFT JOIN ours o ON o.transaction = d.transaction % 4294967296 AND o.role = d.session_role
ORDER BY d.id
