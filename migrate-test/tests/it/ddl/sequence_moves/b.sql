CREATE SEQUENCE numbers;
CREATE TABLE stays (id bigint DEFAULT nextval('numbers'), other bigint);
ALTER SEQUENCE numbers OWNED BY stays.id;
CREATE SEQUENCE narrow AS smallint MAXVALUE 50;
CREATE SEQUENCE away MINVALUE 200 MAXVALUE 300;
CREATE TABLE remade (id bigint, n integer);
CREATE SEQUENCE of_remade OWNED BY remade.n;
