SELECT id, a FROM t WHERE a <> upper(a);
