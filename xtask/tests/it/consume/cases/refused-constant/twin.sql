UPDATE shipments SET note = 'x' WHERE id = $1;
