SELECT * FROM heavy();
