ALTER TABLE shipments ADD COLUMN returned_by text REFERENCES carriers (name);
