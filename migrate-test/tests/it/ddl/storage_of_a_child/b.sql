CREATE TABLE parent (a text, b text, c text, d inet);
ALTER TABLE parent ALTER COLUMN b SET STORAGE EXTERNAL;
