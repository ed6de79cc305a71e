CREATE TABLE same (kind text UNIQUE);
INSERT INTO same SELECT 'x' FROM users;
