SELECT fill_all();
DO $$ BEGIN IF EXISTS (SELECT FROM people) THEN RAISE EXCEPTION 'not on rows'; END IF; END $$;
