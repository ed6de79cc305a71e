CREATE TYPE pair AS (a integer, b text);
CREATE TABLE one (id integer, i integer);
CREATE TABLE child OF pair;
CREATE TABLE halves (a integer PRIMARY KEY, b text) PARTITION BY LIST (a);
CREATE TABLE half (a integer, b text);
