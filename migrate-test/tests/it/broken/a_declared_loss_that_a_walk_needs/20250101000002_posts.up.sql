CREATE TABLE posts (id serial PRIMARY KEY, author int NOT NULL REFERENCES people (id));
INSERT INTO posts (author) VALUES (1);
