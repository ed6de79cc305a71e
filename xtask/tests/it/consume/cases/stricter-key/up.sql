ALTER TABLE shipments ADD CONSTRAINT carrier_known FOREIGN KEY (carrier) REFERENCES carriers (name);
ALTER TABLE shipments DROP CONSTRAINT packer_known,
    ADD CONSTRAINT packer_known FOREIGN KEY (packer) REFERENCES carriers (name) ON DELETE SET NULL;
