-- migrate: lock-timeout 2s
-- Carriers were free text in each shipment, in five spellings of the same name. They get a
-- table of their own; the texts as they were typed stay with the shipment, for the way back.

CREATE TABLE carriers (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text   NOT NULL CONSTRAINT carriers_name_key UNIQUE
);

INSERT INTO carriers (name)
SELECT DISTINCT lower(trim(carrier)) FROM shipments ORDER BY 1;

ALTER TABLE shipments ADD COLUMN carrier_id bigint REFERENCES carriers (id) ON DELETE RESTRICT;

UPDATE shipments s SET carrier_id = c.id FROM carriers c WHERE c.name = lower(trim(s.carrier));

ALTER TABLE shipments ALTER COLUMN carrier_id SET NOT NULL;
ALTER TABLE shipments RENAME COLUMN carrier TO carrier_as_typed;
ALTER TABLE shipments ALTER COLUMN carrier_as_typed DROP NOT NULL;

CREATE INDEX shipments_carrier_id_idx ON shipments (carrier_id);
