CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TABLE orders (id integer CONSTRAINT orders_key PRIMARY KEY, code citext UNIQUE);
CREATE INDEX of_code ON orders (code);
ALTER INDEX orders_key DEPENDS ON EXTENSION citext;
ALTER INDEX orders_code_key DEPENDS ON EXTENSION citext;
