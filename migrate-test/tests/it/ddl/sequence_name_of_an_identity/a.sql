CREATE SEQUENCE numbers AS integer START 5;
SELECT nextval('numbers');
CREATE TABLE kept (a integer);
CREATE SEQUENCE others;
