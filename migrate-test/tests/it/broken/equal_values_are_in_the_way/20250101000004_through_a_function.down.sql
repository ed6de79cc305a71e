DROP FUNCTION copy_tokens();
DROP TABLE copies;
