SELECT s.*, c.* FROM shipments s JOIN carriers c ON carrier = name;
