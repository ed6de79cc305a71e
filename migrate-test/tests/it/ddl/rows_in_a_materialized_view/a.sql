CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE t (id integer, n integer);
CREATE TABLE other (id integer);
CREATE MATERIALIZED VIEW rows_of AS SELECT r, r.id FROM t r;
CREATE INDEX rows_of_id ON rows_of (id);
CREATE VIEW above AS SELECT id FROM rows_of;
CREATE MATERIALIZED VIEW others AS SELECT array_agg(o) AS all_of FROM other o;
CREATE TABLE logged (id integer);
CREATE MATERIALIZED VIEW of_logged AS SELECT l FROM logged l;
