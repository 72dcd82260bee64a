-- property: double_effect_by_key
-- clauses: IDM-02
-- severity: fail
-- means: a handler was called for a dedupe_key whose effect on this topic the binding had recorded before
-- coverage
SELECT count(*) FROM effects WHERE confirmed IS NOT NULL AND dedupe_key IS NOT NULL
-- violations
SELECT b.scope, b.delivered AS seq,
       'the dedupe_key of delivery ' || b.delivery || ' had its effect in ' || a.delivery AS says
FROM effects AS a
JOIN effects AS b
  ON b.scope = a.scope AND b.grp = a.grp AND b.topic = a.topic AND b.dedupe_key = a.dedupe_key
 AND b.message_id <> a.message_id
WHERE b.delivered > a.confirmed
  AND b.topic NOT LIKE 'ampy.%.dlq.%'  -- each group writes its own dead letter, all under one id
  AND (b.subscription = a.subscription OR b.started_ns > a.confirmed_ns + 250000000)
  AND NOT EXISTS (
    SELECT 1 FROM pauses AS z
    WHERE z.scope = b.scope AND z.subscription = b.subscription AND a.confirmed > z.paused
      AND b.delivered > z.resumed AND b.delivered_ns < z.resumed_ns + 2000000000)
