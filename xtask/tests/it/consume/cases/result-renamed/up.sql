ALTER TABLE shipments RENAME COLUMN carrier TO carrier_code;
