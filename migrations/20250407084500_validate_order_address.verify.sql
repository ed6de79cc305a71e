-- Every order that was shipped went somewhere.

SELECT id, status FROM orders WHERE status = 'shipped' AND address_id IS NULL;
