-- Ids of deliveries sort with the time.
DROP INDEX deliveries_by_age;
