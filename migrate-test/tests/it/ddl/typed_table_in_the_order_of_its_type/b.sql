CREATE TYPE pair AS (b text, a integer, c date);
CREATE TABLE t OF pair;
