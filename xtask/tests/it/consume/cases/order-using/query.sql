SELECT t || 'x' FROM z;
SELECT id FROM z WHERE x = 1 AND t LIKE 'a%';
