CREATE EXTENSION hstore;
CREATE SCHEMA tools;
CREATE EXTENSION tablefunc SCHEMA tools;
REVOKE EXECUTE ON FUNCTION tools.normal_rand(integer, double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO pg_monitor;
