DROP FUNCTION rate(integer);
