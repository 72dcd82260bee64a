-- property: failed_but_visible
-- clauses: QOS-06
-- severity: fail
-- means: a publish was reported as certainly failed, and the record is in the log all the same
-- coverage
SELECT count(*) FROM publishes AS p JOIN scopes AS s USING (scope)
WHERE p.outcome = 'fail' AND s.audited
-- violations
SELECT p.scope, p.ended AS seq, 'the publish ' || p.uid || ' was refused and is stored' AS says
FROM publishes AS p
SEMI JOIN stored AS s ON s.body_hash = p.body_hash
ANTI JOIN injected AS i ON i.body_hash = p.body_hash
WHERE p.outcome = 'fail'
  AND NOT EXISTS (
    SELECT 1 FROM publishes AS o
    WHERE o.body_hash = p.body_hash AND o.uid <> p.uid AND o.outcome <> 'fail')
