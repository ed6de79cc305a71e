SELECT note FROM shipments WHERE id = $1;
