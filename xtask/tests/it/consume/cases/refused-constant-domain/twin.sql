INSERT INTO shipments (id, weight) VALUES ($1, 1);
