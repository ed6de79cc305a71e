ALTER TABLE shipments ADD CHECK (height > 0) NOT VALID;
ALTER TABLE shipments ADD CHECK (carrier <> '') NOT VALID;
ALTER TABLE shipments ADD CHECK (weight > 0) NOT VALID;
ALTER TABLE shipments ADD CHECK (height < 100) NOT VALID;
