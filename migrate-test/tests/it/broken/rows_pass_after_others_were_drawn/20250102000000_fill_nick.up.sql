-- migrate: lossy what was NULL is not known any more
UPDATE people SET nick = 'none' WHERE nick IS NULL;
