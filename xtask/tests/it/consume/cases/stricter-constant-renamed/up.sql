ALTER TABLE settings RENAME CONSTRAINT settings_key_key TO key_once;
COMMENT ON CONSTRAINT key_once ON settings IS 'a key';
ALTER TABLE settings ADD CONSTRAINT code_once UNIQUE USING INDEX by_code;
ALTER TABLE settings VALIDATE CONSTRAINT given;
ALTER TABLE settings ADD CONSTRAINT note_once UNIQUE (note);
