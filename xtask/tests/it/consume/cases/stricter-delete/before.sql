CREATE TABLE shipments (id bigint PRIMARY KEY, note text);
CREATE TABLE notes (id bigint PRIMARY KEY);
