SELECT id, weight::text AS weight FROM shipments;
