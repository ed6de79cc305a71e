CREATE TABLE shipments (id bigint PRIMARY KEY, code text, note text);
