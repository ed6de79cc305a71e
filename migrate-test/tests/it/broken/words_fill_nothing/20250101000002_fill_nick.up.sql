-- UPDATE people SET nick = 'none' WHERE nick IS NULL;
UPDATE people SET id = id + 0 WHERE nick IS NOT NULL;
DO $$ BEGIN IF EXISTS (SELECT FROM people) THEN RAISE EXCEPTION 'not on rows'; END IF; END $$;
