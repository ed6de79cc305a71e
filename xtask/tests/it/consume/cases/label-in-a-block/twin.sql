SELECT id FROM shipments WHERE state = 'new';
