CREATE TYPE pair AS (a integer, b text);
CREATE TABLE becomes OF pair;
CREATE TABLE was (z date);
