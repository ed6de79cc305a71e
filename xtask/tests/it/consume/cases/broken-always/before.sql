CREATE TABLE shipments (id bigint PRIMARY KEY, note text);
