SELECT id,
       carrier
FROM shipments
WHERE id = $1;
