CREATE UNIQUE INDEX people_grp ON people ((coalesce(grp, 0)));
