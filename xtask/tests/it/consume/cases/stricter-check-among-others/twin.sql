UPDATE shipments SET id = $1 WHERE id = $2;
