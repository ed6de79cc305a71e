CREATE TABLE plain (a integer NOT NULL, b integer);
