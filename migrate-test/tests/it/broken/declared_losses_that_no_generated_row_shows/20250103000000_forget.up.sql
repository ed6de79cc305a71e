-- migrate: irreversible the law says that they must be gone
CREATE TABLE note (id integer);
DELETE FROM t WHERE created < '1950-01-01' AND id > 8000000000000000000;
