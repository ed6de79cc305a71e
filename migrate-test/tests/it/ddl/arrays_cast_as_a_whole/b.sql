CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN code AS varchar CHECK (value IN ('a', 'b'));
CREATE TABLE orders (
    id integer, state varchar(10) CHECK (state IN ('new', 'sent')), total numeric CHECK (total = ANY (ARRAY[1, 2, 3])),
    moods mood[] DEFAULT ARRAY['good']::mood[], sizes numeric[] DEFAULT (ARRAY[1, 2]), more numeric[] DEFAULT ARRAY[1, 2]::numeric[],
    is_round boolean GENERATED ALWAYS AS (total IN (10, 20)) STORED,
    CHECK (state <> ALL ((ARRAY[ARRAY['x'], ARRAY['(ARRAY[1])::int[]']])::varchar[]))
);
CREATE INDEX open_orders ON orders (id) WHERE state IN ('new', 'it''s "odd"');
CREATE VIEW open AS SELECT id, (ARRAY[id, 2])::text AS pair, (ARRAY[id, 2])::bigint[] AS big FROM orders WHERE state IN ('new', 'sent');
CREATE FUNCTION is_open(s varchar) RETURNS boolean LANGUAGE sql RETURN s IN ('new', 'sent');
CREATE FUNCTION is_shut(s varchar) RETURNS boolean LANGUAGE sql AS 'SELECT s = ANY ((ARRAY[1])::text[])';
CREATE POLICY seen ON orders USING (state IN ('new', 'sent'));
CREATE RULE quiet AS ON UPDATE TO orders WHERE new.state IN ('new', 'sent') DO INSTEAD NOTHING;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW WHEN (new.state IN ('new', 'sent')) EXECUTE FUNCTION touch();
CREATE STATISTICS of_state ON (state IN ('new', 'sent')), id FROM orders;
