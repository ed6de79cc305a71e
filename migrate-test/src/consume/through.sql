-- Views that the server can write through, each with the tree of its query, and whether it is
-- checked with the privileges of the calling role.
SELECT c.oid, r.ev_action::text, EXISTS (
    SELECT FROM pg_options_to_table(c.reloptions) o
    WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)::text
FROM pg_class c
JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
WHERE c.relkind = 'v' AND c.oid IN ({relations}) AND pg_relation_is_updatable(c.oid, false) <> 0
  AND NOT EXISTS (
      SELECT FROM pg_rewrite o WHERE o.ev_class = c.oid AND o.rulename <> '_RETURN')
  AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 64 <> 0)
