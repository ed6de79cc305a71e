SELECT label($1::varchar) AS label;
