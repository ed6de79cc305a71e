-- Every order that was shipped has an address.

SELECT id, status FROM orders WHERE status = 'shipped' AND address_id IS NULL;
