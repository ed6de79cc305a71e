CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL DEFAULT 'post', weight integer, note text);
