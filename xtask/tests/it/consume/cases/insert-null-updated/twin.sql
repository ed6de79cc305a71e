UPDATE shipments SET weight = 0, note = NULL WHERE id = $1;
