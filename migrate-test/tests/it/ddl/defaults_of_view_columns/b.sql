CREATE TABLE posts (id int, state text, size int);
CREATE VIEW open_posts AS SELECT id, state, size FROM posts;
ALTER VIEW open_posts ALTER state SET DEFAULT 'new';
ALTER VIEW open_posts ALTER size SET DEFAULT 7;
CREATE FUNCTION usual() RETURNS text LANGUAGE plpgsql AS 'DECLARE p open_posts; BEGIN RETURN p.state; END';
CREATE VIEW drafts AS SELECT id, state FROM posts;
ALTER VIEW drafts ALTER state SET DEFAULT usual();
CREATE VIEW "All" AS SELECT id AS "Id" FROM drafts;
ALTER VIEW "All" ALTER "Id" SET DEFAULT 1;
