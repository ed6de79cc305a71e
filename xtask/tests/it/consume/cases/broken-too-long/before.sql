CREATE TABLE shipments (id bigint PRIMARY KEY, code varchar(20), note text);
