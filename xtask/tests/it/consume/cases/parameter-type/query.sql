SELECT id FROM shipments WHERE weight > $1;
