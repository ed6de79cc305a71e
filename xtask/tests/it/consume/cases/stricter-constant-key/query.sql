INSERT INTO shipments (id, carrier, note) VALUES ($1, 'post', 'x');
