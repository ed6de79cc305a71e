UPDATE shipments SET note = '' WHERE id = $1;
