SELECT nothing FROM shipments;
