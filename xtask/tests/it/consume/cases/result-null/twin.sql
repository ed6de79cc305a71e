SELECT id, coalesce(carrier, '') AS carrier FROM shipments;
