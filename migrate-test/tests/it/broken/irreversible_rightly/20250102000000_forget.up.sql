-- migrate: irreversible the law says that it must be gone
UPDATE t SET a = '';
