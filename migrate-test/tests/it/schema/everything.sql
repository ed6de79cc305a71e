-- At least one object of every kind, for schema.rs: each case of changes.txt changes one thing.
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'All of it';
CREATE EXTENSION citext SCHEMA public;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE TYPE shop.point3 AS (x integer, y integer);
CREATE TYPE shop.span AS RANGE (subtype = numeric);
CREATE DOMAIN shop.email AS text NOT NULL DEFAULT 'a@b' CONSTRAINT has_at CHECK (VALUE ~ '@');
CREATE COLLATION shop.german (locale = 'C');
CREATE SEQUENCE shop.numbers AS integer START 10;

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.at := now();
    RETURN NEW;
END
$$;
CREATE FUNCTION shop.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN n * 2;
CREATE PROCEDURE shop.tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE OPERATOR shop.<+> (leftarg = integer, rightarg = integer, function = int4lt);
CREATE OPERATOR FAMILY shop.family USING btree;
CREATE OPERATOR CLASS shop.class FOR TYPE integer USING btree FAMILY shop.family AS OPERATOR 1 <, FUNCTION 1 btint4cmp(integer, integer);
CREATE FUNCTION shop.rank(s shop.state) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE CAST (shop.state AS integer) WITH FUNCTION shop.rank(shop.state);
CREATE CONVERSION shop.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY shop.dict (template = simple);
CREATE TEXT SEARCH CONFIGURATION shop.conf (copy = pg_catalog.simple);

CREATE TABLE shop.users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL DEFAULT '',
    mail shop.email,
    at timestamptz,
    doubled integer GENERATED ALWAYS AS (2) STORED,
    CONSTRAINT name_not_blank CHECK (name <> ' ')
);
CREATE TABLE shop.orders (
    id uuid PRIMARY KEY,
    user_id bigint CONSTRAINT orders_user REFERENCES shop.users (id),
    state shop.state NOT NULL DEFAULT 'new',
    total numeric(10,2),
    during tstzrange,
    CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)
);
CREATE INDEX orders_state ON shop.orders (state);
CREATE UNIQUE INDEX orders_lower ON shop.users (lower(name)) WHERE name <> '';
CREATE STATISTICS shop.stats (dependencies) ON state, total FROM shop.orders;
CREATE TRIGGER touch BEFORE UPDATE ON shop.users FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE RULE nothing AS ON DELETE TO shop.orders DO INSTEAD NOTHING;
CREATE POLICY mine ON shop.orders FOR SELECT USING (total > 0);
COMMENT ON TABLE shop.users IS 'People';
COMMENT ON COLUMN shop.users.name IS 'As written';
COMMENT ON CONSTRAINT orders_user ON shop.orders IS 'Who';
COMMENT ON TYPE shop.point3 IS 'A place';
CREATE VIEW shop.names AS SELECT id, name FROM shop.users;
CREATE MATERIALIZED VIEW shop.totals AS SELECT user_id, sum(total) AS total FROM shop.orders GROUP BY user_id;
CREATE TABLE shop.log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.log_2025 PARTITION OF shop.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.base (a integer);
CREATE TABLE shop.derived (b integer) INHERITS (shop.base);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER far FOREIGN DATA WRAPPER wrapper OPTIONS (host 'a');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'secret');
CREATE FOREIGN TABLE shop.remote (a integer OPTIONS (name 'x')) SERVER far OPTIONS (file 'f');
CREATE FUNCTION shop.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE SERVER') EXECUTE FUNCTION shop.watch();
CREATE PUBLICATION pub FOR TABLE shop.users;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC;
GRANT SELECT ON shop.users TO PUBLIC;
