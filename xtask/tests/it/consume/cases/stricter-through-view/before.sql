CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL DEFAULT 'post', weight integer, note text);
CREATE VIEW parcels AS SELECT id AS parcel, weight AS grams, note FROM shipments WHERE carrier = 'post';
