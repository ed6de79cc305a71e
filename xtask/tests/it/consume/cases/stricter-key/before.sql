CREATE TABLE carriers (name text PRIMARY KEY);
CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL, packer text CONSTRAINT packer_known REFERENCES carriers (name));
