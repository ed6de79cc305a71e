-- How many replicas are connected, and how far the slowest one is behind: in bytes of WAL that it has not replayed, and
-- in seconds. The bytes are always correct. The seconds are the last measurement: they can stay unchanged while replay
-- stands still, so no seconds do not mean no lag. Without the privilege to see them both are NULL. A base backup
-- replays nothing and is not a replica. See
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW.
SELECT count(*),
       nullif(max(r.behind), CASE WHEN bool_or(r.behind IS NULL) THEN 0 END),
       nullif(max(CASE WHEN r.behind = 0 THEN 0 ELSE r.seconds END), CASE WHEN bool_or(r.behind IS DISTINCT FROM 0) THEN 0 END)
FROM (SELECT CASE WHEN s.replay_lsn IS NOT NULL THEN greatest(pg_catalog.pg_wal_lsn_diff({end}, s.replay_lsn), 0)::bigint END AS behind,
             pg_catalog.floor(extract(epoch FROM s.replay_lag))::bigint AS seconds
      FROM pg_catalog.pg_stat_replication s WHERE s.state IS DISTINCT FROM 'backup') r
