CREATE TABLE o (id integer PRIMARY KEY, s text, n integer DEFAULT 0, note text);
