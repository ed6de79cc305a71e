CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE one (id integer, m mood, n varchar(9), gone integer);
CREATE TABLE two (id integer, m mood, z text, late text CHECK (late <> ''));
CREATE TABLE three (id integer, t text);
CREATE TABLE child (own date) INHERITS (one, two, three);
INSERT INTO child (id, m, n) VALUES (1, 'bad', 'x');
