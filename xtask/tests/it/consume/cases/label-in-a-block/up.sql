COMMENT ON TABLE shipments IS 'state';
DO $$
BEGIN
  ALTER TABLE shipments ALTER COLUMN state SET DEFAULT 'new';
  EXECUTE 'ALTER TYPE state RENAME VALUE ''sent'' TO ''shipped''';
END
$$;
