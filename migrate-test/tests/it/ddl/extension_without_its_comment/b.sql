CREATE EXTENSION hstore;
COMMENT ON EXTENSION hstore IS 'our own words';
