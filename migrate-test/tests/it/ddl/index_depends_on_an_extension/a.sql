CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TABLE orders (id integer CONSTRAINT orders_key PRIMARY KEY, code citext);
CREATE INDEX of_code ON orders (code);
ALTER INDEX of_code DEPENDS ON EXTENSION hstore;
ALTER INDEX orders_key DEPENDS ON EXTENSION hstore;
