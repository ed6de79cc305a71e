SELECT rate(5) AS rate;
