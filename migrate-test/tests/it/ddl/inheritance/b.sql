CREATE TABLE base (id serial PRIMARY KEY, name text NOT NULL, CHECK (name <> ''));
CREATE TABLE other (extra int);
CREATE TABLE child (name text NOT NULL DEFAULT 'c', mine int) INHERITS (base, other);
CREATE TABLE grandchild () INHERITS (child);
ALTER TABLE grandchild ALTER COLUMN extra SET NOT NULL;
