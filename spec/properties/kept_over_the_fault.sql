-- property: kept_over_the_fault
-- clauses: SLO-05
-- severity: fail
-- means: what was acknowledged before a fault is gone after it
-- coverage
SELECT count(*) FROM publishes AS p
JOIN (SELECT scope, min(seq) AS seq FROM faults WHERE fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND p.ended < h.seq
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
WHERE p.outcome = 'ok'
-- violations
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged before the fault and is gone' AS says
FROM publishes AS p
JOIN (SELECT scope, min(seq) AS seq FROM faults WHERE fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND p.ended < h.seq
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
ANTI JOIN stored AS t ON t.scope = p.scope AND t.body_hash = p.body_hash
ANTI JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
WHERE p.outcome = 'ok'
