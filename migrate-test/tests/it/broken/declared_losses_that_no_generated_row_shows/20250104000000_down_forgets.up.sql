-- migrate: lossy what is old is not needed
CREATE INDEX t_created ON t (created);
