INSERT INTO o (id) VALUES ($1);
INSERT INTO o (id, s, n) VALUES ($1, $2, DEFAULT);
INSERT INTO o (id, n) SELECT id + 1, n FROM o;
UPDATE o SET n = DEFAULT WHERE id = $1;
