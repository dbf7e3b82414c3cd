// Proves the invariants of the payment protocol over the stores of banks and gateways.

import { DECISION_COLUMNS, readDecision } from '../decision-rows.ts';
import { GATEWAY_STORE } from '../decision-schema.ts';
import { blobToId, idToBlob } from '../ids.ts';
import { BANK_STORE } from '../ledger-schema.ts';
import type { StoredLeg } from '../ledger-store.ts';
import { StoreError } from '../store-error.ts';
import type { StoreKind } from '../store-file.ts';
import { Findings, type AuditReport, type Finding } from './audit-report.ts';
import { proveBooks, proveHolds, type Books } from './bank-books.ts';
import { checkClearing, halfSettled, peersNotAudited, type HalfSettled } from './clearing.ts';
import { checkEntries, findLeg, readTransfers, type BankTransfer } from './leg-stream.ts';
import { mergeByKey, type Keyed } from './ordered-merge.ts';
import { openSnapshot, type Snapshot } from './snapshot.ts';
import { checkTransfer, type AuditScope, type LoggedDecision, type TransferView } from './transfer-rules.ts';

/** Stores that are written while they are read are not all seen at one moment: a mismatch between them is looked at again, so often. */
const LOOKS_MAX = 3;
const LOOK_AGAIN_AFTER_MS = 300;
/** The most mismatched transfers that are looked at again; beyond that, the first look counts. */
const SUSPECTS_MAX = 10_000;

export interface AuditOptions {
  /** Files of banks' stores. */
  readonly banks: readonly string[];
  /** Files of gateways' stores. Without a gateway's, what its log decided is not checked against the banks. */
  readonly gateways: readonly string[];
  /** Waits, blocking, between two looks at a mismatch; by default it really does. */
  readonly pause?: (durationMs: number) => void;
}

/**
 * Reads every store in one consistent snapshot and proves invariants 1 to 5, also while the services run. What one store says is
 * exact. What two stores say differently counts when it persists in fresh snapshots for about a second; on stopped stores that
 * changes nothing. Memory grows with what is in doubt or wrong, not with accounts or transfers.
 *
 * Throws StoreError for a missing file, StoreSchemaError for a wrong one.
 */
export function auditStores(options: AuditOptions): AuditReport {
  const findings = new Findings();
  const report = (finding: Finding) => findings.add(finding);
  const stores = openAll(options);
  const scope: AuditScope = { banks: new Set(stores.banks.map(({ name }) => name)), logs: new Set(stores.gateways.map(({ name }) => name)) };
  let books: Books[];
  let pass: Pass;
  let logs: string[];
  try {
    books = stores.banks.map((snapshot) => proveBooks(snapshot, report));
    pass = readAll(books, stores, scope, findings);
    logs = logsNotAudited(stores.banks, scope);
  } finally {
    closeAll(stores);
  }
  for (const book of books) proveHolds(book, report);
  const persisting = lookAgain(pass.suspects, options, scope);
  for (const found of persisting.values()) found.forEach(report);
  for (const { id, half } of pass.suspects) {
    const apart = persisting.get(id)?.some(({ invariant }) => invariant === 3) ?? false;
    if (half !== undefined && !apart) addHalf(pass.apart, half);
  }
  checkClearing(books, pass.apart).forEach(report);
  const violations = findings.list();
  return {
    ok: violations.length === 0,
    banks: books.map(({ bank, accounts, entries, totals }, index) => ({
      name: bank, accounts, legs: pass.legs[index] ?? 0, entries, totals,
    })),
    transfersChecked: pass.transfers,
    inDoubt: pass.inDoubt,
    violations,
    notAudited: { banks: peersNotAudited(books, scope), logs },
  };
}

/** Decision logs that banks have legs of, and that are not audited. */
function logsNotAudited(banks: readonly Snapshot[], { logs }: AuditScope): string[] {
  const met = banks.flatMap((bank) => [...bank.rows('SELECT log_id FROM logs')].map(([logId]) => String(logId)));
  return [...new Set(met)].filter((logId) => !logs.has(logId)).sort();
}

interface Stores {
  readonly banks: readonly Snapshot[];
  readonly gateways: readonly Snapshot[];
}

/** A transfer about which stores differ. */
interface Suspect {
  readonly id: string;
  readonly findings: readonly Finding[];
  readonly half: HalfSettled | undefined;
}

interface Pass {
  transfers: number;
  inDoubt: number;
  /** By bank, in the order of the files. */
  readonly legs: number[];
  readonly suspects: Suspect[];
  /** What transfers in doubt set apart, by pair of clearing accounts. */
  readonly apart: Map<string, bigint>;
}

