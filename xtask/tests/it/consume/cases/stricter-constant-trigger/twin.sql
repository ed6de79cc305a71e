UPDATE orders SET note = 'A' WHERE id = $1;
