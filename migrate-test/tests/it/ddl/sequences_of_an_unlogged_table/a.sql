CREATE TABLE one (id serial, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE SEQUENCE numbers OWNED BY one.id;
CREATE TABLE two (a integer);
