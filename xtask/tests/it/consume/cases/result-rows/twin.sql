SELECT id FROM heavy();
