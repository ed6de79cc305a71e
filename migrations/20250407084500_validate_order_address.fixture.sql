-- An order that was shipped before orders had addresses. Such rows exist, because the constraint
-- was created NOT VALID, but none can be written while it is there.

ALTER TABLE orders DROP CONSTRAINT orders_shipped_has_address;

WITH buyer AS (
    INSERT INTO users (email, full_name) VALUES ('old@example.org', 'Somebody Old') RETURNING id
), home AS (
    INSERT INTO addresses (user_id, street, postal_code, city, country_code, is_default)
    SELECT id, 'Long Lane 1', '00000', 'Anywhere', 'DE', true FROM buyer
)
INSERT INTO orders (user_id, total, status) SELECT id, 10, 'shipped' FROM buyer;

ALTER TABLE orders ADD CONSTRAINT orders_shipped_has_address
    CHECK (status <> 'shipped' OR address_id IS NOT NULL) NOT VALID;
