CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL, weight integer NOT NULL DEFAULT 0, height integer NOT NULL DEFAULT 0);
