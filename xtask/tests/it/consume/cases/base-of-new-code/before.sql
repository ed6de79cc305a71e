CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL);
CREATE TABLE carriers (name text PRIMARY KEY);
