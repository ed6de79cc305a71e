CREATE TABLE after_it (id int);
