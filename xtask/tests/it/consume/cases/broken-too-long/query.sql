INSERT INTO shipments (id, code) VALUES ($1, 'a long code');
