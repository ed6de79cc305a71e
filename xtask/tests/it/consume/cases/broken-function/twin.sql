SELECT fee(5) AS fee;
