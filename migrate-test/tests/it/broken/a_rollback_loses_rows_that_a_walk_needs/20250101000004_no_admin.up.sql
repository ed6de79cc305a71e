DELETE FROM posts;
DELETE FROM people WHERE name = 'admin';
