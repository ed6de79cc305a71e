SELECT s.note FROM shipments s JOIN carriers ON carrier = name;
