SELECT id FROM shipments;
