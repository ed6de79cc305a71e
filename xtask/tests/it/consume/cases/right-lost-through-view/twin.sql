SELECT note FROM noted WHERE id = $1;
UPDATE owned SET note = $1 WHERE id = $2;
