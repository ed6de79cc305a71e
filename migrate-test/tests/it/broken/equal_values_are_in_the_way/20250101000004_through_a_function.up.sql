CREATE TABLE copies (token text UNIQUE);
CREATE FUNCTION copy_tokens() RETURNS void LANGUAGE sql AS 'INSERT INTO copies SELECT token FROM users';
SELECT copy_tokens();
