INSERT INTO boxes (height) VALUES (NULL::int), (NULL::int), (CAST(NULL AS int)), (CAST(NULL AS int));
