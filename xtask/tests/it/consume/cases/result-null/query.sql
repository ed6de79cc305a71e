SELECT id, carrier FROM shipments;
