CREATE FUNCTION z_name() RETURNS varchar LANGUAGE sql AS 'SELECT ''b''::varchar';
CREATE FUNCTION a_name() RETURNS text LANGUAGE sql AS 'SELECT public.z_name()';
CREATE TABLE marks (id int PRIMARY KEY, name text DEFAULT a_name());
INSERT INTO marks VALUES (1);
