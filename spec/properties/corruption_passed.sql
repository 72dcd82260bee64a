-- property: corruption_passed
-- clauses: DLQ-02, DLQ-03
-- severity: fail
-- means: a handler was given a record that is broken
-- coverage
SELECT count(*) FROM corrupt AS c JOIN stored AS s USING (body_hash)
-- violations
SELECT d.scope, d.seq, 'the broken record at ' || d.position || ' was given to ' || d.grp AS says
FROM deliveries AS d
JOIN corrupt AS c ON c.body_hash = d.body_hash
WHERE NOT d.dead
