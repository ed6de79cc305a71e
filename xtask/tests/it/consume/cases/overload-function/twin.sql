SELECT label($1::text) AS label;
