COPY shipments (id, note) TO STDOUT;
