-- migrate: lossy what was NULL is not known any more
UPDATE places SET name = 'none' WHERE name IS NULL;
