CREATE TYPE celsius;
CREATE FUNCTION celsius_in(cstring) RETURNS celsius LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION celsius_out(celsius) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE celsius (INPUT = celsius_in, OUTPUT = celsius_out, LIKE = integer, DEFAULT = '20', DELIMITER = ';', CATEGORY = 'N');
CREATE FUNCTION warm(celsius) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text::integer > 20';
COMMENT ON TYPE celsius IS 'of water';
CREATE CAST (celsius AS integer) WITHOUT FUNCTION;
CREATE TABLE reading (id integer PRIMARY KEY, at celsius DEFAULT '7', all_day celsius[]);
CREATE VIEW warm_ones AS SELECT id FROM reading WHERE warm(at);
