CREATE TYPE state AS ENUM ('new', 'sent', 'paid');
CREATE TABLE orders (id int PRIMARY KEY, state state NOT NULL DEFAULT 'new', past state[], CHECK (state <> 'sent'));
CREATE INDEX open_orders ON orders (id) WHERE state = 'new';
CREATE VIEW paid AS SELECT id, state FROM orders WHERE state = 'paid';
CREATE FUNCTION next(s state) RETURNS state LANGUAGE sql AS 'SELECT s';
