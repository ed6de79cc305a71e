ALTER TABLE carriers ADD COLUMN note text;
