ALTER TABLE shipments ADD CONSTRAINT carrier_known FOREIGN KEY (carrier) REFERENCES carriers (name);
