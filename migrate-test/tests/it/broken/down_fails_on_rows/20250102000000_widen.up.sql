ALTER TABLE t ALTER COLUMN b TYPE text USING coalesce(b::text, 'none') || ' pieces';
