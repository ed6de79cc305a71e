CREATE DOMAIN grams AS integer;
CREATE TABLE shipments (id bigint PRIMARY KEY, weight grams, note text);
