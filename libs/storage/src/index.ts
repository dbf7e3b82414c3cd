export { openDecisionLog } from './decision-log.ts';
export type { DecisionLogOptions, KnownBanks, SqliteDecisionLog } from './decision-log.ts';
export { openLedgerStore } from './ledger-store.ts';
export { OpeningBalanceError } from './users.ts';
export type { NumberedRevocation, RevocationRow, RevocationStore } from './revocation-store.ts';
export type {
  DepositResult, EntryWrite, HistoryEntry, LedgerBatch, LedgerStore, LedgerStoreOptions, LegWrite, NewUser, Page, StoredLeg,
} from './ledger-store.ts';
export { CursorError, StoreError, StoreFailedError, StoreLockedError, StoreSchemaError } from './store-error.ts';
export { auditStores } from './audit/audit-stores.ts';
export type { AuditOptions } from './audit/audit-stores.ts';
export type { AuditReport, AuditedBank, Invariant, Violation } from './audit/audit-report.ts';
