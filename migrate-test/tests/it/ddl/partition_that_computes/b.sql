CREATE TABLE p (id integer, n integer) PARTITION BY RANGE (id);
-- From PostgreSQL 16 on a partition computes a column only where its parent does.
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer < 160000 THEN
        CREATE TABLE one (id integer, n integer GENERATED ALWAYS AS (1) STORED);
        ALTER TABLE p ATTACH PARTITION one FOR VALUES FROM (0) TO (10);
    END IF;
END $do$;
CREATE TABLE q (id integer, n integer GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
CREATE TABLE q1 (id integer, n integer GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE q ATTACH PARTITION q1 FOR VALUES FROM (0) TO (10);
