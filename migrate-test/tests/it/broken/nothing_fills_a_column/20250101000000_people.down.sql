DROP TABLE places;
DROP TABLE people;
