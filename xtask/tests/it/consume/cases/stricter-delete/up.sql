CREATE TABLE returns (id bigint PRIMARY KEY, shipment_id bigint NOT NULL REFERENCES shipments (id),
    note_id bigint REFERENCES notes (id) ON DELETE SET NULL);
