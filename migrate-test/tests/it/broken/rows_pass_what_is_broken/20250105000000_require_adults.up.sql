ALTER TABLE people ADD CHECK (age >= 18);
