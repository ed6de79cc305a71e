-- A constraint cannot become unproven again; it is made anew, as it was before.

ALTER TABLE orders DROP CONSTRAINT orders_shipped_has_address;
ALTER TABLE orders DROP CONSTRAINT orders_address_id_fkey;
ALTER TABLE orders ADD CONSTRAINT orders_address_id_fkey
    FOREIGN KEY (address_id) REFERENCES addresses (id) ON DELETE RESTRICT NOT VALID;
ALTER TABLE orders ADD CONSTRAINT orders_shipped_has_address
    CHECK (status <> 'shipped' OR address_id IS NOT NULL) NOT VALID;
