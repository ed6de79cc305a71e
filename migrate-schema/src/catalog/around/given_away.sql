-- Members of extensions with another owner than their extension. This is the end of a query.
(SELECT e.extname, e.extowner, d.classid, d.objid, CASE d.classid
          WHEN 'pg_proc'::regclass THEN (SELECT p.proowner FROM pg_proc p WHERE p.oid = d.objid)
          WHEN 'pg_class'::regclass THEN (SELECT c.relowner FROM pg_class c WHERE c.oid = d.objid)
          WHEN 'pg_type'::regclass THEN (SELECT t.typowner FROM pg_type t WHERE t.oid = d.objid)
      END AS owner
      FROM pg_extension e
      JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e') m
WHERE m.owner <> m.extowner
