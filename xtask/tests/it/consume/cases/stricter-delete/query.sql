DELETE FROM shipments WHERE id = $1;
