-- property: silent_drop
-- clauses: BKP-03
-- severity: fail
-- means: a record acknowledged while consumers were stalled was never settled
-- coverage
SELECT count(*) FROM publishes AS p
JOIN (SELECT scope, min(seq) AS seq FROM faults WHERE fault = 'stall' GROUP BY scope) AS f
  ON f.scope = p.scope AND f.seq < p.seq
JOIN (SELECT scope, max(seq) AS seq FROM faults WHERE fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND h.seq > p.ended
WHERE p.outcome = 'ok'
-- violations
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged under load and dropped' AS says
FROM publishes AS p
JOIN (SELECT scope, min(seq) AS seq FROM faults WHERE fault = 'stall' GROUP BY scope) AS f
  ON f.scope = p.scope AND f.seq < p.seq
JOIN (SELECT scope, max(seq) AS seq FROM faults WHERE fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND h.seq > p.ended
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND s.waited AND NOT s.raw_lost
ANTI JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
ANTI JOIN effects AS e ON e.scope = p.scope AND e.body_hash = p.body_hash
LEFT JOIN stored AS t ON t.scope = p.scope AND t.body_hash = p.body_hash
LEFT JOIN excused AS d ON d.scope = t.scope AND d.stream = t.stream AND d.position = t.position
WHERE p.outcome = 'ok' AND d.scope IS NULL
