SET check_function_bodies = off;
CREATE TABLE zones (name text PRIMARY KEY, hours int);
CREATE FUNCTION z_hours(zone text) RETURNS int LANGUAGE sql STABLE AS 'SELECT hours FROM public.zones WHERE name = zone';
CREATE FUNCTION a_hours() RETURNS int LANGUAGE sql STABLE AS 'SELECT public.z_hours(''here'')';
CREATE FUNCTION a_even(n int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT CASE WHEN n <= 0 THEN true ELSE public.z_odd(n - 1) END';
CREATE FUNCTION z_odd(n int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT CASE WHEN n <= 0 THEN false ELSE public.a_even(n - 1) END';
CREATE FUNCTION factorial(n int) RETURNS int LANGUAGE sql AS 'SELECT CASE WHEN n < 2 THEN 1 ELSE n * public.factorial(n - 1) END';
CREATE FUNCTION z_double(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION a_quadruple(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.z_double(public.z_double(n))';
CREATE TABLE visits (id int PRIMARY KEY, hours int DEFAULT a_hours(), even bool DEFAULT a_even(4),
    four int GENERATED ALWAYS AS (a_quadruple(id)) STORED, CHECK (a_quadruple(id) > 0));
CREATE INDEX visits_four ON visits (a_quadruple(id));
CREATE MATERIALIZED VIEW many AS SELECT a_quadruple(3) AS n;
INSERT INTO visits VALUES (1), (2);
