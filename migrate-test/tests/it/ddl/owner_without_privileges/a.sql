CREATE TABLE journal (id bigint);
CREATE VIEW pages AS SELECT 1 AS n;
