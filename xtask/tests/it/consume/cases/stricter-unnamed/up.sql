ALTER TABLE shipments ADD CONSTRAINT carrier_given CHECK (carrier IS NOT NULL) NOT VALID;
