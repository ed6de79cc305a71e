-- The first declarations of a block: its settings, and those of the session, which it sets again at
-- its end.
    settings CONSTANT jsonb := {settings};
    saved    CONSTANT jsonb := (
        SELECT jsonb_object_agg(s.k, current_setting(s.k))
        FROM jsonb_each_text(settings) AS s (k, v));
