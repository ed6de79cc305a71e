CREATE TABLE tokens (user_id int NOT NULL REFERENCES users, token text NOT NULL UNIQUE);
INSERT INTO tokens SELECT id, token FROM users;
