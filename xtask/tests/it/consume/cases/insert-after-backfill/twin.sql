UPDATE orders SET note = $1;
