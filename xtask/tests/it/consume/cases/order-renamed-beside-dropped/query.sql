SELECT phone FROM users;
SELECT fax FROM users;
