-- The privileges of roles on tables, or on any of their columns.
SELECT r.rolname, n.nspname, c.relname, p.name
FROM pg_roles r
JOIN pg_class c ON c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.oid >= 16384
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) p (name)
WHERE r.rolname IN ({roles}) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND (has_table_privilege(r.oid, c.oid, p.name)
       OR CASE WHEN p.name <> 'DELETE' THEN has_any_column_privilege(r.oid, c.oid, p.name) END)
