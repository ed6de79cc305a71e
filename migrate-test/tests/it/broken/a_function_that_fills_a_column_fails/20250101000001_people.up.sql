CREATE TABLE people (id integer PRIMARY KEY, nick text);
CREATE FUNCTION fill_all() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE people SET nick = 'none' WHERE nick IS NULL; END $$;
