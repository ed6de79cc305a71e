SELECT carrier FROM shipments WHERE id = $1;
