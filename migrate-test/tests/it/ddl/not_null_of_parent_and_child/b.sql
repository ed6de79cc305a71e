CREATE TABLE top (id integer NOT NULL, i integer NOT NULL);
CREATE TABLE set_again () INHERITS (top);
ALTER TABLE set_again ALTER i SET NOT NULL;
-- A constraint of another table has the name that this one would get.
CREATE SCHEMA shop;
CREATE TABLE orders (id integer NOT NULL, n integer NOT NULL);
CREATE TABLE shop.orders (id integer PRIMARY KEY, n integer);
CREATE TABLE of_shop () INHERITS (shop.orders);
