-- migrate: lossy the old numbers are wrong
UPDATE t SET status = 0 WHERE status / 3 = 123456789;
