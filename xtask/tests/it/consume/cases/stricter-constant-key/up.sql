ALTER TABLE shipments ADD CONSTRAINT one_note UNIQUE (note, carrier);
