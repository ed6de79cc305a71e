CREATE TABLE one (i integer, t text);
CREATE TABLE two (i integer, j text);
CREATE TABLE three (i integer, k text);
CREATE TABLE short__parent (a integer);
CREATE TABLE the_child_whose_name_is_as_long_as_the_server_allows_a_name_to_ (i integer) INHERITS (one, two, three);
CREATE TABLE short (i integer) INHERITS (one, two);
