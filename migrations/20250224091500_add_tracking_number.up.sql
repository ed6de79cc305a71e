-- Customers ask where their parcel is; the carrier's number answers them.

ALTER TABLE shipments ADD COLUMN tracking_number varchar(50);

CREATE INDEX shipments_tracking_number_idx ON shipments (tracking_number);
