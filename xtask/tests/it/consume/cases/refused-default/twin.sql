UPDATE o SET note = 'x' WHERE id = $1;
