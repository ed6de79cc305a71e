CREATE TYPE order_status AS ENUM ('pending', 'paid');
CREATE TABLE orders (id integer, status order_status);
