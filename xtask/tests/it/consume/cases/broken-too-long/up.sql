ALTER TABLE shipments ALTER COLUMN code TYPE varchar(5);
