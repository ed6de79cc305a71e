CREATE TYPE pair AS (a integer, b integer);
CREATE TABLE typed OF pair (PRIMARY KEY (b));
CREATE TABLE renamed OF pair (b NOT NULL);
CREATE TABLE freed OF pair (a NOT NULL);
