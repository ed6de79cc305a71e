UPDATE shipments SET carrier = $2 WHERE id = $1;
