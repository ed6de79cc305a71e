CREATE TABLE top (y integer);
CREATE TABLE one (id integer, n text, more date DEFAULT now()) INHERITS (top);
CREATE TABLE two (id integer, n text, more date DEFAULT '2020-01-01');
CREATE TABLE child (own date) INHERITS (two);
CREATE TABLE halves (a integer, b varchar(9)) PARTITION BY LIST (a);
CREATE TABLE half (a bigint, d text);
