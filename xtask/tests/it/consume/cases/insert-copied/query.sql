COPY shipments (id, note) FROM STDIN;
