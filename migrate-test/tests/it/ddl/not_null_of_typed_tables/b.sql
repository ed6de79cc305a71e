CREATE TYPE pair AS (a integer, b integer);
-- Another table has the usual name of one.
CREATE TABLE other (a integer CONSTRAINT typed_b_not_null NOT NULL);
CREATE TABLE typed OF pair (PRIMARY KEY (b));
CREATE TABLE once OF pair (PRIMARY KEY (a));
ALTER TABLE once RENAME TO renamed;
CREATE TABLE freed (a integer CONSTRAINT of_its_own NOT NULL, b integer);
