UPDATE shipments SET weight = NULL WHERE id = $1;
