CREATE DOMAIN code AS text;
CREATE TABLE boxes (id integer, code code);
CREATE TABLE bags (id integer, code code DEFAULT 'a');
