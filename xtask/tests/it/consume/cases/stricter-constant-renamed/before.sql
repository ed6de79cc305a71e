CREATE TABLE settings (key text UNIQUE, code text, value text, note text);
CREATE UNIQUE INDEX by_code ON settings (code);
ALTER TABLE settings ADD CONSTRAINT given CHECK (value <> 'none') NOT VALID;
