CREATE TABLE visits (id int PRIMARY KEY);
INSERT INTO visits VALUES (1), (2);
