CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE halves (a smallint, b text) PARTITION BY RANGE (a);
CREATE TABLE first PARTITION OF halves FOR VALUES FROM (0) TO (10);
CREATE TABLE moods (m mood, a integer) PARTITION BY LIST (m);
CREATE TABLE kept (m mood, a integer) PARTITION BY LIST (m);
