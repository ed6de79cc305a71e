SELECT id, weight FROM shipments;
