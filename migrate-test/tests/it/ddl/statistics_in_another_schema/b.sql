CREATE TABLE orders (a integer, b integer);
CREATE SCHEMA shop;
CREATE TABLE shop.orders (a integer, b integer);
CREATE STATISTICS shop.of_both ON a, b FROM orders;
CREATE STATISTICS of_another ON a, b FROM shop.orders;
COMMENT ON STATISTICS shop.of_both IS 'of orders in public';
