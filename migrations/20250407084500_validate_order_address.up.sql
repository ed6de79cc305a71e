-- Old orders get the default address of their buyer where they need one, then the constraints
-- are proven for all rows. This reads the table but keeps nobody from writing to it.

UPDATE orders o SET address_id = a.id
FROM addresses a
WHERE a.user_id = o.user_id AND a.is_default AND o.status = 'shipped' AND o.address_id IS NULL;

ALTER TABLE orders VALIDATE CONSTRAINT orders_address_id_fkey;
ALTER TABLE orders VALIDATE CONSTRAINT orders_shipped_has_address;
