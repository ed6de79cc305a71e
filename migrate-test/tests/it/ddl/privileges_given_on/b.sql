CREATE TABLE rooms (id int, key text);
GRANT SELECT, INSERT ON rooms TO pg_monitor WITH GRANT OPTION;
SET ROLE pg_monitor; GRANT INSERT ON rooms TO pg_read_all_data WITH GRANT OPTION; RESET ROLE;
SET ROLE pg_read_all_data; GRANT INSERT ON rooms TO pg_write_all_data; RESET ROLE;
GRANT SELECT (key) ON rooms TO pg_read_all_settings;
