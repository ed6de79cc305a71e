INSERT INTO shipments (id, note) VALUES ($1, 'x'), ($2, 'x');
