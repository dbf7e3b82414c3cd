// What each side does and does not do, so that nobody compares apples with pears. Printed in every report.

export const SIDES: readonly { readonly side: string; readonly does: string; readonly doesNot: string }[] = [
  {
    side: 'Strife',
    does: 'Two banks and a gateway as processes; mutual TLS 1.3 on every link; a signed session and the payer bank\'s grant checked on each payment; every payment has an id, ' +
      'an outcome of its own and an exactly-once replay; double entry, holds, history; decision log and both books synced before the answer (SQLite, synchronous FULL); ' +
      'an answer once both banks have settled; logs at their defaults; recovery without a person; the books proved by the audit afterwards.',
    doesNot: 'It does not sync once a payment: payments that are under way together share a sync at each log.',
  },
  {
    side: 'PostgreSQL, a transaction a payment',
    does: 'Three servers with fsync and synchronous_commit on; one account updated and one entry written at each bank, PREPARE TRANSACTION at both, a row in the decision table, ' +
      'COMMIT PREPARED at both; each step one round trip; the best of the numbers of connections that were tried.',
    doesNot: 'No gateway, no TLS, no login or grant, no clearing accounts or running balances, no idempotent replay, no recovery of transactions left in doubt: whoever builds a gateway on it adds all of these.',
  },
  {
    side: 'PostgreSQL in bulk',
    does: 'The same three servers with 1,000 payments in each prepared transaction, by set-based SQL over arrays; workers on accounts that no other worker touches, so that none waits for a lock.',
    doesNot: 'All of the above; nor has a payment an outcome of its own: if one fails, 1,000 do.',
  },
  {
    side: 'Floors',
    does: 'fdatasync: an append of 4 KiB and a sync. Empty call: a nice-grpc client and server with mutual TLS and no message content. Bare SQLite: one bank\'s legs inserted with a hold, then ' +
      'settled with two entries each, two synced transactions a batch.',
    doesNot: 'They do no payments: they are what payments cannot be faster than when they are built of these parts without sharing them.',
  },
];
