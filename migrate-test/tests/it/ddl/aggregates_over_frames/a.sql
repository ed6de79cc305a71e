CREATE FUNCTION pair(int, int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 + coalesce($2, 0);
CREATE AGGREGATE plain(int) (sfunc = int4pl, stype = int);
CREATE AGGREGATE framed(int) (sfunc = int4pl, stype = int, msfunc = int4pl, minvfunc = int4mi, mstype = int);
CREATE AGGREGATE sized(int) (sfunc = int4pl, stype = int, msfunc = int4pl, minvfunc = int4mi, mstype = int, msspace = 8);
