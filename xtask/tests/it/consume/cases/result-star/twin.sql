SELECT id, carrier, weight, note FROM shipments;
