SELECT note FROM shipments;
