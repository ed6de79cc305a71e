UPDATE people SET nick = 'none' WHERE nick IS NULL;
