CREATE TYPE mood AS ENUM ('bad', 'fine', 'best');
CREATE TABLE one (id bigint, m mood, n text);
CREATE TABLE two (id bigint, m mood, z varchar(20), more integer, CHECK (more > 0));
CREATE TABLE three (id bigint, t text);
CREATE TABLE child (own date) INHERITS (one, two, three);
