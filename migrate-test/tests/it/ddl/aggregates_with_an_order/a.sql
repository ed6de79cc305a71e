CREATE FUNCTION later(state anyelement, next anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT next';
