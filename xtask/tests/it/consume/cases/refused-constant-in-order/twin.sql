INSERT INTO boxes VALUES (3, $1), (3, $2);
