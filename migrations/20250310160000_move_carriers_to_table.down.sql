-- Each shipment gets its text back as it was typed. One that came after the change, or that was
-- given to another carrier since, gets the name of its carrier.

UPDATE shipments s SET carrier_as_typed = c.name
FROM carriers c WHERE c.id = s.carrier_id AND lower(trim(s.carrier_as_typed)) IS DISTINCT FROM c.name;

-- Renamed before it is required: from PostgreSQL 18 on the constraint is named after the column.
ALTER TABLE shipments RENAME COLUMN carrier_as_typed TO carrier;
ALTER TABLE shipments ALTER COLUMN carrier SET NOT NULL;

DROP INDEX shipments_carrier_id_idx;
ALTER TABLE shipments DROP COLUMN carrier_id;
DROP TABLE carriers;
