DROP TABLE after_it;
