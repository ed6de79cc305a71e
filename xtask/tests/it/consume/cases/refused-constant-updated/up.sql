ALTER TABLE shipments ADD CHECK (weight < 100) NOT VALID;
ALTER TABLE shipments ADD CHECK (carrier <> '' OR weight > 0) NOT VALID;
