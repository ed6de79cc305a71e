CREATE TABLE kept (a integer, b integer);
