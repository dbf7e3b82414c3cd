// Audits stores in a process of its own, with a heap of its own: memory grows with accounts. Ends with the process that started it.

import { auditStores, type AuditOptions } from '@strife/storage';

process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(1));
process.on('message', (options: AuditOptions) => {
  const { ok, inDoubt, transfersChecked, violations } = auditStores(options);
  process.send?.({ ok, inDoubt, transfersChecked, violations: violations.map(({ message }) => message) }, () => process.exit(0));
});
