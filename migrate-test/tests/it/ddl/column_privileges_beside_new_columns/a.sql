CREATE TABLE t (a int, c text);
GRANT SELECT ON t TO pg_monitor;
GRANT UPDATE (c) ON t TO pg_read_all_data;
