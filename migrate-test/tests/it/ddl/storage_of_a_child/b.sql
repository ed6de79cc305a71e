CREATE TABLE parent (a text, b text, c text);
ALTER TABLE parent ALTER COLUMN b SET STORAGE EXTERNAL;
