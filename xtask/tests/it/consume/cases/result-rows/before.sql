CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL, weight integer NOT NULL DEFAULT 0, note text);
CREATE FUNCTION heavy() RETURNS SETOF shipments LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM shipments; END';
