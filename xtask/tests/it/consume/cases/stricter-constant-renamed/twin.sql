INSERT INTO settings (key, code, value) VALUES ('theme', 'dark', 'none');
