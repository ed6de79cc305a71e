-- Replication slots that nobody reads, and how much WAL the server keeps for each of them. A slot that has lost the WAL
-- it needs keeps nothing any more.
SELECT s.slot_name, greatest(pg_catalog.pg_wal_lsn_diff({end}, s.restart_lsn), 0)::bigint
FROM pg_catalog.pg_replication_slots s
WHERE NOT s.active AND s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
ORDER BY 2 DESC, 1
