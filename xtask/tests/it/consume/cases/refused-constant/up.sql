ALTER TABLE shipments ADD CONSTRAINT weight_positive CHECK (weight > 0) NOT VALID;
