SELECT id FROM shipments WHERE id = 1;
