SELECT * FROM shipments;
