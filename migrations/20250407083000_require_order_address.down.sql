-- The constraints are dropped by name, so that one that somebody renamed stops this.

ALTER TABLE orders DROP CONSTRAINT orders_shipped_has_address;
ALTER TABLE orders DROP CONSTRAINT orders_address_id_fkey;
ALTER TABLE orders DROP COLUMN address_id;
