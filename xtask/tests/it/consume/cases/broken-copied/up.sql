ALTER TABLE shipments DROP COLUMN code;
