DROP INDEX people_grp;
