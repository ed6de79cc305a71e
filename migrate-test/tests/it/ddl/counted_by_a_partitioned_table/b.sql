-- A partition counts with its parent from PostgreSQL 17 on, and cannot be a part of one that counts before.
DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL) PARTITION BY RANGE (day);
        CREATE TABLE logs_2025 (day date NOT NULL, id bigint NOT NULL);
        ALTER TABLE logs ATTACH PARTITION logs_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        CREATE TABLE logs_2026 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    ELSE
        CREATE TABLE logs (id bigint NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
    END IF;
END $$;
