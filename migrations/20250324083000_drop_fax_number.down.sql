-- The column comes back empty: what was in it is gone.

ALTER TABLE users ADD COLUMN fax_number text;
