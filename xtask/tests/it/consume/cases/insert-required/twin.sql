INSERT INTO shipments (id, carrier, weight) VALUES ($1, $2, 5);
