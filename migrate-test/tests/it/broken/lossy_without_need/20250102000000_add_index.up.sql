-- migrate: lossy to be sure
CREATE INDEX t_b ON t (b);
