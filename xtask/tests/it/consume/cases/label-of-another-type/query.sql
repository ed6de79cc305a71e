SELECT id FROM shipments WHERE state = 'sent';
