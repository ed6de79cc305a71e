-- The type goes with the table: left behind it would stop the next attempt to go up.

DROP TABLE orders;
DROP TYPE order_status;