interface DecisionItem extends Keyed {
  readonly decision: LoggedDecision;
}

/** One pass over all transfers, in the order of their ids. */
function readAll(books: readonly Books[], { gateways }: Stores, scope: AuditScope, findings: Findings): Pass {
  const pass: Pass = { transfers: 0, inDoubt: 0, legs: books.map(() => 0), suspects: [], apart: new Map() };
  const streams = [...books.map(({ snapshot }) => readTransfers(snapshot)), ...gateways.map(readDecisions)];
  for (const { key, items } of mergeByKey<BankTransfer | DecisionItem>(streams)) {
    const legs = new Map<string, StoredLeg>();
    const decisions: LoggedDecision[] = [];
    items.forEach((item, index) => {
      if (item === undefined) return;
      if ('decision' in item) return void decisions.push(item.decision);
      const book = books[index]!;
      checkEntries(book, item, (finding) => findings.add(finding));
      if (item.leg === undefined) return;
      pass.legs[index]! += 1;
      legs.set(book.bank, item.leg);
    });
    pass.transfers += 1;
    if ([...legs.values()].some(({ state }) => state.kind === 'prepared')) pass.inDoubt += 1;
    weigh({ id: blobToId(key), legs, decisions }, scope, pass, findings);
  }
  return pass;
}

function weigh(view: TransferView, scope: AuditScope, { suspects, apart }: Pass, findings: Findings): void {
  const found = checkTransfer(view, scope);
  const half = halfSettled(view, scope);
  if (found.length === 0) {
    if (half !== undefined) addHalf(apart, half);
  } else if (suspects.length < SUSPECTS_MAX) {
    suspects.push({ id: view.id, findings: found, half });
  } else {
    for (const finding of found) findings.add(finding);
  }
}

/** The findings that fresh looks confirm, by transfer. */
function lookAgain(suspects: readonly Suspect[], { banks, gateways, pause = block }: AuditOptions, scope: AuditScope): Map<string, readonly Finding[]> {
  let persisting = new Map(suspects.map(({ id, findings }) => [id, findings]));
  for (let look = 0; look < LOOKS_MAX && persisting.size > 0; look++) {
    pause(LOOK_AGAIN_AFTER_MS);
    const stores = openAll({ banks, gateways });
    try {
      const found = [...persisting.keys()].map((id): [string, Finding[]] => [id, checkTransfer(viewOf(id, stores), scope)]);
      persisting = new Map(found.filter(([, findings]) => findings.length > 0));
    } finally {
      closeAll(stores);
    }
  }
  return persisting;
}

function viewOf(id: string, { banks, gateways }: Stores): TransferView {
  const legs = new Map<string, StoredLeg>();
  for (const bank of banks) {
    const leg = findLeg(bank, id);
    if (leg !== undefined) legs.set(bank.name, leg);
  }
  const decisions = gateways.flatMap((gateway) => {
    const [values] = gateway.rows(`SELECT ${DECISION_COLUMNS} FROM decisions WHERE id = ?`, idToBlob(id));
    return values === undefined ? [] : [{ logId: gateway.name, row: readDecision(values) }];
  });
  return { id, legs, decisions };
}

function* readDecisions(gateway: Snapshot): Generator<DecisionItem> {
  for (const values of gateway.rows(`SELECT ${DECISION_COLUMNS} FROM decisions ORDER BY id`)) {
    yield { key: values[0] as Uint8Array, decision: { logId: gateway.name, row: readDecision(values) } };
  }
}

/** Transactions begin right after one another, so that live stores are seen at nearly one moment. */
function openAll({ banks, gateways }: AuditOptions): Stores {
  const opened: Snapshot[] = [];
  const open = (file: string, kind: StoreKind): Snapshot => {
    const snapshot = openSnapshot(file, kind);
    if (opened.some(({ name }) => name === snapshot.name)) {
      opened.push(snapshot);
      throw new StoreError(snapshot.file, `is a second ${kind.title} of ${JSON.stringify(snapshot.name)}`);
    }
    opened.push(snapshot);
    return snapshot;
  };
  try {
    return { banks: banks.map((file) => open(file, BANK_STORE)), gateways: gateways.map((file) => open(file, GATEWAY_STORE)) };
  } catch (error) {
    for (const snapshot of opened) snapshot.close();
    throw error;
  }
}

function closeAll({ banks, gateways }: Stores): void {
  for (const snapshot of [...banks, ...gateways]) snapshot.close();
}

function addHalf(apart: Map<string, bigint>, { pair, minor }: HalfSettled): void {
  apart.set(pair, (apart.get(pair) ?? 0n) + minor);
}

function block(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
