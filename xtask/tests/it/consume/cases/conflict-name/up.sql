ALTER TABLE shipments DROP CONSTRAINT one_note;
