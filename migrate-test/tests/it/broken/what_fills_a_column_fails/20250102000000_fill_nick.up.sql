UPDATE people SET nick = 'none' WHERE nick IS NULL;
DO $$ BEGIN IF EXISTS (SELECT FROM people) THEN RAISE EXCEPTION 'not on rows'; END IF; END $$;
