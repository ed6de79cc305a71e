SELECT 'shipments' AS name;
