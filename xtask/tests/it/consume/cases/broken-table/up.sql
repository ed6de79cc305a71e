ALTER TABLE shipments RENAME TO parcels;
