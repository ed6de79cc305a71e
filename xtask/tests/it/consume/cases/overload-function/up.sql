CREATE FUNCTION label(varchar) RETURNS text LANGUAGE sql AS 'SELECT lower($1)';
