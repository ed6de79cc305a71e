INSERT INTO shipments (id, carrier) VALUES ($1, DEFAULT);
