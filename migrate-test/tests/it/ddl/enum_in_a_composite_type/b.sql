CREATE TYPE state AS ENUM ('paid', 'new', 'sent');
CREATE TYPE step AS (at date, state state, past state[]);
CREATE TABLE orders (id int PRIMARY KEY, state state NOT NULL DEFAULT 'new');
CREATE FUNCTION last_of(s step) RETURNS state LANGUAGE sql AS 'SELECT s.state';
COMMENT ON COLUMN step.state IS 'where it is';
