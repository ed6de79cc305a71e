UPDATE shipments SET packer = $1 WHERE id = $2;
