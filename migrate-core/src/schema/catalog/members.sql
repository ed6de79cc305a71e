-- What belongs to an extension: the extension and its version tell it. An index or a sequence of a member belongs as well.
SELECT d.classid, d.objid FROM pg_depend d
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
