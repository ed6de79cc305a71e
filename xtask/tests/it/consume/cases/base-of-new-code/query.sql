INSERT INTO shipments (id, carrier, returned_by) VALUES ($1, $2, $3);
