CREATE TABLE a (id int, n bigint, m int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME odd INCREMENT -1));
CREATE SEQUENCE loose INCREMENT 3;
CREATE TABLE b (id int DEFAULT nextval('loose'), other bigserial);
ALTER SEQUENCE loose OWNED BY b.id;
