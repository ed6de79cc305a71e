COPY shipments (id, code) TO STDOUT;
