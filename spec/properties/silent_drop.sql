-- property: silent_drop
-- clauses: BKP-03
-- severity: fail
-- means: a record acknowledged while consumers were stalled was never settled
-- coverage
SELECT count(*) FROM publishes AS p
JOIN events AS f ON f.scope = p.scope AND f.kind = 'fault' AND f.fault = 'stall' AND f.seq < p.seq
JOIN events AS h ON h.scope = p.scope AND h.kind = 'fault' AND h.fault = 'healed' AND h.seq > p.ended
WHERE p.outcome = 'ok'
-- violations
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged under load and dropped' AS says
FROM publishes AS p
JOIN events AS f ON f.scope = p.scope AND f.kind = 'fault' AND f.fault = 'stall' AND f.seq < p.seq
JOIN events AS h ON h.scope = p.scope AND h.kind = 'fault' AND h.fault = 'healed' AND h.seq > p.ended
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND s.waited AND NOT s.raw_lost
LEFT JOIN stored AS t ON t.scope = p.scope AND t.body_hash = p.body_hash
LEFT JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
LEFT JOIN effects AS e ON e.scope = p.scope AND e.body_hash = p.body_hash
LEFT JOIN done AS d ON d.scope = t.scope AND d.stream = t.stream AND d.position = t.position
WHERE p.outcome = 'ok' AND g.scope IS NULL AND e.scope IS NULL AND d.scope IS NULL
  -- What is stored may only be late, as long as no later record of its lane was handled.
  AND (t.scope IS NULL OR EXISTS (
    SELECT 1 FROM due AS r
    WHERE r.scope = t.scope AND r.stream = t.stream AND r.position = t.position
      AND r.place < r.reached AND NOT r.fresh))
