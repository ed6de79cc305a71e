SELECT id, weight FROM shipments WHERE id = $1;
