-- migrate: irreversible the law says that they must be gone
CREATE TABLE note (id integer);
DELETE FROM t WHERE id / 3 = 123456789;
