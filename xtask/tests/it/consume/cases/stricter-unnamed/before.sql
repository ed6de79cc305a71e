CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text, note text);
