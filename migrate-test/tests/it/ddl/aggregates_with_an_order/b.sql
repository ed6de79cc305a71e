CREATE FUNCTION later(state anyelement, next anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT next';
CREATE AGGREGATE newest(anyelement ORDER BY anyelement) (SFUNC = later, STYPE = anyelement);
GRANT EXECUTE ON FUNCTION newest(anyelement, anyelement) TO pg_monitor;
COMMENT ON AGGREGATE newest(anyelement ORDER BY anyelement) IS 'the last one';
CREATE AGGREGATE place(VARIADIC "any" ORDER BY VARIADIC "any")
    (SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
REVOKE EXECUTE ON FUNCTION place(VARIADIC "any") FROM PUBLIC;
CREATE AGGREGATE usual(ORDER BY anyelement)
    (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = mode_final, FINALFUNC_EXTRA);
GRANT EXECUTE ON FUNCTION usual(anyelement) TO pg_monitor;
