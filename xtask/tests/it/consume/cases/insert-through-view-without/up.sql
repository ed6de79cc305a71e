ALTER TABLE shipments ADD COLUMN height integer NOT NULL;
