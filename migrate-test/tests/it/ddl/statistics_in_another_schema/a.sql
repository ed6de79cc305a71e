CREATE TABLE orders (a integer, b integer);
CREATE SCHEMA shop;
CREATE TABLE shop.items (a integer, b integer);
CREATE STATISTICS shop.of_both ON a, b FROM shop.items;
