INSERT INTO shipments (id, weight, note) SELECT 7, 5, NULL;
