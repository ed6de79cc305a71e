INSERT INTO shipments (id, weight) VALUES ($1, 5), ($2, -1);
