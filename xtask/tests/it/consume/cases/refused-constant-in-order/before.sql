CREATE TABLE boxes (weight integer, height integer);
