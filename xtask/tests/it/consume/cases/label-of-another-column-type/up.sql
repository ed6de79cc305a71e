COMMENT ON TABLE shipments IS 'by state';
ALTER TABLE shipments ALTER COLUMN state TYPE phase USING 'new'::phase;
