-- Shipments that came after the change never had a typed text; they get the carrier's name.

UPDATE shipments s SET carrier_as_typed = c.name
FROM carriers c WHERE c.id = s.carrier_id AND s.carrier_as_typed IS NULL;

ALTER TABLE shipments ALTER COLUMN carrier_as_typed SET NOT NULL;
ALTER TABLE shipments RENAME COLUMN carrier_as_typed TO carrier;

DROP INDEX shipments_carrier_id_idx;
ALTER TABLE shipments DROP COLUMN carrier_id;
DROP TABLE carriers;
