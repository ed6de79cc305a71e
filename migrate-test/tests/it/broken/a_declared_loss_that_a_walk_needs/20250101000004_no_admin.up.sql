-- migrate: lossy nobody needs the first account
DELETE FROM posts;
DELETE FROM people WHERE name = 'admin';
