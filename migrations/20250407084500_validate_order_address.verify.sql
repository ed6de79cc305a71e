-- Every order that was shipped went somewhere, and to its own buyer.

SELECT o.id, o.user_id, a.user_id AS lives_there
FROM orders o LEFT JOIN addresses a ON a.id = o.address_id
WHERE o.status = 'shipped' AND a.user_id IS DISTINCT FROM o.user_id;
