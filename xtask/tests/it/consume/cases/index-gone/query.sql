SELECT id FROM shipments WHERE carrier = $1;
