SELECT note FROM shipments JOIN carriers ON carrier = name;
