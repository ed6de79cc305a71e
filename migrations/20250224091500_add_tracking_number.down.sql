-- The index goes with its column, but says so.

DROP INDEX shipments_tracking_number_idx;
ALTER TABLE shipments DROP COLUMN tracking_number;
