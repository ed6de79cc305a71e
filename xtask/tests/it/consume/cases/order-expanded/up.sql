ALTER TABLE shipments ADD COLUMN width integer;
