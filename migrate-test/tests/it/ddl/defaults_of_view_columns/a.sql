CREATE TABLE posts (id int, state text);
CREATE VIEW open_posts AS SELECT id, state FROM posts;
ALTER VIEW open_posts ALTER state SET DEFAULT 'open';
CREATE VIEW drafts AS SELECT id, state FROM posts;
