CREATE TABLE parent (a integer NOT NULL);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE below () INHERITS (child);
-- Since PostgreSQL 18 every table below has it.
DO $$ BEGIN ALTER TABLE below ALTER COLUMN a DROP NOT NULL; EXCEPTION WHEN others THEN NULL; END $$;
