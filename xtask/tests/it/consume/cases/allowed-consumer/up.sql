-- migrate: allow consumer:app it is switched off
ALTER TABLE shipments DROP COLUMN note;
