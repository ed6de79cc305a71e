ALTER TABLE shipments ADD COLUMN width integer;
ALTER TABLE shipments DROP COLUMN carrier;
