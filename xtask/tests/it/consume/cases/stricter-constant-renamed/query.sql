INSERT INTO settings (note) VALUES ('x');
