CREATE TYPE pair AS (a integer, b text);
CREATE TABLE becomes (z date);
CREATE TABLE was OF pair;
