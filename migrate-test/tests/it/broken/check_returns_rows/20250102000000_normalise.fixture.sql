INSERT INTO t (a) VALUES ('Mixed');
