DROP FUNCTION fill_all();
DROP TABLE people;
