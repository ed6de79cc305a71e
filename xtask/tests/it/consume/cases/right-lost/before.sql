DO $$ BEGIN CREATE ROLE roundtrip_case_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE shipments (id bigint PRIMARY KEY, note text);
GRANT SELECT, UPDATE ON shipments TO roundtrip_case_app;
