ALTER TABLE boxes ADD CONSTRAINT one_height UNIQUE (height);
