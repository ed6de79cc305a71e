CREATE EXTENSION hstore;
GRANT EXECUTE ON FUNCTION hstore_version_diag(hstore) TO pg_monitor WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION akeys(hstore) FROM PUBLIC;
CREATE SCHEMA tools;
CREATE EXTENSION tablefunc SCHEMA tools;
REVOKE USAGE ON TYPE tools.tablefunc_crosstab_2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tools.normal_rand(integer, double precision, double precision) TO pg_monitor;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT SELECT (rolname, rolpassword) ON pg_catalog.pg_authid TO pg_monitor;
