ALTER TABLE shipments DROP COLUMN note;
