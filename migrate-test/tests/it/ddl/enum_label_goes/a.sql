CREATE TYPE state AS ENUM ('new', 'paid', 'sent', 'lost');
CREATE TABLE orders (id int PRIMARY KEY, state state NOT NULL DEFAULT 'new', past state[], CHECK (state <> 'lost'));
CREATE INDEX open_orders ON orders (id) WHERE state = 'new';
CREATE VIEW paid AS SELECT id, state FROM orders WHERE state = 'paid';
CREATE FUNCTION next(s state) RETURNS state LANGUAGE sql AS 'SELECT s';
INSERT INTO orders VALUES (1, 'paid', '{new,paid}');
