CREATE TYPE pair AS (a integer, c bigint);
CREATE TABLE leaves (a text, b integer);
CREATE TABLE joins OF pair;
CREATE TABLE comes OF pair;
