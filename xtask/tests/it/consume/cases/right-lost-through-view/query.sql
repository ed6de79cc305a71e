UPDATE noted SET note = $1 WHERE id = $2;
