INSERT INTO boxes (height) VALUES (1), (2), (2);
