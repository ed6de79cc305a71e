DO $$ BEGIN CREATE ROLE roundtrip_case_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE shipments (id bigint PRIMARY KEY, note text);
CREATE VIEW noted WITH (security_invoker) AS SELECT id, note FROM shipments;
CREATE VIEW owned AS SELECT id, note FROM noted;
GRANT SELECT, UPDATE ON shipments, noted, owned TO roundtrip_case_app;
