UPDATE people SET age = 18 WHERE age IS NULL OR age < 18;
