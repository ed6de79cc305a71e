CREATE TABLE users (id integer PRIMARY KEY, fax text, phone text);
