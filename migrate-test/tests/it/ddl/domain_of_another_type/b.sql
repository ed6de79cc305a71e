CREATE DOMAIN price AS bigint NOT NULL CHECK (VALUE > 0);
CREATE TABLE t (p price, list price[]);
CREATE VIEW v AS SELECT p FROM t;
