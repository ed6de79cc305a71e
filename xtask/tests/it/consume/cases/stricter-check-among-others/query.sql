UPDATE shipments SET weight = $1 WHERE id = $2;
