INSERT INTO bags (id) VALUES ($1);
