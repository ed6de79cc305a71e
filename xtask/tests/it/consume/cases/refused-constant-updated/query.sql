UPDATE shipments SET weight = 0, carrier = '' WHERE id = $1;
