CREATE FUNCTION pair(int, int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 + coalesce($2, 0);
CREATE AGGREGATE plain(int) (sfunc = int4pl, stype = int, sspace = 32, finalfunc = int4abs, finalfunc_modify = shareable);
CREATE AGGREGATE framed(int) (sfunc = int4pl, stype = int, finalfunc = pair, finalfunc_extra, finalfunc_modify = read_write,
    msfunc = int4pl, minvfunc = int4mi, mstype = int, msspace = 64, mfinalfunc = pair, mfinalfunc_extra,
    mfinalfunc_modify = shareable);
CREATE AGGREGATE sized(int) (sfunc = int4pl, stype = int, msfunc = int4pl, minvfunc = int4mi, mstype = int, msspace = 16);
CREATE AGGREGATE ranked(int ORDER BY int) (sfunc = int4pl, stype = int, finalfunc = pair, finalfunc_modify = read_only);
