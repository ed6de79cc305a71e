INSERT INTO shipments (id, note) VALUES ($1, $2);
