-- migrate: lock-timeout 2s
-- Orders name the address that they go to. The constraint is made NOT VALID: it holds for new
-- rows at once, and the old ones are looked through by the next migration, without a long lock.

ALTER TABLE orders ADD COLUMN address_id bigint;

ALTER TABLE orders ADD CONSTRAINT orders_address_id_fkey
    FOREIGN KEY (address_id) REFERENCES addresses (id) ON DELETE RESTRICT NOT VALID;
ALTER TABLE orders ADD CONSTRAINT orders_shipped_has_address
    CHECK (status <> 'shipped' OR address_id IS NOT NULL) NOT VALID;
