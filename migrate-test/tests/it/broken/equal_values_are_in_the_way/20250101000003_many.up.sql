CREATE TABLE many (short text UNIQUE, born date UNIQUE, seen timestamptz UNIQUE, host inet UNIQUE, key bytea UNIQUE, doc jsonb UNIQUE);
DO $$ BEGIN INSERT INTO many SELECT short, born, seen, host, key, doc FROM users; END $$;
