CREATE TABLE t (a int, b int, c text, d text);
GRANT SELECT (b) ON t TO pg_monitor;
GRANT UPDATE (c), SELECT (d) ON t TO pg_read_all_data;
