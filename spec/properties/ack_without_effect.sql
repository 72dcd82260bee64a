-- property: ack_without_effect
-- clauses: QOS-02
-- severity: fail
-- means: the broker counts a record as acknowledged that has neither an effect nor a dead letter
-- coverage
SELECT count(*) FROM due AS r
JOIN floors AS c
  ON c.scope = r.scope AND c.grp = r.grp AND c.stream = r.stream AND r.place <= c.floor
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND NOT s.raw_lost
-- violations
SELECT r.scope, r.seq,
       'the record at ' || r.position || ' is acknowledged in ' || r.grp || ' without an effect' AS says
FROM owed AS r
JOIN floors AS c
  ON c.scope = r.scope AND c.grp = r.grp AND c.stream = r.stream AND r.place <= c.floor
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND NOT s.raw_lost
