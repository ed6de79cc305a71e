CREATE TABLE rooms (id int, key text);
GRANT SELECT ON rooms TO pg_monitor WITH GRANT OPTION;
SET ROLE pg_monitor; GRANT SELECT ON rooms TO pg_read_all_data; RESET ROLE;
GRANT SELECT ON rooms TO pg_read_all_settings;
GRANT SELECT (key) ON rooms TO pg_read_all_settings;
