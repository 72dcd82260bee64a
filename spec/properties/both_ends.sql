-- property: both_ends
-- clauses: RTY-07
-- severity: fail
-- means: a record whose effect was recorded is in the DLQ as well, where there is one group only
-- coverage
SELECT count(*) FROM effects AS e JOIN scopes AS s USING (scope)
WHERE s.groups = 1 AND s.audited AND e.confirmed IS NOT NULL
-- violations
SELECT DISTINCT e.scope, g.seq, 'delivery ' || e.delivery || ' took effect, and is a dead letter' AS says
FROM effects AS e
-- A dead letter that was sent back may well take effect (DLQ-13).
JOIN scopes AS s ON s.scope = e.scope AND s.groups = 1 AND NOT s.redriven
JOIN graves AS g ON g.scope = e.scope AND g.body_hash = e.body_hash
WHERE e.confirmed IS NOT NULL AND e.topic NOT LIKE 'ampy.%.dlq.%'
