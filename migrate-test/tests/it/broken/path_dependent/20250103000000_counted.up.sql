DO $$
BEGIN
    IF nextval('counter') < 3 THEN
        CREATE INDEX t_idx ON t (a);
    ELSE
        CREATE INDEX t_idx ON t (b);
    END IF;
END
$$;
