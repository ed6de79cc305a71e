CREATE INDEX t_idx ON t (a);
