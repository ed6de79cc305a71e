COPY shipments (id, carrier, note) FROM STDIN;
