-- property: lost
-- clauses: QOS-01
-- severity: fail
-- means: a stored record was never settled in a group that settled a later one of its topic and key
-- coverage
SELECT count(*) FROM due AS r JOIN scopes AS s USING (scope)
WHERE s.audited AND s.waited AND r.place < r.reached
-- violations
SELECT r.scope, r.seq,
       'the record at ' || r.position || ' was never settled in ' || r.grp
       || ', a later one of its key was' AS says
FROM owed AS r
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND s.waited
WHERE NOT r.fresh AND r.place < r.reached
