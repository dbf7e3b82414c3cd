export { openDecisionLog } from './decision-log.ts';
export type { DecisionHistory, DecisionLogOptions, EarlierAttempt, KnownBanks, SqliteDecisionLog } from './decision-log.ts';
export { openLedgerStore } from './ledger-store.ts';
export { createLedgerResource } from './ledger-resource.ts';
export type { LegBooks, LegRules } from './ledger-resource.ts';
export { OpeningBalanceError } from './users.ts';
export type { SessionRow, SessionStore } from './session-store.ts';
export type { NumberedRevocation, RevocationRow, RevocationStore } from './revocation-store.ts';
export type {
  DepositResult, HistoryEntry, LedgerStore, LedgerStoreOptions, NewUser, Page, StoredLeg,
} from './ledger-store.ts';
export type { BookedAccount, BookedLeg, OpenBooks } from './open-books.ts';
export { CursorError, StoreError, StoreFailedError, StoreLockedError, StoreRolledBackError, StoreSchemaError } from './store-error.ts';
export { auditStores } from './audit/audit-stores.ts';
export type { LegAttempt } from './leg-attempts.ts';
export type { ProcessStart } from './process-starts.ts';
export type { AuditOptions } from './audit/audit-stores.ts';
export type { AuditReport, AuditedBank, Invariant, Violation } from './audit/audit-report.ts';
