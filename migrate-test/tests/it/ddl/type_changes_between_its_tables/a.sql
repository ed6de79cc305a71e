CREATE TYPE pair AS (a text, b integer);
CREATE TABLE leaves OF pair;
CREATE TABLE goes OF pair;
CREATE TABLE joins (a integer);
